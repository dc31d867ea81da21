use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::incoming::LocalIncoming;
use super::outgoing::LocalOutgoing;
use super::patience::Patience;
use crate::backend::Backend;
use crate::observe::Target;
use crate::queue::Room;

/// The endpoint that a call is queued at, as the call knows it: without the type of contexts.
pub(crate) trait Home<B: Backend>: Send + Sync {
    fn target(&self) -> &Arc<Target>;

    /// What a callee puts up with from its callers.
    fn patience(&self) -> Patience;

    /// See [`Queue::poll_grow`](crate::queue::Queue::poll_grow).
    fn poll_grow(
        &self,
        room: &Room,
        stream: usize,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize>;

    /// See [`Queue::shrink`](crate::queue::Queue::shrink).
    fn shrink(&self, room: &Room, bytes: usize);

    /// See [`Queue::poll_within`](crate::queue::Queue::poll_within).
    fn poll_within(&self, room: &Room, stream: usize, cx: &mut Context<'_>) -> Poll<()>;

    /// Gives up a call that waits in `room`, because no one waits for it. It says nothing if the call is not there.
    fn give_up(&self, room: &Room);

    /// Puts a call back that was taken and has not started: its streams at the callee, as they
    /// were. When it cannot come back, because the function is not served any more, the caller
    /// learns that it did not run.
    fn put_back(&self, outgoing: LocalOutgoing<B>, incoming: LocalIncoming<B>);

    /// As [`Home::put_back`], for a call that came over the remote transport. `streams` are what
    /// those take out again that serve the function: the type is known to them alone.
    fn put_back_remote(&self, streams: Box<dyn Any + Send>);
}
