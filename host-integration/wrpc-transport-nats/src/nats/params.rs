use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use anyhow::ensure;
use async_nats::Subject;
use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wrpc_transport::Index;

use super::inbox::Entry;
use super::subject;
use super::writer::SubjectWriter;

/// How long a parameter stream that was dropped waits for the callee's answer, to be ended.
const LATE: Duration = Duration::from_secs(10);

/// The caller's stream of parameters.
///
/// Writing, flushing and shutting down wait for the callee's answer: before it, there is nowhere to write to.
///
/// # End of stream
///
/// The callee sees it after `shutdown`, and when this is dropped without it.
///
/// # Errors
///
/// [`CallFailed`](super::CallFailed) in an [`io::Error`] when the callee has not answered, `NotConnected` when no one
/// serves the function. After the answer, see [`SubjectWriter`].
///
/// # Cancel safety
///
/// A write that is dropped before it is ready has written nothing.
pub struct ParamWriter {
    state: State,
    path: Box<[usize]>,
    /// The parameters that the first message had no room for.
    rest: Bytes,
}

enum State {
    /// For the callee's answer, in this slot of the call.
    Waiting {
        entry: Arc<Entry>,
        slot: usize,
    },
    Active(SubjectWriter),
}

impl State {
    fn waiting(entry: &Arc<Entry>) -> Self {
        Self::Waiting {
            slot: entry.call().writer(),
            entry: Arc::clone(entry),
        }
    }
}

/// The stream at `path`, whose root has the subject `params`.
fn writer(entry: &Entry, params: Subject, path: &[usize]) -> SubjectWriter {
    let subject = match path {
        [] => params,
        path => subject::index_path(&params, path).into(),
    };
    SubjectWriter::new(
        Arc::clone(entry.nats()),
        subject,
        entry.call().target().clone(),
    )
}

impl ParamWriter {
    /// The root of the parameters of `entry`. `rest` is what the first message had no room for.
    pub(crate) fn new(entry: &Arc<Entry>, rest: Bytes) -> Self {
        Self {
            state: State::waiting(entry),
            path: Box::default(),
            rest,
        }
    }

    /// Waits until the callee has answered and the rest is sent, then does `poll` with the stream.
    fn poll_active<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut SubjectWriter>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        loop {
            match &mut self.state {
                State::Waiting { entry, slot } => {
                    let params = ready!(entry.call().poll_answer(*slot, cx))?;
                    self.state = State::Active(writer(entry, params, &self.path));
                }
                State::Active(writer) if self.rest.is_empty() => {
                    return poll(Pin::new(writer), cx);
                }
                State::Active(writer) => {
                    let n = ready!(Pin::new(writer).poll_write(cx, &self.rest))?;
                    self.rest.advance(n);
                }
            }
        }
    }
}

impl Index<Self> for ParamWriter {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        ensure!(!path.is_empty(), "a nested stream needs a path");
        Ok(Self {
            state: match &self.state {
                State::Waiting { entry, .. } => State::waiting(entry),
                State::Active(writer) => State::Active(writer.index(path)?),
            },
            path: [&*self.path, path].concat().into(),
            rest: Bytes::new(),
        })
    }
}

impl AsyncWrite for ParamWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_active(cx, |writer, cx| writer.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_active(cx, |writer, cx| writer.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_active(cx, |writer, cx| writer.poll_shutdown(cx))
    }
}

impl Drop for ParamWriter {
    fn drop(&mut self) {
        let State::Waiting { entry, slot } = &self.state else {
            return;
        };
        // A callee that is told nothing would wait for the end of its parameters for ever. The task
        // ends when the callee has answered, when the call fails, or by itself.
        let (entry, slot) = (Arc::clone(entry), *slot);
        let path = std::mem::take(&mut self.path);
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let answer = poll_fn(|cx| entry.call().poll_answer(slot, cx));
            if let Ok(Ok(params)) = timeout(LATE, answer).await {
                drop(writer(&entry, params, &path));
            }
        });
    }
}

impl fmt::Debug for ParamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ParamWriter");
        match &self.state {
            State::Waiting { entry, .. } => debug.field("target", entry.call().target()),
            State::Active(writer) => debug.field("writer", writer),
        };
        debug.field("path", &self.path).finish_non_exhaustive()
    }
}
