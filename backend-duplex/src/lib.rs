//! Byte streams of an in-host invocation over tokio's [`DuplexStream`].
//!
//! A duplex stream goes both ways and ends when a whole end of it is dropped. A call needs streams that go one way
//! and end one by one, so each stream here is a duplex stream of its own, of which one direction is used. The other
//! direction holds no buffer.
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use inhost_backend_duplex::DuplexBackend;
//! use inhost_dispatch::Backend as _;
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! // A writer waits when its stream holds 5 bytes that were not read.
//! let backend = DuplexBackend::new(NonZeroUsize::new(5).expect("not zero"));
//! let (mut writer, mut reader) = backend.stream();
//! let write = async {
//!     writer.write_all(b"hello, world").await?;
//!     writer.shutdown().await
//! };
//! let mut text = String::new();
//! let read = reader.read_to_string(&mut text);
//! tokio::try_join!(write, read)?;
//! assert_eq!(text, "hello, world");
//!
//! // A writer whose reader has gone is told so.
//! let (mut writer, reader) = backend.stream();
//! drop(reader);
//! let error = writer.write_all(b"hello").await.unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use inhost_dispatch::Backend;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Makes byte streams that hold up to a limit of bytes, in one buffer that grows as it is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplexBackend {
    limit: NonZeroUsize,
}

impl DuplexBackend {
    /// A writer waits when its stream holds `limit` bytes that were not read.
    pub const fn new(limit: NonZeroUsize) -> Self {
        Self { limit }
    }
}

impl Backend for DuplexBackend {
    type Writer = Writer;
    type Reader = Reader;

    fn stream(&self) -> (Writer, Reader) {
        let (writer, reader) = tokio::io::duplex(self.limit.get());
        (Writer(writer), Reader(reader))
    }
}

/// The writing half of a stream. The reader sees end of stream after `shutdown`, and when this is dropped.
#[derive(Debug)]
pub struct Writer(DuplexStream);

/// The reading half of a stream. Dropping it loses what was not read, and fails the writer with `BrokenPipe`.
#[derive(Debug)]
pub struct Reader(DuplexStream);

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // tokio 1.42 waits for room to write nothing.
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // tokio 1.42 waits for bytes to read none.
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
