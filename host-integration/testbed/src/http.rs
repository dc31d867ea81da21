//! A GET over HTTP, as small as it can be.
//!
//! HTTP/1.0 on purpose: the server then answers without chunks and closes the connection at the end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{ensure, Context as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// GETs `path` from `address` and returns the body as text.
///
/// # Errors
///
/// When the server cannot be reached, does not answer within 10 seconds, or answers with another status than
/// 200.
pub async fn get_text(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    get_text_within(DEADLINE, address, path).await
}

/// As [`get_text`], with another limit for the duration.
///
/// # Errors
///
/// As for [`get_text`].
pub async fn get_text_within(
    deadline: Duration,
    address: SocketAddr,
    path: &str,
) -> anyhow::Result<String> {
    tokio::time::timeout(deadline, get(address, path))
        .await
        .map_err(|_| anyhow::anyhow!("no answer within {deadline:?}"))
        .and_then(|answer| answer)
        .with_context(|| format!("GET http://{address}{path} failed"))
}

/// GETs `path` from `address` and parses the body as JSON.
///
/// # Errors
///
/// As for [`get_text`], and when the body is not JSON.
pub async fn get_json(address: SocketAddr, path: &str) -> anyhow::Result<serde_json::Value> {
    let body = get_text(address, path).await?;
    serde_json::from_str(&body)
        .with_context(|| format!("http://{address}{path} did not answer with JSON: {body}"))
}

async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer).context("the answer is not text")?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no end of headers")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "status {status}: {body}");
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn serve_once(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn another_status_is_an_error() {
        let address = serve_once("HTTP/1.0 404 Not Found\r\n\r\nnothing here").await;
        let error = format!("{:#}", get_text(address, "/x").await.unwrap_err());
        assert!(error.contains("/x") && error.contains("404") && error.contains("nothing here"));
    }
}
