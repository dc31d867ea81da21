use tokio::io::{AsyncRead, AsyncWrite};

/// Makes the byte streams that local calls run over.
///
/// A clone makes the same kind of streams with the same limits, and is cheap.
pub trait Backend: Clone + Send + Sync + 'static {
    /// The writing half of a byte stream. See [`Backend::stream`] for what it promises.
    type Writer: AsyncWrite + Send + Sync + Unpin + 'static;

    /// The reading half of a byte stream. See [`Backend::stream`] for what it promises.
    type Reader: AsyncRead + Send + Sync + Unpin + 'static;

    /// Makes one byte stream, from a writer to a reader.
    ///
    /// Each backend keeps this contract, and runs the conformance suite that checks it:
    ///
    /// - `shutdown` on the writer, and dropping it: the reader gets the bytes written before, then end of stream.
    ///   A reader that waits is woken. `shutdown` does not wait for the reader.
    /// - Dropping the reader: the writer gets [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) on its next write. A
    ///   writer that waits is woken. Bytes not read yet are lost.
    /// - A write after `shutdown` is `BrokenPipe`.
    /// - At most the backend's limit of bytes is held by a stream; then the writer waits. The limit counts bytes,
    ///   not writes. A reader that makes room wakes the writer.
    /// - An I/O operation on an empty buffer returns at once.
    /// - Bytes are there for the reader as soon as `poll_write` returned; `flush` has nothing to do.
    /// - The halves can live in tasks of their own; each has a waker of its own.
    /// - A reader and a writer in one task yield to tokio's scheduler now and then (its cooperative budget).
    fn stream(&self) -> (Self::Writer, Self::Reader);
}

/// A backend for tests: streams that hold a few bytes.
#[cfg(all(test, not(inhost_loom)))]
#[derive(Clone)]
pub(crate) struct Duplex;

#[cfg(all(test, not(inhost_loom)))]
impl Backend for Duplex {
    type Writer = tokio::io::DuplexStream;
    type Reader = tokio::io::DuplexStream;

    fn stream(&self) -> (Self::Writer, Self::Reader) {
        tokio::io::duplex(16)
    }
}
