//! A request to a host's listing, as small as it can be.
//!
//! HTTP/1.0 on purpose: the host then answers without chunks and closes the connection at the end.

use std::time::Duration;

use anyhow::{bail, Context as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::status::STEER_HEADER;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes. A listing has at most a few thousand functions.
const LONGEST: u64 = 64 * 1024 * 1024;

/// How much of an answer is in an error, in characters.
const LONGEST_ERROR: usize = 1024;

/// GETs `path` from `address`, which may be written as a URL, and returns the body.
///
/// # Errors
///
/// When there is no answer within ten seconds, or not one with the status 200.
pub(super) async fn get(address: &str, path: &str) -> anyhow::Result<String> {
    request(address, &format!("GET {path}"), "").await
}

/// POSTs `body`, which changes something, to `path` at `address`. As [`get`] otherwise.
///
/// # Errors
///
/// As of [`get`].
pub(super) async fn post(address: &str, path: &str, body: &str) -> anyhow::Result<String> {
    request(address, &format!("POST {path}"), body).await
}

async fn request(address: &str, what: &str, body: &str) -> anyhow::Result<String> {
    let answer = tokio::time::timeout(DEADLINE, exchange(address, what, body)).await;
    let answer = answer.with_context(|| format!("no answer within {DEADLINE:?}"))??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("what answers there does not speak HTTP")?;
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some(status) => {
            let said: String = body.trim().chars().take(LONGEST_ERROR).collect();
            bail!("it answers with status {status}: {said}")
        }
        None => bail!("what answers there does not speak HTTP"),
    }
}

async fn exchange(address: &str, what: &str, body: &str) -> anyhow::Result<String> {
    let address = address.strip_prefix("http://").unwrap_or(address);
    let address = address.trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await?;
    // Not the name that was given: a host answers to its own names alone, and to addresses.
    let host = stream.peer_addr()?;
    let (header, length) = (STEER_HEADER, body.len());
    let request = format!(
        "{what} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n{header}: yes\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    String::from_utf8(answer).context("the answer is not text")
}
