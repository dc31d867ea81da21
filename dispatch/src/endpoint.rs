use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use inhost_registry::Function;
use tracing::{debug, info, warn};

use crate::backend::Backend;
use crate::call::{Call, Home, LocalIncoming, LocalOutgoing, Patience, Way};
use crate::observe::{note_queue_full, Observer, Record, Target};
use crate::queue::{IfFull, Item, Queue, Refused, Room};

/// How many invocations may wait at one endpoint. Further ones go over the remote transport, or wait for room with
/// [`Mode::Require`](crate::Mode::Require).
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

/// A function that is served on this host: where its invocations wait, whichever generation of the
/// component takes them.
///
/// `C` is what the transport calls the context of an invocation, its headers for NATS.
pub struct Endpoint<C, B: Backend> {
    target: Arc<Target>,
    patience: Patience,
    queue: Queue<Invocation<C, B>, RemoteCalls>,
}

/// What brings the invocations from elsewhere.
///
/// When it is dropped, those that have arrived and were not taken end with it. Callers that wait for
/// results learn of it by their end. A call of a function without results is left to the transport,
/// and is not taken: it is by that alone that its caller takes it to be run.
pub(crate) struct RemoteCalls {
    calls: Box<dyn Arriving>,
    target: Arc<Target>,
}

/// A stream of invocations, whose type only those know that serve the function.
pub(crate) trait Arriving: Send {
    fn as_any(&mut self) -> &mut dyn Any;

    /// Drops the next one, if it has arrived. Says whether it had.
    fn drop_next(&mut self) -> bool;
}

/// As many invocations that have arrived are ended at most: others may arrive for as long as there is a subscription.
const MAX_ARRIVED: usize = 65_536;

/// The callee's side of a call, as it waits in the queue.
pub(crate) enum Invocation<C, B: Backend> {
    Local(LocalInvocation<C, B>),
    /// One that was taken from the remote transport, and put back.
    Remote(RemoteInvocation),
}

pub(crate) struct LocalInvocation<C, B: Backend> {
    pub(crate) context: C,
    pub(crate) outgoing: LocalOutgoing<B>,
    pub(crate) incoming: LocalIncoming<B>,
    pub(crate) call: Arc<Call<B>>,
}

pub(crate) struct RemoteInvocation {
    room: Room,
    /// Both streams, whose types only those know that serve the function.
    pub(crate) streams: Box<dyn Any + Send>,
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
    pub(crate) fn new(target: Arc<Target>, limits: QueueLimits, patience: Patience) -> Self {
        Self {
            target,
            patience,
            queue: Queue::new(limits.invocations, limits.bytes),
        }
    }

    /// How many invocations wait here.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub(crate) fn queue(&self) -> &Queue<Invocation<C, B>, RemoteCalls> {
        &self.queue
    }

    /// Queues an invocation and returns the caller's side of the call. `params` are handed over, not copied.
    ///
    /// Where it is refused when the queue is full, that is looked at before anything is made of it.
    /// When another host serves the function, too, a queue in which it would wait for long is full.
    pub(crate) fn offer(
        self: &Arc<Self>,
        backend: &B,
        observer: Option<&dyn Observer<C>>,
        context: C,
        params: Bytes,
        if_full: IfFull,
        served_elsewhere: bool,
    ) -> Result<(LocalOutgoing<B>, LocalIncoming<B>), Rejected<C>>
    where
        C: Default + Send + Sync + 'static,
    {
        if if_full == IfFull::Refuse {
            let is_full = self.queue.seems_full();
            if is_full {
                note_queue_full();
            }
            if is_full || (served_elsewhere && self.queue.seems_late()) {
                return Err(Rejected {
                    context,
                    params,
                    reason: Reason::QueueFull,
                });
            }
        }
        let record = observer.map(|observer| Record::new(observer, &context, params.len()));
        let home: Arc<dyn Home<B>> = Arc::<Self>::clone(self);
        let may_leave = served_elsewhere && if_full == IfFull::Refuse;
        let call = Call::new(home, backend.clone(), record, may_leave);
        // The caller's handles come first: an invocation without them has a caller that is gone.
        let outgoing = LocalOutgoing::root(Arc::clone(&call), Way::Params);
        let incoming = LocalIncoming::root(Arc::clone(&call), Way::Results, Bytes::new());
        let weight = params.len();
        let invocation = Invocation::Local(LocalInvocation {
            context,
            outgoing: LocalOutgoing::root(Arc::clone(&call), Way::Results),
            incoming: LocalIncoming::root(Arc::clone(&call), Way::Params, params),
            call,
        });
        match self.queue.push(invocation, weight, if_full) {
            Ok(()) => {
                if outgoing.is_beyond() {
                    note_queue_full();
                }
                Ok((outgoing, incoming))
            }
            Err(Refused::Full(invocation)) => {
                note_queue_full();
                Err(invocation.reject(Reason::QueueFull))
            }
            Err(Refused::Closed(invocation)) => Err(invocation.reject(Reason::Closed)),
        }
    }

    /// An invocation that was taken is the next one again, or is dropped.
    fn comes_first(&self, invocation: Invocation<C, B>, weight: usize) {
        if let Err(Refused::Full(refused) | Refused::Closed(refused)) =
            self.queue.put_back(invocation, weight)
        {
            self.drop_all([refused]);
        }
    }

    /// Calls that waited here did not run, and will not. Those callers learn of it that wait.
    fn drop_all(&self, invocations: impl IntoIterator<Item = Invocation<C, B>>) {
        let (mut told, mut lost) = (0, 0);
        for invocation in invocations {
            match &invocation {
                Invocation::Local(it) if it.call.is_left_alone() => lost += 1,
                Invocation::Local(it) if it.call.caller_gone() => {}
                Invocation::Remote(_) if !self.target.has_results() => lost += 1,
                _ => told += 1,
            }
        }
        did_not_run(&self.target, told, lost);
    }
}

/// Says that calls of a function which is not served any more did not run: `told` of which the
/// callers learn, and `lost` others.
fn did_not_run(target: &Target, told: usize, lost: usize) {
    let (prefix, instance, function) = (target.prefix(), target.instance(), target.function());
    if told > 0 {
        info!(
            prefix,
            instance,
            function,
            calls = told,
            "the function is not served here any more: calls that waited for it did not run"
        );
    }
    if lost > 0 {
        target.counters.lost(lost as u64);
        warn!(
            prefix,
            instance,
            function,
            calls = lost,
            "the function is not served here any more: calls that waited for it did not run, and their callers do not \
             learn of it, because it has no results"
        );
    }
}

impl RemoteCalls {
    pub(crate) fn new(calls: Box<dyn Arriving>, target: Arc<Target>) -> Self {
        Self { calls, target }
    }

    /// The stream, if it is of type `T`.
    pub(crate) fn downcast_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.calls.as_any().downcast_mut()
    }
}

impl Drop for RemoteCalls {
    fn drop(&mut self) {
        if self.target.has_results() {
            let arrived = (0..MAX_ARRIVED).take_while(|_| self.calls.drop_next());
            did_not_run(&self.target, arrived.count(), 0);
        }
    }
}

impl<C, B: Backend> Item for Invocation<C, B> {
    fn room(&self) -> &Room {
        match self {
            Self::Local(invocation) => &invocation.call.room,
            Self::Remote(invocation) => &invocation.room,
        }
    }
}

impl<C: Default + Send + Sync, B: Backend> Home<B> for Endpoint<C, B> {
    fn target(&self) -> &Arc<Target> {
        &self.target
    }

    fn patience(&self) -> Patience {
        self.patience
    }

    fn poll_grow(
        &self,
        room: &Room,
        stream: usize,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        self.queue.poll_grow(room, stream, bytes, cx)
    }

    fn shrink(&self, room: &Room, bytes: usize) {
        self.queue.shrink(room, bytes);
    }

    fn poll_within(&self, room: &Room, stream: usize, cx: &mut Context<'_>) -> Poll<()> {
        self.queue.poll_within(room, stream, cx)
    }

    fn give_up(&self, room: &Room) {
        if self.queue.remove(room).is_some() {
            debug!(function = %self.target, "a call that waited was given up: its caller has gone");
        }
    }

    fn put_back(&self, outgoing: LocalOutgoing<B>, incoming: LocalIncoming<B>) {
        let weight = incoming.first_len();
        outgoing.call().put_back();
        let invocation = LocalInvocation {
            // Whoever took it has that of the caller.
            context: C::default(),
            call: outgoing.call(),
            outgoing,
            incoming,
        };
        self.comes_first(Invocation::Local(invocation), weight);
    }

    fn put_back_remote(&self, streams: Box<dyn Any + Send>) {
        let room = Room::new();
        // What has arrived of it is not in the bounds of this queue.
        self.comes_first(Invocation::Remote(RemoteInvocation { room, streams }), 0);
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
        let (remote, invocations, woken) = self.queue.close();
        Closed {
            endpoint: self,
            _remote: remote,
            invocations,
            woken,
        }
    }
}

/// What an endpoint held when it closed. Dropping it tells the callers that their calls did not run.
struct Closed<'a, C, B: Backend> {
    endpoint: &'a Endpoint<C, B>,
    _remote: Option<RemoteCalls>,
    invocations: VecDeque<Invocation<C, B>>,
    /// Who waited for room.
    woken: Vec<Waker>,
}

impl<C, B: Backend> Drop for Closed<'_, C, B> {
    fn drop(&mut self) {
        self.endpoint.drop_all(mem::take(&mut self.invocations));
        self.woken.drain(..).for_each(Waker::wake);
    }
}

impl<C, B: Backend> Invocation<C, B> {
    /// That of an invocation which was offered.
    fn reject(self, reason: Reason) -> Rejected<C> {
        let Self::Local(invocation) = self else {
            unreachable!("only local invocations are offered");
        };
        invocation.call.goes_elsewhere();
        Rejected {
            context: invocation.context,
            params: invocation.incoming.into_first(),
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
