use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use anyhow::ensure;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use wrpc_transport::Index;

use super::inbox::Entry;

/// The stream that a side of a remote call reads from: results at the caller, parameters at the callee.
///
/// # End of stream
///
/// It ends when the other side shut its stream down or dropped it: NATS does not tell the two apart.
///
/// # Errors
///
/// [`CallFailed`](super::CallFailed) in an [`io::Error`], after the bytes that have arrived. Of
/// kind `NotFound` when the call has no stream at this path, or it was opened before.
///
/// # Cancel safety
///
/// A read that is dropped before it is ready has taken no bytes. Dropping this stream loses the
/// bytes that were not read.
pub struct Reader {
    rest: Bytes,
    streams: Arc<Streams>,
    path: Box<[usize]>,
    found: bool,
}

/// What the readers of one end of a call share.
struct Streams(Arc<Entry>);

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.call().abandon_all();
    }
}

impl Reader {
    /// The root of the streams of `entry`. `first` is read before them.
    pub(crate) fn new(entry: Arc<Entry>, first: Bytes) -> Self {
        Self {
            rest: first,
            streams: Arc::new(Streams(entry)),
            path: Box::default(),
            found: true,
        }
    }

    fn entry(&self) -> &Entry {
        &self.streams.0
    }
}

impl Index<Self> for Reader {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        ensure!(!path.is_empty(), "a nested stream needs a path");
        let path = [&*self.path, path].concat();
        Ok(Self {
            rest: Bytes::new(),
            found: self.entry().call().take(&path),
            path: path.into(),
            streams: Arc::clone(&self.streams),
        })
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.rest.is_empty() {
            if !this.found {
                return Poll::Ready(Err(this.not_found()));
            }
            // A reader that always finds something gives way to other tasks now and then.
            ready!(std::pin::pin!(tokio::task::consume_budget()).poll(cx));
            this.rest = ready!(this.entry().call().poll_next(&this.path, cx))?;
        }
        let n = this.rest.len().min(buf.remaining());
        buf.put_slice(&this.rest[..n]);
        this.rest.advance(n);
        if this.rest.is_empty() {
            // What is left of it would keep the whole message in memory.
            this.rest = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl Reader {
    fn not_found(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "the call of {} has no stream at the path {:?}, or it was opened before",
                self.entry().call().target(),
                self.path
            ),
        )
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.found {
            self.entry().call().abandon(&self.path);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("target", self.entry().call().target())
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
