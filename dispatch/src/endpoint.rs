use std::fmt;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use bytes::Bytes;
use futures::task::AtomicWaker;
use tokio::sync::Notify;

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

/// A function that is served on this host: where its invocations wait.
///
/// `C` is what the transport calls the context of an invocation, its headers for NATS.
pub struct Endpoint<C, B: Backend> {
    target: Arc<Target>,
    queue: Queue<Invocation<C, B>>,
    /// Told when an invocation leaves the queue, and when the queue closes.
    room: Notify,
    /// That of its registration.
    generation: OnceLock<u64>,
    /// Whether a newer endpoint of the function has taken over for good.
    superseded: AtomicBool,
    /// The task that serves this.
    serving: AtomicWaker,
}

/// The callee's side of a local call, as it waits in the queue.
pub(crate) struct Invocation<C, B: Backend> {
    pub(crate) context: C,
    pub(crate) outgoing: LocalOutgoing<B>,
    pub(crate) incoming: LocalIncoming<B>,
    pub(crate) call: Arc<Call<B>>,
    /// Bytes of parameters that came with it.
    weight: usize,
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
            generation: OnceLock::new(),
            superseded: AtomicBool::new(false),
            serving: AtomicWaker::new(),
        }
    }

    /// How many invocations wait here.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn queue(&self) -> &Queue<Invocation<C, B>> {
        &self.queue
    }

    /// Told when it is worth to offer an invocation again that was refused because the queue was full.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    /// Refuses further invocations and returns those that wait. From here on it holds nothing of who served it: the registry
    /// may keep it for a while.
    pub(crate) fn close(&self) -> impl Iterator<Item = Invocation<C, B>> {
        let left = self.queue.close();
        drop(self.serving.take());
        self.room.notify_waiters();
        left
    }

    pub(crate) fn set_generation(&self, generation: u64) {
        let _ = self.generation.set(generation);
    }

    /// Of two endpoints, the one that was registered later has the higher one. The highest there is for one that is being
    /// registered right now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.get().copied().unwrap_or(u64::MAX)
    }

    /// A newer endpoint has taken over for good: what serves this one is to end.
    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
        self.serving.wake();
    }

    pub(crate) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    /// As [`Endpoint::is_superseded`]; if not, has the task woken when that changes.
    pub(crate) fn poll_superseded(&self, waker: &Waker) -> bool {
        self.serving.register(waker);
        self.is_superseded()
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
            weight,
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

    /// Queues an invocation that waited at another endpoint of the same function.
    // The error is what was passed, and rare.
    #[allow(clippy::result_large_err)]
    pub(crate) fn adopt(&self, invocation: Invocation<C, B>) -> Result<(), Invocation<C, B>> {
        let weight = invocation.weight;
        self.queue
            .push(invocation, weight)
            .map_err(|refused| match refused {
                Refused::Full(invocation) | Refused::Closed(invocation) => invocation,
            })
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
