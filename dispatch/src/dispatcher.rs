use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::future::Either;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use inhost_registry::Scope;
use tracing::trace;
use wrpc_transport::{Invoke, Serve};

use crate::ambient::{self, Serving, Shared};
use crate::backend::Backend;
use crate::beside;
use crate::call::{CallError, Incoming, LocalIncoming, LocalOutgoing, Outgoing};
use crate::drain::Drain;
use crate::endpoint::{Endpoint, Reason};
use crate::host::Local;
use crate::observe::{Counters, Traveller};
use crate::queue::IfFull;
use crate::route::{Mode, Route};
use crate::served::{arrived, Invocations};

/// A wRPC transport that carries calls in memory when the callee is on this host, and over `R` otherwise.
///
/// One stands for one prefix, as a wRPC client does: functions are served and invoked under it. A clone shares
/// everything.
///
/// The functions that one serves, together with its clones, are one generation of a component: a
/// second dispatcher of the same prefix and scope stands by until the first has dropped what it
/// serves. See [`Local::generations`].
pub struct Dispatcher<R, C, B: Backend> {
    remote: R,
    scope: Scope,
    prefix: Arc<str>,
    local: Arc<Local<C, B>>,
    /// What it is when it serves, once that is needed: most are made for one call.
    generation: OnceLock<Generation>,
}

/// A dispatcher and its clones, as those that serve.
#[derive(Clone)]
struct Generation {
    /// Its number in the registry.
    client: u64,
    shared: Arc<Shared>,
}

impl<R, C: Send + Sync + 'static, B: Backend> Dispatcher<R, C, B> {
    /// A dispatcher for `prefix` over `remote`.
    ///
    /// `scope` is the identity of the connection under `remote`: only functions served within the same scope can
    /// be reached in memory.
    pub fn new(remote: R, scope: Scope, prefix: Arc<str>, local: Arc<Local<C, B>>) -> Self {
        Self {
            remote,
            scope,
            prefix,
            local,
            generation: OnceLock::new(),
        }
    }
}

impl<R, C, B: Backend> Dispatcher<R, C, B> {
    /// The prefix that it stands for.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn generation(&self) -> &Generation {
        self.generation.get_or_init(|| Generation {
            client: self.local.registry.client(),
            shared: Arc::new(Mutex::new(Weak::<()>::new())),
        })
    }
}

/// What a call that does not stay here takes along, and which way it is to go.
type Elsewhere<C> = (C, Bytes, Route);

/// Both streams of a local call, at the caller.
type Streams<B> = (LocalOutgoing<B>, LocalIncoming<B>);

/// Both streams of a call, at the caller.
type BothWays<B, R> = (
    Outgoing<B, <R as Invoke>::Outgoing>,
    Incoming<B, <R as Invoke>::Incoming>,
);

/// What a call that could not be queued at once takes along, its mode, and what the endpoint said, if there was one.
type NotNow<C> = (C, Bytes, Mode, Option<Reason>);

/// With `require`, a call has nowhere else to go.
fn if_full(mode: Mode) -> IfFull {
    match mode {
        Mode::Require => IfFull::Wait,
        _ => IfFull::Refuse,
    }
}

impl<R, C, B> Dispatcher<R, C, B>
where
    C: Default + Send + Sync + 'static,
    B: Backend,
{
    /// Whether the remote transport leads to another host with the function. A call of another
    /// prefix's function is one that the remote transport would take somewhere else.
    fn is_served_elsewhere(&self, prefix: &str) -> bool {
        self.local.elsewhere.serves(prefix) && *prefix == *self.prefix
    }

    /// Queues the call at an endpoint on this host, if that can be done at once.
    fn invoke_now(
        &self,
        prefix: &str,
        cx: C,
        instance: &str,
        func: &str,
        params: Bytes,
    ) -> Result<Streams<B>, NotNow<C>> {
        let local = &self.local;
        let mode = local.mode_of(prefix);
        let backend = match (mode, local.backend()) {
            (Mode::Prefer | Mode::Require, Some(backend)) => backend,
            _ => return Err((cx, params, mode, None)),
        };
        // A view is no lock: whom the offer wakes may look things up, register and remove.
        let view = local.registry.view();
        let Some(endpoint) = view.get(&self.scope, prefix, instance, func) else {
            return Err((cx, params, mode, None));
        };
        let served_elsewhere = self.is_served_elsewhere(prefix);
        if served_elsewhere && mode == Mode::Prefer && ambient::is_for_elsewhere() {
            return Err((cx, params, mode, Some(Reason::QueueFull)));
        }
        let offered = endpoint.offer(
            backend,
            local.observer(),
            cx,
            params,
            if_full(mode),
            served_elsewhere,
        );
        offered.map_err(|it| (it.context, it.params, mode, Some(it.reason)))
    }

    /// Queues the call at an endpoint on this host, if that is where it is to go.
    fn invoke_local(
        &self,
        prefix: &str,
        (mut cx, mut params, mode, before): NotNow<C>,
        instance: &str,
        func: &str,
    ) -> Result<Streams<B>, Elsewhere<C>> {
        let local = &self.local;
        let mut elsewhere = match (mode, before) {
            (Mode::Off, _) => return Err((cx, params, Route::Remote)),
            (_, Some(Reason::QueueFull)) => return Err((cx, params, Route::Spilled)),
            (Mode::Prefer, Some(Reason::Closed)) => Route::Fallback,
            (Mode::Prefer, _) => Route::Remote,
            (Mode::Require, _) => Route::Refused,
        };
        let Some(backend) = local.backend() else {
            return Err((cx, params, elsewhere));
        };
        let observer = local.observer();
        let served_elsewhere = self.is_served_elsewhere(prefix);
        let lookup = || local.registry.lookup(&self.scope, prefix, instance, func);
        while let Some(endpoint) = lookup() {
            let if_full = if_full(mode);
            let offered = endpoint.offer(backend, observer, cx, params, if_full, served_elsewhere);
            let rejected = match offered {
                Ok(streams) => return Ok(streams),
                Err(rejected) => rejected,
            };
            (cx, params) = (rejected.context, rejected.params);
            match (rejected.reason, mode) {
                (Reason::QueueFull, _) => return Err((cx, params, Route::Spilled)),
                // It has left the registry, so another look finds another endpoint, or none.
                (Reason::Closed, Mode::Prefer) => elsewhere = Route::Fallback,
                (Reason::Closed, _) => {}
            }
        }
        Err((cx, params, elsewhere))
    }
}

fn count(counters: &Counters, route: Route, prefix: &str, instance: &str, func: &str) {
    counters.count(route);
    trace!(prefix, instance, func, %route, "invoke");
}

impl<R, C, B> Dispatcher<R, C, B>
where
    R: Invoke<Context = C>,
    C: Default + Send + Sync + 'static,
    B: Backend,
{
    /// The streams of a call that was queued on this host.
    fn invoked(
        (outgoing, incoming): Streams<B>,
        prefix: &str,
        instance: &str,
        func: &str,
    ) -> BothWays<B, R> {
        beside::know_reader::<B, R::Incoming>();
        count(outgoing.counters(), Route::Local, prefix, instance, func);
        (Outgoing::local(outgoing), Incoming::local(incoming))
    }

    /// Makes a call in memory to a function of another component, the one under `prefix`, if that
    /// is where the call may go and can. It is for who knows that a call of a function of this
    /// dispatcher's comes down to one of the other.
    ///
    /// With [`Mode::Require`] for `prefix`, a call that finds the queue full waits there, as for [`Invoke::invoke`].
    ///
    /// # Errors
    ///
    /// What the call takes along, untouched: nothing ran, and nothing was counted.
    pub fn invoke_here(
        &self,
        prefix: &str,
        cx: C,
        instance: &str,
        func: &str,
        params: Bytes,
    ) -> Result<BothWays<B, R>, (C, Bytes)> {
        if Drain::of_process().is_over() {
            return Err((cx, params));
        }
        self.invoke_now(prefix, cx, instance, func, params)
            .or_else(|not_now| self.invoke_local(prefix, not_now, instance, func))
            .map(|streams| Self::invoked(streams, prefix, instance, func))
            .map_err(|(cx, params, _)| (cx, params))
    }

    /// The rest of an invocation that could not be queued at once.
    ///
    /// Boxed because the future of an invocation passes through many hands on its way to whoever
    /// awaits it, and each of them moves it; nearly all local calls are done without this, and
    /// those over the remote transport do not notice. Not inlined because a guest's stack keeps
    /// each page that was touched once, and room for this would be in the frame of each invocation.
    #[cold]
    #[inline(never)]
    fn invoke_slowly<'a, P>(
        &'a self,
        not_now: NotNow<C>,
        instance: &'a str,
        func: &'a str,
        paths: impl AsRef<[P]> + Send + 'a,
    ) -> BoxFuture<'a, anyhow::Result<BothWays<B, R>>>
    where
        P: AsRef<[Option<usize>]> + Send + Sync + 'a,
    {
        Box::pin(async move {
            let prefix = &*self.prefix;
            let (cx, params, route) = match self.invoke_local(prefix, not_now, instance, func) {
                Ok(streams) => return Ok(Self::invoked(streams, prefix, instance, func)),
                // Nothing ran, so the call may still go the other way.
                Err(elsewhere) => elsewhere,
            };
            let target = self.local.targets.get(&self.prefix, instance, func);
            count(&target.counters, route, prefix, instance, func);
            if route == Route::Refused {
                let served = self.local.registry.instances(&self.scope, prefix);
                let refused = CallError::not_served_here(prefix, instance, func, &served);
                return Err(refused.into());
            }
            let traveller = Traveller::leaves(self.local.observer(), &cx, &target, route);
            let invoked = self.remote.invoke(cx, instance, func, params, paths).await;
            let (outgoing, incoming) = invoked.inspect_err(|_| target.counters.not_sent())?;
            let outgoing = Outgoing::remote(outgoing, target, traveller.clone());
            Ok((outgoing, Incoming::remote(incoming, traveller)))
        })
    }
}

impl<R, C, B> Invoke for Dispatcher<R, C, B>
where
    R: Invoke<Context = C>,
    C: Default + Send + Sync + 'static,
    B: Backend,
{
    type Context = C;
    type Outgoing = Outgoing<B, R::Outgoing>;
    type Incoming = Incoming<B, R::Incoming>;

    /// Decides which way the call goes, and starts it.
    ///
    /// A local call is queued when this returns; it has not necessarily been taken by the callee. `paths` are
    /// passed to the remote transport only: a local call opens each path when a side asks for it.
    ///
    /// For a local call, this does not wait. When the queue is full and the mode is
    /// [`Mode::Require`], the call waits there in its turn, and its caller waits for room at the
    /// streams of its parameters; see [`Outgoing`].
    ///
    /// # Errors
    ///
    /// Those of the remote transport, and [`CallError::NotServedHere`] in an
    /// [`io::Error`](std::io::Error) when the mode is [`Mode::Require`]. Apart from that a local
    /// call does not fail here: its streams say how it went.
    ///
    /// # Cancel safety
    ///
    /// When the future of a local call is dropped, the function does not run. For a remote one, see
    /// the remote transport.
    async fn invoke<P>(
        &self,
        cx: Self::Context,
        instance: &str,
        func: &str,
        params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        if Drain::of_process().is_over() {
            // What still runs is what could not be ended.
            return Err(CallError::not_made(&self.prefix, instance, func).into());
        }
        let prefix = &*self.prefix;
        let not_now = match self.invoke_now(prefix, cx, instance, func, params) {
            Ok(streams) => return Ok(Self::invoked(streams, prefix, instance, func)),
            Err(not_now) => not_now,
        };
        self.invoke_slowly(not_now, instance, func, paths).await
    }
}

impl<R, C, B> Serve for Dispatcher<R, C, B>
where
    R: Serve<Context = C> + Clone + Send + Sync + 'static,
    C: Default + Clone + Send + Sync + 'static,
    B: Backend,
{
    type Context = C;
    type Outgoing = Outgoing<B, R::Outgoing>;
    type Incoming = Incoming<B, R::Incoming>;

    /// Serves a function on the remote transport and on this host, for as long as the stream lives
    /// and it is the turn of this dispatcher's generation of the component: see
    /// [`Local::generations`]. With [`Mode::Off`] for all targets, and without a backend, it is
    /// served on the remote transport alone, and at once.
    ///
    /// The stream hands out remote and local invocations in turn when there are both. It does not
    /// end: when the remote one has, it brings local invocations only; before its turn and after
    /// it, none.
    ///
    /// # Errors
    ///
    /// Those of the remote transport; then nothing is registered. Where the function is subscribed
    /// later, because another generation serves now, an error comes as an item of the stream.
    async fn serve(
        &self,
        instance: &str,
        func: &str,
        paths: impl Into<Arc<[Box<[Option<usize>]>]>> + Send,
    ) -> anyhow::Result<
        impl Stream<Item = anyhow::Result<(Self::Context, Self::Outgoing, Self::Incoming)>>
            + Send
            + 'static,
    > {
        ambient::note(|| {
            let shared = Arc::clone(&self.generation().shared);
            let generations = self.local.has_generations();
            let generation = generations.then(|| self.local.clients.of(self.generation().client));
            Serving::new(Arc::clone(&self.prefix), shared, generation)
        });
        beside::know::<B, R::Outgoing, R::Incoming>();
        if !self.local.has_generations() {
            let calls = self.remote.serve(instance, func, paths).await?;
            let target = self.local.targets.get(&self.prefix, instance, func);
            target.serve(ambient::has_results());
            let (limits, patience) = (self.local.limits(), self.local.patience());
            let endpoint = Arc::new(Endpoint::<C, B>::new(target, limits, patience));
            let local = Arc::clone(&self.local);
            // Each version has a subscription of its own, as on a stock host: a call stays with it.
            let calls = calls.map_ok(move |call| arrived(&local, &endpoint, None, call));
            return Ok(Either::Left(calls.chain(stream::pending())));
        }
        let serve = Invocations::serve(
            Arc::clone(&self.local),
            self.scope.clone(),
            &self.prefix,
            self.generation().client,
            self.remote.clone(),
            (instance, func),
            paths.into(),
        );
        Ok(Either::Right(serve.await?))
    }
}

impl<R: Clone, C, B: Backend> Clone for Dispatcher<R, C, B> {
    fn clone(&self) -> Self {
        Self {
            remote: self.remote.clone(),
            scope: self.scope.clone(),
            prefix: Arc::clone(&self.prefix),
            local: Arc::clone(&self.local),
            // Given now, so that both have the same.
            generation: self.generation().clone().into(),
        }
    }
}

impl<R, C, B: Backend> fmt::Debug for Dispatcher<R, C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("prefix", &self.prefix)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;
    use crate::backend::Duplex;
    use crate::endpoint::QueueLimits;
    use crate::nowhere::Nowhere;

    #[test]
    fn a_call_whose_endpoint_closed_falls_back_and_one_without_an_endpoint_does_not() {
        for (mode, before, expected) in [
            (Mode::Prefer, None, Route::Remote),
            (Mode::Prefer, Some(Reason::Closed), Route::Fallback),
            (Mode::Prefer, Some(Reason::QueueFull), Route::Spilled),
            (Mode::Require, Some(Reason::Closed), Route::Refused),
            (Mode::Off, None, Route::Remote),
        ] {
            let local = Arc::new(Local::new(Some(Duplex), mode, QueueLimits::default()));
            let scope = Scope::new(Arc::new(()));
            let dispatcher =
                Dispatcher::new(Nowhere::<()>::new(), scope, "lattice.id".into(), local);
            let not_now = ((), Bytes::new(), mode, before);
            let invoked = dispatcher.invoke_local("lattice.id", not_now, "a:b/c", "f");
            let (_, _, route) = invoked.err().expect("no one serves it");
            assert_eq!(route, expected, "{mode}, {before:?}");
        }
    }
}
