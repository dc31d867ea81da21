//! A client that sends a one-way stream: the body of an HTTP request, which a component passes on to another.

use std::net::SocketAddr;

use anyhow::{ensure, Context as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[allow(
    unreachable_pub,
    reason = "it is a module of the component that takes streams"
)]
#[path = "../../guests/streamer/src/content.rs"]
mod guest;

/// How many bytes are written at once.
const PIECE: usize = 16 * 1024;

/// A request to a [`Streamer`](crate::Guest::Streamer) behind a built-in HTTP server, which calls
/// `pipe.ingest` with the body of it.
///
/// The component that is called tells a [`Tally`](crate::Tally) of it: [`Upload::BEGUN`], and then
/// how it ended, each by a number that is added to the id of the stream.
///
/// To drop it is to go, as a client that dies.
#[derive(Debug)]
pub struct Upload(TcpStream);

impl Upload {
    /// The callee begins to read the stream.
    pub const BEGUN: u64 = guest::BEGUN;

    /// The callee has read all of the stream.
    pub const WHOLE: u64 = 0;

    /// The callee has seen that the stream was cut off.
    pub const CUT: u64 = guest::CUT;

    /// The callee has read something else to its end, which is a defect.
    pub const WRONG: u64 = guest::WRONG;

    /// Asks the component behind `server` to pass the stream `id` on, which has `size` bytes, and sends `sent` of them.
    ///
    /// # Errors
    ///
    /// When it does not take them.
    pub async fn begin(server: SocketAddr, id: u64, size: u64, sent: u64) -> anyhow::Result<Self> {
        let connection = TcpStream::connect(server).await;
        let mut connection = connection.with_context(|| format!("cannot connect to {server}"))?;
        let head = format!(
            "POST /ingest?id={id}&size={size} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await?;
        let mut left = usize::try_from(sent)?;
        let mut content = guest::content(id);
        while left > 0 {
            let piece: Vec<_> = content.by_ref().take(left.min(PIECE)).collect();
            connection.write_all(&piece).await?;
            left -= piece.len();
        }
        connection.flush().await?;
        Ok(Self(connection))
    }

    /// Sends the whole stream `id` of `size` bytes, and returns when the caller of `pipe.ingest` has gone on.
    ///
    /// # Errors
    ///
    /// When its call failed, with the first line of the answer.
    pub async fn send(server: SocketAddr, id: u64, size: u64) -> anyhow::Result<()> {
        Self::begin(server, id, size, size).await?.answered().await
    }

    /// Waits until the caller of `pipe.ingest` has gone on.
    ///
    /// # Errors
    ///
    /// When its call failed, with the first line of the answer.
    pub async fn answered(mut self) -> anyhow::Result<()> {
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        let line = answer.lines().next().unwrap_or_default();
        ensure!(line.contains(" 200 "), "the answer is {line:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::guest::content;

    #[test]
    fn two_streams_differ_and_one_is_the_same_again() {
        let first = |id| content(id).take(100).collect::<Vec<_>>();
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }
}
