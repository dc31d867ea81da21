//! One invocation of an export, from an empty store to the last byte of the results.

pub(crate) mod callers;
pub(crate) mod component;
pub(crate) mod export;
pub(crate) mod kept;
pub(crate) mod limit;
pub(crate) mod reuse;
pub(crate) mod room;

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::{pin, Pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{anyhow, Context as _};
use inhost_dispatch::{Caller, Serving};
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::component::{Func, InstancePre};
use wasmtime::{AsContextMut, Store, Trap};
use wasmtime_wasi::WasiView;
use wrpc_transport::Index;

use crate::instance::export::{Export, NotExported};
use crate::instance::kept::{Kept, Ready};
use crate::instance::limit::Since;
use crate::instance::room::{is_no_room, Room, WHAT_TO_DO};
use crate::invocation::peer::Peer;
use crate::invocation::step::Step;
use crate::turns::{self, Seat, Turns};
use crate::values::{run, Received};
use crate::view::{self, WrpcView};

/// A component that is ready to be instantiated, with what makes a store for an instance of it.
///
/// Each [`call`](Instance::call) has a store and an instance of its own, so that nothing that a guest leaves behind
/// reaches the next invocation, unless [`reuse`](Instance::reuse) says otherwise. A clone is the same one.
pub struct Instance<T: 'static> {
    pre: InstancePre<T>,
    store: Arc<dyn Fn() -> Store<T> + Send + Sync>,
    /// Those that may serve another invocation. `None` when no instance serves more than one.
    kept: Option<Arc<Kept<T>>>,
    room: Arc<Room>,
    /// How long an invocation may take, as its store has it: known from the first one.
    limit: Arc<OnceLock<Option<Duration>>>,
}

impl<T> Instance<T>
where
    T: WasiView + WrpcView + 'static,
{
    /// An instance of `pre`, in stores that `store` makes.
    ///
    /// The store's own limits are in force: its epoch deadline, its resource limiter, and
    /// [`WrpcView::timeout`], for a whole invocation and for what the guest calls in it. `store` is
    /// called once for each invocation, within its future.
    pub fn new(pre: InstancePre<T>, store: impl Fn() -> Store<T> + Send + Sync + 'static) -> Self {
        Self {
            room: Room::of(pre.engine()),
            pre,
            store: Arc::new(store),
            kept: None,
            limit: Arc::default(),
        }
    }

    /// Lets an instance serve up to `calls` invocations, one after the other, instead of a single one.
    ///
    /// What a guest leaves in its memory, its globals and its tables is there in the next
    /// invocation that the same instance serves: which one that is, no caller can tell. So is what
    /// its store holds: open handles, and the random numbers and the start of the clock of a
    /// `WasiCtx`. An instance is dropped when an invocation of it fails in whatever step, traps,
    /// exceeds its time, or is cancelled.
    ///
    /// As many instances wait for their next invocation as have run at the same time. One ends when
    /// it has waited for five to ten seconds, if there is a tokio runtime with timers; when the
    /// engine's pool has no room for another one, of whichever component; and when it holds more
    /// than about a thousand handles.
    ///
    /// For each invocation, the store's epoch deadline is set anew, to as many ticks as
    /// [`WrpcView::timeout`] has seconds; without one it stays as it is. A function with resources
    /// in its signature has a new instance for each invocation all the same.
    #[must_use]
    pub fn reuse(mut self, calls: NonZeroU32) -> Self {
        self.kept = (calls.get() > 1).then(|| Kept::new(calls, &self.room));
        self
    }

    /// As [`reuse`](Self::reuse), with those that another function of the component reuses.
    pub(crate) fn reuse_with(mut self, calls: NonZeroU32, serving: &Serving) -> Self {
        self.kept = (calls.get() > 1).then(|| serving.shared(|| Kept::new(calls, &self.room)));
        self
    }

    /// Looks up the function `name` of the exported instance `instance`, or of the component itself when `instance` is
    /// empty. What does not depend on a single invocation is done here.
    ///
    /// # Errors
    ///
    /// [`NotExported`] when the component has no such function.
    pub fn export(&self, instance: &str, name: &str) -> Result<Export, NotExported> {
        Export::resolve(self.pre.component(), instance, name)
    }

    /// Runs one invocation of `export`: reads its parameters from `params`, makes a store,
    /// instantiates the component in it, finds the function, calls it, writes its results to
    /// `results` and shuts that stream down. The function's types, the guest's resources and the
    /// way that values take are known from `export`.
    ///
    /// `params` stays open until the end, so that a peer that is still sending does not fail. When the call fails,
    /// `results` is not shut down: what its peer sees when it is dropped is up to the transport. Streams without
    /// nested paths can be passed in a [`Root`](crate::Root).
    ///
    /// From its beginning to the last byte of the results, the invocation has two seconds more than
    /// the store's [`timeout`](WrpcView::timeout), which is taken to be the same for all
    /// invocations. Then it ends at its next await, also when it waits for its parameters.
    ///
    /// When the engine's pool has no room for an instance, those that wait for their next
    /// invocation are given back, of whichever component, until there is.
    ///
    /// # Errors
    ///
    /// [`CallFailed`], which says in which step.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call at its next await: the instance and its store are dropped, and with them all
    /// that the guest has in flight. What the guest has done outside cannot be undone.
    ///
    /// # Panics
    ///
    /// When the engine has no async support, and outside of a tokio runtime with timers when the store has a time-out.
    pub async fn call<I, O>(
        &self,
        export: &Export,
        params: &mut I,
        results: &mut O,
    ) -> Result<(), CallFailed>
    where
        I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
        O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    {
        let seat = Seat::default();
        let caller = Caller::of(results);
        let mut peer = Peer {
            params,
            results,
            caller: caller.as_ref(),
        };
        self.call_since(Since::now(), &seat, export, &mut peer)
            .await
    }

    /// How long an invocation may take. A store is made to find that out, once.
    pub(crate) fn limit(&self) -> Option<Duration> {
        let find_out = || view::limit((self.store)().data());
        *self.limit.get_or_init(find_out)
    }

    /// As [`Instance::call`], of an invocation that came from `peer` before now, and may have taken `seat`.
    pub(crate) async fn call_since<I, O>(
        &self,
        since: Since,
        seat: &Seat,
        export: &Export,
        peer: &mut Peer<'_, I, O>,
    ) -> Result<(), CallFailed>
    where
        I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
        O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    {
        let failed = |step| move |source| CallFailed::new(export, step, source);
        if export.needs_shared_instance() {
            return Err(failed(Step::Resolve)(anyhow!(
                "it passes a resource that the component itself exports, and the instance that holds it ends with this \
                 invocation; such functions need an instance for many invocations"
            )));
        }

        // The first invocation tells what all of them may take.
        let mut store = None;
        let limit = *self.limit.get_or_init(|| {
            let made = (self.store)();
            let limit = view::limit(made.data());
            store = Some(made);
            limit
        });
        let turn = || seat.take(export.line(), since.came());
        // Pinned because it is large: to hand it on would be to move it.
        let invocation = pin!(self.invoke(export, peer, store, turn));
        let called = within(since, limit, export, seat, invocation).await;
        if matches!(&called, Err(error) if error.step == Step::NoRoom) {
            self.room.was_used_up();
        }
        called
    }

    /// Runs an invocation, in `store` if there is one and the invocation needs one of its own. It
    /// begins when `turn` has returned.
    async fn invoke<I, O, F>(
        &self,
        export: &Export,
        peer: &mut Peer<'_, I, O>,
        store: Option<Store<T>>,
        turn: impl FnOnce() -> F,
    ) -> Result<(), CallFailed>
    where
        F: Future<Output = ()>,
        I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
        O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    {
        let failed = |step| move |source| CallFailed::new(export, step, source);
        // A peer that takes its time to send parameters takes no instance.
        let received = export.receive(peer.params).await?;
        turn().await;
        let kept = self.kept.as_ref().filter(|_| !export.has_resources());
        let ready = self.ready(kept, store).await;
        let mut ready = ready.map_err(|(step, source)| failed(step)(source))?;
        let func = ready
            .instance
            .get_func(&mut ready.store, export.index())
            .context("the instance does not have the function of its component")
            .map_err(failed(Step::Resolve))?;
        call(&mut ready.store, func, export, received, peer).await?;
        if let Some(kept) = kept {
            // One that failed or was cancelled does not get here.
            kept.keep(ready);
        }
        Ok(())
    }

    /// An instance that waits for its next invocation, or a new one, in `store` if there is one.
    ///
    /// # Errors
    ///
    /// That of wasmtime, with [`Step::NoRoom`] when the pool is used up and nothing ran, else with
    /// [`Step::Instantiate`].
    async fn ready(
        &self,
        kept: Option<&Arc<Kept<T>>>,
        mut store: Option<Store<T>>,
    ) -> Result<Ready<T>, (Step, anyhow::Error)> {
        loop {
            if let Some(ready) = kept.and_then(|kept| kept.take()) {
                return Ok(ready);
            }
            let mut made = store.take().unwrap_or_else(|| (self.store)());
            turns::begin(&mut made);
            let error = match self.pre.instantiate_async(&mut made).await {
                Ok(instance) => return Ok(Ready::new(made, instance)),
                Err(error) => error,
            };
            // Modules are made one after the other, and one that has started may have called a peer.
            if !is_no_room(&error) || made.data_mut().shared_resources().has_called() {
                return Err((Step::Instantiate, error));
            }
            // What was made of it has room, too.
            drop(made);
            if !self.room.give_back() {
                return Err((Step::NoRoom, error));
            }
        }
    }
}

/// Runs an invocation for as long as it may take. `seat` is the one that it takes when it begins.
///
/// # Errors
///
/// That of the invocation, or [`CallFailed`] with [`Step::TimedOut`].
pub(crate) async fn within(
    since: Since,
    limit: Option<Duration>,
    export: &Export,
    seat: &Seat,
    invocation: Pin<&mut impl Future<Output = Result<(), CallFailed>>>,
) -> Result<(), CallFailed> {
    let turns = Turns::new(since.came(), export.line(), seat);
    let called = since.within(limit, turns, invocation).await;
    let limit = limit.unwrap_or_default();
    let called = called.unwrap_or_else(|| {
        let source = anyhow!(
            "the maximum execution time, {limit:?}, bounds all of an invocation: waiting for an instance, receiving its \
             parameters, running, and sending its results"
        );
        Err(CallFailed::new(export, Step::TimedOut, source))
    });
    called.map_err(|mut error| {
        if error.source.downcast_ref() == Some(&Trap::Interrupt) {
            inhost_dispatch::note_time_used_up();
            error.source = error.source.context(format!(
                "it computed for longer than the maximum execution time, {limit:?} (`--max-execution-time-ms`)"
            ));
        }
        error
    })
}

impl Export {
    /// Receives the parameters, as far as that needs no instance: an error in the middle of
    /// lowering would leave it unusable.
    ///
    /// # Errors
    ///
    /// [`CallFailed`] with [`Step::Parameters`], and with [`Step::Resolve`] when no guest can be
    /// called with such types.
    pub(crate) async fn receive<I>(&self, params: &mut I) -> Result<Received<'_>, CallFailed>
    where
        I: AsyncRead + Unpin + 'static,
    {
        let signature = self.values()?;
        let types = Some(&**self.signature());
        let received = Received::from(params, signature, types, self.memory()).await;
        received.map_err(|error| CallFailed::new(self, Step::Parameters, error.into()))
    }
}

/// Calls `func`, which is `export` of an instance in `store`, for `peer`, with what was received of its parameters.
///
/// # Errors
///
/// [`CallFailed`], which says in which step.
pub(crate) async fn call<C, I, O>(
    store: C,
    func: Func,
    export: &Export,
    received: Received<'_>,
    peer: &mut Peer<'_, I, O>,
) -> Result<(), CallFailed>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    run(store, func, export.values()?, received, peer)
        .await
        .map_err(|(step, source)| match step {
            // To enter a guest takes a stack of the pool.
            Step::Call if is_no_room(&source) => CallFailed::new(export, Step::NoRoom, source),
            _ => CallFailed::new(export, step, source),
        })
}

impl<T> Clone for Instance<T> {
    fn clone(&self) -> Self {
        Self {
            pre: self.pre.clone(),
            store: Arc::clone(&self.store),
            kept: self.kept.clone(),
            room: Arc::clone(&self.room),
            limit: Arc::clone(&self.limit),
        }
    }
}

impl<T> fmt::Debug for Instance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

/// An invocation that failed: of which function, in which step, and, as its source, why.
#[derive(Debug, thiserror::Error)]
#[error("`{function}` failed: {step}")]
pub struct CallFailed {
    function: Arc<str>,
    step: Step,
    source: anyhow::Error,
}

impl CallFailed {
    pub(crate) fn new(export: &Export, step: Step, source: anyhow::Error) -> Self {
        let source = match step {
            Step::NoRoom => source.context(WHAT_TO_DO),
            _ => source,
        };
        Self {
            function: Arc::clone(export.name()),
            step,
            source,
        }
    }

    /// In which step it failed.
    pub fn step(&self) -> Step {
        self.step
    }
}
