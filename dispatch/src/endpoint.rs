use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use inhost_registry::Function;
use tokio::sync::Notify;
use tracing::info;

use crate::backend::Backend;
use crate::call::{Call, Way};
use crate::incoming::LocalIncoming;
use crate::observer::{Left, Observer, Record};
use crate::outgoing::LocalOutgoing;
use crate::queue::{Queue, Refused};
use crate::target::Target;

/// How many invocations may wait at one endpoint. Further ones go over the remote transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The number of invocations that may wait. The default is 1,024.
    pub invocations: NonZeroUsize,
    /// The number of parameter bytes that may wait, in all of them together. An invocation with more bytes than
    /// that may wait alone. The default is 64 MiB.
    pub bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            invocations: const { NonZeroUsize::new(1024).unwrap() },
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// A function that is served on this host: where its invocations wait, whichever generation of the component takes them.
///
/// `C` is what the transport calls the context of an invocation, its headers for NATS.
pub struct Endpoint<C, B: Backend> {
    target: Arc<Target>,
    queue: Queue<Invocation<C, B>, RemoteCalls>,
    /// Told when an invocation leaves the queue, and when the queue closes.
    room: Notify,
}

/// What brings the invocations from elsewhere: a stream, whose type only those know that serve the function.
pub(crate) type RemoteCalls = Box<dyn Any + Send>;

/// The callee's side of a local call, as it waits in the queue.
pub(crate) struct Invocation<C, B: Backend> {
    pub(crate) context: C,
    pub(crate) outgoing: LocalOutgoing<B>,
    pub(crate) incoming: LocalIncoming<B>,
    pub(crate) call: Arc<Call<B>>,
}

/// An invocation that an endpoint did not take. Nothing ran.
pub(crate) struct Rejected<C> {
    pub(crate) context: C,
    pub(crate) params: Bytes,
    pub(crate) reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    QueueFull,
    Closed,
}

impl<C, B: Backend> Endpoint<C, B> {
    pub(crate) fn new(target: Arc<Target>, limits: QueueLimits) -> Self {
        Self {
            target,
            queue: Queue::new(limits.invocations, limits.bytes),
            room: Notify::new(),
        }
    }

    /// How many invocations wait here.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn queue(&self) -> &Queue<Invocation<C, B>, RemoteCalls> {
        &self.queue
    }

    /// Told when it is worth to offer an invocation again that was refused because the queue was full.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    /// Queues an invocation and returns the caller's side of the call. `params` are handed over, not copied.
    pub(crate) fn offer(
        &self,
        backend: &B,
        observer: Option<&dyn Observer<C>>,
        context: C,
        params: Bytes,
    ) -> Result<(LocalOutgoing<B>, LocalIncoming<B>), Rejected<C>>
    where
        C: 'static,
    {
        let record = observer.map(|observer| Record::new(observer.begins(&context), params.len()));
        let call = Call::observed(Arc::clone(&self.target), backend.clone(), record);
        // The caller's handles come first: an invocation without them has a caller that is gone.
        let outgoing = LocalOutgoing::root(Arc::clone(&call), Way::Params);
        let incoming = LocalIncoming::root(Arc::clone(&call), Way::Results, Bytes::new());
        let weight = params.len();
        let invocation = Invocation {
            context,
            outgoing: LocalOutgoing::root(Arc::clone(&call), Way::Results),
            incoming: LocalIncoming::root(Arc::clone(&call), Way::Params, params),
            call,
        };
        match self.queue.push(invocation, weight) {
            Ok(()) => Ok((outgoing, incoming)),
            Err(Refused::Full(invocation)) => Err(invocation.reject(Reason::QueueFull)),
            Err(Refused::Closed(invocation)) => Err(invocation.reject(Reason::Closed)),
        }
    }

    /// As [`Endpoint::offer`], and waits for as long as the queue is full.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, nothing was queued.
    pub(crate) async fn offer_until_taken(
        &self,
        backend: &B,
        observer: Option<&dyn Observer<C>>,
        mut context: C,
        mut params: Bytes,
    ) -> Result<(LocalOutgoing<B>, LocalIncoming<B>), Rejected<C>>
    where
        C: 'static,
    {
        loop {
            let mut room = pin!(self.room.notified());
            // From here on it is not missed when an invocation leaves.
            room.as_mut().enable();
            match self.offer(backend, observer, context, params) {
                Err(full) if full.reason == Reason::QueueFull => {
                    (context, params) = (full.context, full.params);
                }
                offered => return offered,
            }
            room.await;
        }
    }
}

impl<C, B: Backend> Function for Endpoint<C, B> {
    fn pause(&self) -> Option<Waker> {
        self.queue.pause()
    }

    fn give(&self, reader: u64) -> Option<Waker> {
        self.queue.give(reader)
    }

    /// Ends the remote subscription.
    fn release(&self) {
        drop(self.queue.take_source());
    }

    fn close(&self) -> impl Sized {
        let (remote, invocations) = self.queue.close();
        Closed {
            endpoint: self,
            _remote: remote,
            invocations,
        }
    }
}

/// What an endpoint held when it closed. Dropping it tells the callers that their calls did not run.
struct Closed<'a, C, B: Backend> {
    endpoint: &'a Endpoint<C, B>,
    _remote: Option<RemoteCalls>,
    invocations: Vec<Invocation<C, B>>,
}

impl<C, B: Backend> Drop for Closed<'_, C, B> {
    fn drop(&mut self) {
        self.endpoint.room.notify_waiters();
        self.invocations.retain(|it| !it.call.caller_gone());
        if self.invocations.is_empty() {
            return;
        }
        let Target {
            prefix,
            instance,
            function,
            ..
        } = &*self.endpoint.target;
        info!(
            prefix = &**prefix,
            instance = &**instance,
            function = &**function,
            calls = self.invocations.len(),
            "the function is not served here any more: calls that waited for it did not run"
        );
    }
}

impl<C, B: Backend> Invocation<C, B> {
    fn reject(self, reason: Reason) -> Rejected<C> {
        self.call.left(Left::Elsewhere);
        Rejected {
            context: self.context,
            params: self.incoming.into_first(),
            reason,
        }
    }
}

impl<C, B: Backend> fmt::Debug for Endpoint<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("target", &self.target)
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
