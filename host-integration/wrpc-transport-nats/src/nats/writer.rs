use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use anyhow::ensure;
use async_nats::connection::State;
use async_nats::{PublishMessage, Subject};
use bytes::Bytes;
use futures::{FutureExt as _, SinkExt as _};
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;
use tokio::time::{sleep, Sleep};
use wrpc_transport::Index;

use super::connected::FULL;
use super::failure::{Failure, Target};
use super::subject;

/// A stream of messages to one subject: the callee's results, and the caller's parameters once they
/// have somewhere to go.
///
/// # End of stream
///
/// The reader sees it after `shutdown`, and when this is dropped without it.
///
/// # Errors
///
/// `BrokenPipe` when the client is closed. [`CallFailed`](super::CallFailed) of kind `NetworkDown` when a write has
/// waited 10 s for a connection. That the reader has gone is not noticed.
///
/// # Cancel safety
///
/// A write that is dropped before it is ready has written nothing.
pub struct SubjectWriter {
    nats: Arc<async_nats::Client>,
    /// A handle of its own on the client's queue, to wait for room there. Made by the first write.
    queue: Option<Box<async_nats::Client>>,
    subject: Subject,
    target: Target,
    ended: bool,
    /// Runs while there is no room in the queue.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl SubjectWriter {
    pub(crate) fn new(nats: Arc<async_nats::Client>, subject: Subject, target: Target) -> Self {
        Self {
            nats,
            queue: None,
            subject,
            target,
            ended: false,
            stalled: None,
        }
    }

    /// Sends the message that `payload` makes when there is room for it.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        payload: impl FnOnce() -> io::Result<Bytes>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        let payload = payload()?;
        let n = payload.len();
        let message = PublishMessage {
            subject: self.subject.clone(),
            payload,
            reply: None,
            headers: None,
        };
        let sent = self.queue().start_send_unpin(message);
        Poll::Ready(sent.map(|()| n).map_err(|_| closed(&self.subject)))
    }

    fn queue(&mut self) -> &mut async_nats::Client {
        self.queue
            .get_or_insert_with(|| Box::new((*self.nats).clone()))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Poll::Ready(room) = self.queue().poll_ready_unpin(cx) {
                self.stalled = None;
                return Poll::Ready(room.map_err(|_| closed(&self.subject)));
            }
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(FULL)));
            ready!(stalled.as_mut().poll(cx));
            self.stalled = None;
            if self.nats.connection_state() != State::Connected {
                return Poll::Ready(Err(Failure::Lost(FULL).of(&self.target)));
            }
        }
    }
}

fn closed(subject: &Subject) -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        format!("the NATS client is closed; nothing more can be sent to `{subject}`"),
    )
}

impl Index<Self> for SubjectWriter {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        ensure!(!path.is_empty(), "a nested stream needs a path");
        let subject = subject::index_path(&self.subject, path);
        Ok(Self::new(
            Arc::clone(&self.nats),
            subject.into(),
            self.target.clone(),
        ))
    }
}

impl AsyncWrite for SubjectWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // An empty message would end the stream.
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let this = self.get_mut();
        let nats = Arc::clone(&this.nats);
        this.poll_send(cx, || match nats.server_info().max_payload {
            0 => Err(io::ErrorKind::WriteZero.into()),
            max => Ok(Bytes::copy_from_slice(&buf[..max.min(buf.len())])),
        })
    }

    /// Does nothing: the client sends what is in its queue by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ended {
            ready!(this.poll_send(cx, || Ok(Bytes::new())))?;
            this.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for SubjectWriter {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let end = |nats: Arc<async_nats::Client>, subject: Subject| async move {
            if nats.publish(subject.clone(), Bytes::new()).await.is_err() {
                tracing::debug!(%subject, "the NATS client is closed, so a stream is left without an end");
            }
        };
        // There is room as a rule. If not, someone has to wait for it: the task ends when the client has room again or
        // is closed.
        let nats = Arc::clone(&self.nats);
        let subject = self.subject.clone();
        if end(Arc::clone(&nats), subject.clone())
            .now_or_never()
            .is_some()
        {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end(nats, subject))),
            Err(_) => {
                tracing::warn!(%subject, "no room to send the end of a stream, and no runtime to wait for it");
            }
        }
    }
}

impl fmt::Debug for SubjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectWriter")
            .field("subject", &self.subject)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
