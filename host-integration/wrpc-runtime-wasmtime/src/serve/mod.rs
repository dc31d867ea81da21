//! Exports of a component, served to peers.

mod admitted;
pub(crate) mod serving;

use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use anyhow::{anyhow, Context as _};
use futures::{Stream, TryStreamExt as _};
use inhost_codec::Signature;
use inhost_dispatch::{with_serving, Caller, Drain, Route};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::{debug, instrument, Instrument as _, Span};
use wasmtime::component::{types, InstancePre, ResourceType};
use wasmtime::{AsContextMut as _, Store};
use wasmtime_wasi::{InputStream, WasiView};
use wrpc_transport::Serve;

use crate::instance::component::Known;
use crate::instance::export::Export;
use crate::instance::limit::Since;
use crate::instance::reuse;
use crate::instance::{self, CallFailed, Instance};
use crate::invocation::memory;
use crate::invocation::name::{full_name, rpc_func_name};
use crate::invocation::peer::Peer;
use crate::invocation::span::within;
use crate::invocation::step::Step;
use crate::serve::admitted::{Admissions, Turn};
use crate::serve::serving::with_type;
use crate::turns::Seat;
use crate::types::{Budget, Function};
use crate::view::{self, WrpcView};

/// An invocation that runs when it is polled.
type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'static>>;

/// Serves functions of components. Implemented for every transport.
pub trait ServeExt: Serve {
    /// Serves the function `name` of the exported instance `instance_name` (of the component itself when that is
    /// empty), each invocation with a store of its own from `store` and an instance of its own of `instance_pre`.
    ///
    /// The returned stream has an item for each invocation: its context, and a future that runs it with
    /// [`Instance::call`]. The function is served for as long as the stream lives. When an invocation fails, a caller
    /// on this host gets its error; a remote one gets what the transport makes of a stream that is not shut down.
    ///
    /// Functions with resources that the component itself exports need
    /// [`serve_function_shared`](Self::serve_function_shared).
    ///
    /// # Errors
    ///
    /// When the component has no such function, and those of the transport.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of an invocation ends the guest at its next await. When it was not
    /// polled before, the invocation is put back, as it is when the generation of the component ends
    /// before it is polled; see [`put_back`](inhost_dispatch::put_back). It ends by itself, with an
    /// error, when it has a caller on this host and that caller has gone; ten seconds later if that
    /// has cut a stream of the parameters off.
    #[instrument(level = "trace", skip(self, store, instance_pre, ty))]
    fn serve_function<T>(
        &self,
        store: impl Fn() -> Store<T> + Send + 'static,
        instance_pre: InstancePre<T>,
        ty: types::ComponentFunc,
        instance_name: &str,
        name: &str,
    ) -> impl Future<
        Output = anyhow::Result<
            impl Stream<Item = anyhow::Result<(Self::Context, Running)>> + Send + 'static,
        >,
    > + Send
    where
        T: WasiView + WrpcView + 'static,
    {
        let span = Span::current();
        async move {
            // Upstream asks for no `Sync` here, so neither can we.
            let store = StdMutex::new(store);
            let instance = Instance::new(instance_pre, move || {
                store.lock().unwrap_or_else(PoisonError::into_inner)()
            });
            let export = instance.export(instance_name, name)?;
            let paths = export.paths();
            let takes_streams = !paths.is_empty();
            let serve = self.serve(instance_name, rpc_func_name(name), paths);
            let (invocations, serving) = with_serving(export.answers(), with_type(ty, serve)).await;
            let invocations = invocations?;
            let reused = serving.as_ref();
            let reused = reused.and_then(|it| Some((reuse::of(it.prefix())?, it)));
            let instance = match reused {
                Some((calls, serving)) => {
                    debug!(function = &**export.name(), calls, "instances are reused");
                    instance.reuse_with(calls, serving)
                }
                None => instance,
            };
            let admissions = Admissions::of(serving.as_ref());
            let served = Arc::new((instance, export, serving, span));
            Ok(invocations.map_ok(move |(cx, results, params)| {
                let served = Arc::clone(&served);
                let admitted = admissions.admit(results, params);
                let running: Running = Box::pin(async move {
                    let (instance, export, serving, span) = &*served;
                    let (since, seat) = (admitted.since(), Seat::default());
                    // The caller of one without results has gone on: at a stop there would be no one
                    // left who could be told. It stays with the version that has taken it, as on a
                    // stock host.
                    if export.answers() && export.line().is_full() {
                        let limit = instance.limit();
                        let turn = admitted.turn(&seat, limit, export, serving.as_ref());
                        if Box::pin(turn).await == Turn::Others {
                            left_to_others(export);
                            return Ok(());
                        }
                    }
                    let Some((mut results, mut params, caller)) = admitted.begin() else {
                        left_to_others(export);
                        return Ok(());
                    };
                    let caller = caller.as_ref();
                    let mut peer = Peer {
                        params: &mut params,
                        results: &mut results,
                        caller,
                    };
                    let call = pin!(instance.call_since(since, &seat, export, &mut peer));
                    let time = Time {
                        since,
                        seat: &seat,
                        limit: &|| instance.limit(),
                    };
                    within(span, run(export, takes_streams, caller, time, call)).await
                });
                (cx, running)
            }))
        }
    }

    /// As [`serve_function`](Self::serve_function), with one store and one instance for all invocations, which run one
    /// after the other. It is for functions with the resources that the component itself exports: their handles live in
    /// the store's [`shared_resources`](WrpcView::shared_resources).
    ///
    /// `guest_resources` are those resource types.
    ///
    /// # Errors
    ///
    /// When the instance has no such function, and those of the transport.
    ///
    /// # Cancel safety
    ///
    /// As [`serve_function`](Self::serve_function). wasmtime refuses to enter an instance in which an invocation has
    /// ended early: those that follow fail.
    #[instrument(level = "trace", skip(self, store, instance, guest_resources, ty))]
    fn serve_function_shared<T>(
        &self,
        store: Arc<Mutex<Store<T>>>,
        instance: wasmtime::component::Instance,
        guest_resources: impl Into<Arc<[ResourceType]>>,
        ty: types::ComponentFunc,
        instance_name: &str,
        name: &str,
    ) -> impl Future<
        Output = anyhow::Result<
            impl Stream<Item = anyhow::Result<(Self::Context, Running)>> + Send + 'static,
        >,
    > + Send
    where
        T: WasiView + WrpcView + 'static,
    {
        let span = Span::current();
        let guest_resources = guest_resources.into();
        async move {
            let (index, func, types, limit, memory) = {
                let mut store = store.lock().await;
                let limit = view::limit(store.data());
                let memory = memory::limit(store.engine());
                let parent = match instance_name {
                    "" => None,
                    instance_name => Some(
                        instance
                            .get_export(store.as_context_mut(), None, instance_name)
                            .with_context(|| {
                                format!("instance `{instance_name}` is not exported")
                            })?,
                    ),
                };
                let index = instance.get_export(store.as_context_mut(), parent.as_ref(), name);
                index.and_then(|index| {
                    let func = instance.get_func(store.as_context_mut(), index)?;
                    let params = func.params(store.as_context_mut());
                    let results = func.results(store.as_context_mut());
                    let is_stream = |ty| ty == ResourceType::host::<InputStream>();
                    let params = params.into_vec().into_iter();
                    let results = results.into_vec().into_iter();
                    let types = Function::with(params, results, is_stream, &Budget::default());
                    Some((index, func, types, limit, memory))
                })
            }
            .with_context(|| {
                format!(
                    "function `{}` is not exported",
                    full_name(instance_name, name)
                )
            })?;
            let name_in_full = full_name(instance_name, name);
            let component = Arc::new(Known::of_guest(&guest_resources));
            let export = Export::new(name_in_full, index, &ty, types, component, memory);
            let paths = export.paths();
            let takes_streams = !paths.is_empty();
            let serve = self.serve(instance_name, rpc_func_name(name), paths);
            let serve = with_serving(export.answers(), with_type(ty, serve));
            let (invocations, serving) = serve.await;
            let invocations = invocations?;
            let admissions = Admissions::of(serving.as_ref());
            Ok(invocations.map_ok(move |(cx, results, params)| {
                let (store, export) = (Arc::clone(&store), export.clone());
                let admitted = admissions.admit(results, params);
                let running = async move {
                    let since = admitted.since();
                    let Some((mut results, mut params, caller)) = admitted.begin() else {
                        left_to_others(&export);
                        return Ok(());
                    };
                    let caller = caller.as_ref();
                    let mut peer = Peer {
                        params: &mut params,
                        results: &mut results,
                        caller,
                    };
                    let call = pin!(async {
                        // Before the store is taken, for which others wait.
                        let received = export.receive(peer.params).await?;
                        let mut store = store.lock().await;
                        instance::call(&mut *store, func, &export, received, &mut peer).await
                    });
                    let seat = Seat::default();
                    let call = pin!(instance::within(since, limit, &export, &seat, call));
                    let time = Time {
                        since,
                        seat: &seat,
                        limit: &|| limit,
                    };
                    run(&export, takes_streams, caller, time, call).await
                };
                (cx, Box::pin(running.instrument(span.clone())) as Running)
            }))
        }
    }
}

impl<T: Serve> ServeExt for T {}

/// The invocation was put back, so the next generation of the component runs it, if there is one.
fn left_to_others(export: &Export) {
    debug!(function = &**export.name(), "left to the next generation");
}

/// For how long a callee may go on whose stream of parameters has broken off with its caller: it
/// learns of that by the stream, and cleans up.
const CLEANING_UP: Duration = Duration::from_secs(10);

/// How long it takes at most until a guest that computes is stopped.
const STOPPING: Duration = Duration::from_secs(1);

/// What is known of the time that an invocation takes.
struct Time<'a> {
    since: Since,
    /// Says whether it computes.
    seat: &'a Seat,
    /// How long it may take.
    limit: &'a (dyn Fn() -> Option<Duration> + Send + Sync),
}

impl Time<'_> {
    /// Whether the guest has computed until its caller, which waits for as long, went.
    fn is_used_up(&self) -> bool {
        let is_over = |limit| self.since.is_over_for_caller(limit);
        self.seat.computes() && (self.limit)().is_some_and(is_over)
    }
}

/// Runs `call` for as long as its caller is there and the process goes on, and tells the caller when it fails.
///
/// The stream of the results must outlive this: once it is dropped, it is too late to say why.
async fn run(
    export: &Export,
    takes_streams: bool,
    caller: Option<&Caller>,
    time: Time<'_>,
    // Pinned by whoever made it: it is large, and to hand it over would be to move it.
    call: Pin<&mut impl Future<Output = Result<(), CallFailed>>>,
) -> anyhow::Result<()> {
    let Some(caller) = caller else {
        return run_remote(export, call).await;
    };
    let gone = || {
        anyhow!(
            "`{}` was ended: its caller has gone, so there is no one to read its results",
            export.name()
        )
    };
    // It may have gone while the invocation waited for its turn. Then the function does not run at all.
    if caller.has_gone() {
        return Err(gone());
    }
    let run = Drain::of_process().run(Route::Local);
    if run.is_over() {
        // The caller, which was not told that it started, learns that it did not run.
        return Err(not_begun(export));
    }
    caller.started();
    inhost_dispatch::starts(Route::Local);
    let mut call = pin!(async {
        match caller.types().and_then(|types| types.downcast().ok()) {
            Some(theirs) if !export.agrees_with(&theirs) => Err(mismatch(export, &theirs)),
            _ => call.await,
        }
    });
    let called = tokio::select! {
        // A call that is done is done, whatever its caller does next.
        biased;
        called = &mut call => called,
        () = caller.gone() => {
            if run.is_over() {
                return Err(gone());
            }
            let rest = if takes_streams && caller.broke_off() {
                // Also one that computes: it may have begun to clean up.
                CLEANING_UP
            } else if time.is_used_up() {
                // So that it is said where it was: it is stopped there.
                time.seat.end();
                STOPPING
            } else {
                return Err(gone());
            };
            tokio::select! {
                called = timeout(rest, call) => called.map_err(|_| gone())?,
                () = run.over() => Err(stopped(export)),
            }
        }
        () = run.over() => Err(stopped(export)),
    };
    called.map_err(|error| {
        match error.step() {
            Step::NoRoom => caller.refused(&error),
            Step::Stopped | Step::TimedOut => caller.cut_off(&error),
            _ => caller.failed(&error),
        }
        error.into()
    })
}

/// As [`run`], for a caller elsewhere. It is told nothing but that there are no results.
async fn run_remote(
    export: &Export,
    call: Pin<&mut impl Future<Output = Result<(), CallFailed>>>,
) -> anyhow::Result<()> {
    let run = Drain::of_process().run(Route::Remote);
    if run.is_over() {
        return Err(not_begun(export));
    }
    inhost_dispatch::starts(Route::Remote);
    let called = tokio::select! {
        biased;
        called = call => called,
        () = run.over() => Err(stopped(export)),
    };
    Ok(called?)
}

fn not_begun(export: &Export) -> anyhow::Error {
    anyhow!(
        "`{}` did not begin: this host stops, and the time for calls to end is over",
        export.name()
    )
}

fn stopped(export: &Export) -> CallFailed {
    let cause = anyhow!("the time for calls to end is over; the function may have run in part");
    CallFailed::new(export, Step::Stopped, cause)
}

/// A caller that was made for another version of the interface: its values would be read as others.
fn mismatch(export: &Export, theirs: &Signature) -> CallFailed {
    let cause = anyhow!(
        "the types of the function differ: the caller has it as `{theirs}`, and the component exports it as `{}`. Build \
         both against the same WIT",
        export.signature()
    );
    CallFailed::new(export, Step::Parameters, cause)
}
