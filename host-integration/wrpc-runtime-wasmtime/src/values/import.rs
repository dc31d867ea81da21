//! A guest calls an import.

use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use inhost_codec::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use inhost_dispatch::{elsewhere, CallError};
use tracing::{debug, Span};
use wasmtime::component::LinkerInstance;
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::WasiView;
use wrpc_transport::Invoke;

use super::abi::{Given, ImportParams, ImportResults, Passed};
use super::resources::{found, from_wire, no_streams, to_wire};
use super::{Signature, Values};
use crate::invocation::invoke::{Import, Path};
use crate::invocation::memory::limit;
use crate::invocation::message::{finish, receive};
use crate::invocation::off_fiber::{run, Begin, Slot, Work};
use crate::invocation::span::within;
use crate::values::wire::Kind;
use crate::view::{self, shared_client, slot, WrpcView};

/// Defines the function `import.name` in `linker`, so that a guest that calls it invokes it with the store's
/// [`client`](WrpcView::client). `context` goes to the transport with every invocation.
///
/// # Errors
///
/// When `linker` has a definition of that name.
pub(crate) fn link<V>(
    linker: &mut LinkerInstance<'_, V>,
    signature: Signature,
    import: Import,
    context: <V::Invoke as Invoke>::Context,
) -> wasmtime::Result<()>
where
    V: WrpcView + WasiView,
    V::Invoke: Clone + 'static,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let results = signature.results.plan.flat_count();
    let return_pointer = results > MAX_FLAT_RESULTS;
    let params = match signature.params.plan.flat_count() {
        // A pointer to them.
        count if count > MAX_FLAT_PARAMS => 1,
        count => count,
    };
    let core = (params + usize::from(return_pointer), return_pointer);
    let function = Function {
        signature: signature.of_import(&import),
        paths: import.types.results.paths().into(),
        import,
        context,
        span: Span::current(),
        memory: OnceLock::new(),
    };
    // The number of core values is a part of a Rust type, so there is one for each.
    macro_rules! define {
        ($($n:literal)*) => {
            match core {
                $(
                    ($n, true) => define::<V, $n, 0, true>(linker, function),
                    ($n, false) if results == 0 => define::<V, $n, 0, false>(linker, function),
                    ($n, false) => define::<V, $n, 1, false>(linker, function),
                )*
                (n, _) => anyhow::bail!("{n} core parameters, which is more than there can be"),
            }
        };
    }
    define!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17)
}

pub(super) struct Function<C> {
    pub(super) signature: Signature,
    pub(super) import: Import,
    /// Those of the streams in the results.
    pub(super) paths: Box<[Path]>,
    pub(super) context: C,
    span: Span,
    /// How much memory a guest may have, in bytes: known from the first that calls.
    memory: OnceLock<u64>,
}

fn define<V, const N: usize, const M: usize, const RETURN_POINTER: bool>(
    linker: &mut LinkerInstance<'_, V>,
    function: Function<<V::Invoke as Invoke>::Context>,
) -> wasmtime::Result<()>
where
    V: WrpcView + WasiView,
    V::Invoke: Clone + 'static,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let name = Arc::clone(&function.import.name);
    let function = Arc::new(function);
    linker.func_wrap_async(
        &name,
        move |store, params: ImportParams<N, RETURN_POINTER>| {
            let return_pointer = params.return_pointer;
            let call = match params.passed {
                Ok(passed) => Call::begin(store, &function, passed),
                Err(error) => Call::Wrong(not_called(error, &function.import)),
            };
            Box::new(async move {
                let given = call.results().await?;
                Ok(ImportResults::<M, RETURN_POINTER> {
                    given,
                    return_pointer,
                })
            })
        },
    )
}

/// A call of an import.
enum Call<'a> {
    /// Without resources: what is left to do, without anything that is borrowed from the store.
    Plain(Slot, Begin, Arc<Values>),
    WithResources(Pin<Box<dyn Future<Output = anyhow::Result<Given>> + Send + 'a>>),
    /// What the guest has passed is none of the function's.
    Wrong(anyhow::Error),
}

fn not_called(error: anyhow::Error, import: &Import) -> anyhow::Error {
    error.context(format!("failed to call `{import}`"))
}

impl<'a> Call<'a> {
    /// Not generic over the number of core values: there is one of this, and not one for each number.
    fn begin<V>(
        store: StoreContextMut<'a, V>,
        function: &Arc<Function<<V::Invoke as Invoke>::Context>>,
        params: Passed,
    ) -> Self
    where
        V: WrpcView + WasiView,
        V::Invoke: Clone + 'static,
        <V::Invoke as Invoke>::Context: Clone + 'static,
    {
        if function.signature.has_resources() {
            let function = Arc::clone(function);
            return Self::WithResources(Box::pin(async move {
                let called = function.call_with_resources(store, params);
                within(&function.span, pin!(called)).await
            }));
        }
        let (slot, begin) = prepare(store, function, params.values.into_message().into());
        Self::Plain(slot, begin, Arc::clone(&function.signature.results))
    }

    async fn results(self) -> anyhow::Result<Given> {
        match self {
            Self::Plain(slot, begin, types) => Ok(Given {
                message: run(&slot, begin).await?,
                types,
                resources: Vec::new(),
            }),
            Self::WithResources(call) => call.await,
            Self::Wrong(error) => Err(error),
        }
    }
}

/// What is left to do, and in which store, without anything that is borrowed from that.
fn prepare<V>(
    mut store: StoreContextMut<'_, V>,
    function: &Arc<Function<<V::Invoke as Invoke>::Context>>,
    params: Bytes,
) -> (Slot, Begin)
where
    V: WrpcView,
    V::Invoke: Clone + 'static,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let function = Arc::clone(function);
    let memory = *function.memory.get_or_init(|| limit(store.engine()));
    let view = store.data_mut();
    let (client, timeout, slot) = (shared_client(view), view::limit(view), slot(view));
    let begin = move || {
        let invoked = async move {
            let invoked = pin!(function.call(&*client, timeout, memory, params));
            within(&function.span, invoked).await
        };
        Box::pin(invoked) as Work
    };
    (slot, Box::new(begin))
}

impl<C: Clone + 'static> Function<C> {
    /// Invokes it with parameters and results in which there may be resources.
    async fn call_with_resources<V>(
        self: &Arc<Self>,
        mut store: StoreContextMut<'_, V>,
        params: Passed,
    ) -> anyhow::Result<Given>
    where
        V: WrpcView + WasiView,
        V::Invoke: Invoke<Context = C> + Clone + 'static,
    {
        let Signature {
            params: types,
            results,
        } = &self.signature;
        let (params, streams) = to_wire(&mut store, types, params, "parameter")
            .map_err(|error| not_called(error, &self.import))?;
        if !streams.is_empty() || results.has(&Kind::Stream) {
            return self.call_with_streams(store, params, streams).await;
        }
        let (slot, begin) = prepare(store.as_context_mut(), self, params);
        let message = run(&slot, begin).await?;
        let found = found(results, &message);
        from_wire(
            &mut store,
            results,
            message,
            found,
            &no_streams(),
            None,
            "return",
        )
        .map_err(|error| results.not_given(error))
    }

    /// Invokes it, and again when the callee went away before it ran, or when this host had no room
    /// for it and another one may.
    async fn call(
        &self,
        client: &impl Invoke<Context = C>,
        timeout: Option<Duration>,
        memory: u64,
        params: Bytes,
    ) -> anyhow::Result<Bytes> {
        for _ in 0..REPEATS {
            // The payload of a large call is not kept in memory while the callee works.
            if params.len() > REPEATABLE {
                break;
            }
            match self.invoke(client, timeout, memory, params.clone()).await {
                Err(error) if did_not_run(&error) => {
                    debug!(%error, import = %self.import, "the callee went away before it ran: calling again");
                }
                Err(error) if may_run_elsewhere(&error) => {
                    debug!(%error, import = %self.import, "no room for the callee: calling another host");
                    // Seldom, and large.
                    let again = self.invoke(client, timeout, memory, params);
                    return Box::pin(elsewhere(again)).await;
                }
                done => return done,
            }
        }
        self.invoke(client, timeout, memory, params).await
    }

    async fn invoke(
        &self,
        client: &impl Invoke<Context = C>,
        timeout: Option<Duration>,
        memory: u64,
        params: Bytes,
    ) -> anyhow::Result<Bytes> {
        let context = self.context.clone();
        let invocation = self.import.start(client, timeout, context, params).await?;
        let (mut outgoing, mut incoming) = (invocation.outgoing, invocation.incoming);
        let send = async {
            match finish(&mut outgoing).await {
                // All parameters went with the invocation. Why the callee has gone is what the results end with.
                Err(error)
                    if matches!(CallError::find(&error), Some(CallError::ReaderGone { .. })) =>
                {
                    Ok(())
                }
                finished => Ok(finished?),
            }
        };
        let receive = async {
            let (plan, types) = (&self.signature.results.plan, &*self.import.types);
            let (message, _) = receive(&mut incoming, plan, memory, Some(types)).await?;
            Ok(message)
        };
        invocation.rest.of(send, receive).await
    }
}

/// How many times a call is made again whose callee went away before it ran.
const REPEATS: usize = 3;

/// The parameters, in bytes, of the largest call that is made again.
const REPEATABLE: usize = 1 << 20;

/// Whether a local call ended before the function was started. The next one finds another endpoint, or none.
fn did_not_run(error: &anyhow::Error) -> bool {
    matches!(
        CallError::find(error.as_ref()),
        Some(CallError::NotAccepted { .. })
    )
}

/// Whether there was no room for a local call, and another host serves the component as well.
fn may_run_elsewhere(error: &anyhow::Error) -> bool {
    matches!(
        CallError::find(error.as_ref()),
        Some(CallError::NoRoom {
            served_elsewhere: true,
            ..
        })
    )
}
