use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;

use crate::backend::Backend;
use crate::call::{Call, Way};
use crate::error::Target;
use crate::incoming::LocalIncoming;
use crate::outgoing::LocalOutgoing;
use crate::queue::{Queue, Refused};

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
    pub(crate) fn new(
        prefix: Arc<str>,
        instance: &str,
        function: &str,
        limits: QueueLimits,
    ) -> Self {
        Self {
            target: Arc::new(Target {
                prefix,
                instance: instance.into(),
                function: function.into(),
            }),
            queue: Queue::new(limits.invocations, limits.bytes),
        }
    }

    /// How many invocations wait here.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn queue(&self) -> &Queue<Invocation<C, B>> {
        &self.queue
    }

    /// Queues an invocation and returns the caller's side of the call. `params` are handed over, not copied.
    pub(crate) fn offer(
        &self,
        backend: &B,
        context: C,
        params: Bytes,
    ) -> Result<(LocalOutgoing<B>, LocalIncoming<B>), Rejected<C>> {
        let call = Call::new(Arc::clone(&self.target), backend.clone());
        let (params_writer, params_reader) = backend.stream();
        let (results_writer, results_reader) = backend.stream();
        // The caller's handles come first: an invocation without them has a caller that is gone.
        let outgoing = LocalOutgoing::root(Arc::clone(&call), Way::Params, params_writer);
        let incoming = LocalIncoming::root(
            Arc::clone(&call),
            Way::Results,
            Bytes::new(),
            results_reader,
        );
        let weight = params.len();
        let invocation = Invocation {
            context,
            outgoing: LocalOutgoing::root(Arc::clone(&call), Way::Results, results_writer),
            incoming: LocalIncoming::root(Arc::clone(&call), Way::Params, params, params_reader),
            call,
            weight,
        };
        match self.queue.push(invocation, weight) {
            Ok(()) => Ok((outgoing, incoming)),
            Err(Refused::Full(invocation)) => Err(invocation.reject(Reason::QueueFull)),
            Err(Refused::Closed(invocation)) => Err(invocation.reject(Reason::Closed)),
        }
    }

    /// Queues an invocation that waited at another endpoint of the same function.
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
