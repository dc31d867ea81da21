//! The smallest backend that keeps the contract of [`Backend::stream`], over loom's lock. Its streams have no limit.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use loom::sync::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::backend::Backend;

#[derive(Clone)]
pub(crate) struct Streams;

pub(crate) struct Writer(Shared);

pub(crate) struct Reader(Shared);

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
    unread: bool,
    reader: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the reader when the lock is free again.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Backend for Streams {
    type Writer = Writer;
    type Reader = Reader;

    fn stream(&self) -> (Writer, Reader) {
        let shared = Shared(Arc::new(Mutex::new(State::default())));
        (Writer(shared.clone()), Reader(shared))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut unread = false;
        self.0.change(|state| {
            unread = state.unread;
            state.bytes.extend_from_slice(buf);
        });
        Poll::Ready(if unread {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(buf.len())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.change(|state| state.ended = true);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if state.bytes.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = state.bytes.len().min(buf.remaining());
        buf.put_slice(&state.bytes[..n]);
        state.bytes.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.lock().unread = true;
    }
}
