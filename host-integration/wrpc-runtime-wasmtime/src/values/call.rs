//! A peer calls an export.

use std::pin::pin;

use anyhow::Context as _;
use bytes::Bytes;
use inhost_codec::Found;
use inhost_dispatch::Caller;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tracing::{debug, trace};
use wasmtime::component::{Func, ResourceType, Type};
use wasmtime::AsContextMut;
use wasmtime_wasi::WasiView;
use wrpc_transport::Index;

use super::abi::{ExportParams, ExportResults, Given, Passed};
use super::resources::{from_wire, to_wire};
use super::Signature;
use crate::invocation::memory::limit;
use crate::invocation::message::{self, finish, ReceiveError};
use crate::invocation::off_fiber::drive;
use crate::invocation::peer::Peer;
use crate::invocation::step::Step;
use crate::types::{Budget, Function};
use crate::values::wire::{CannotPass, Kind, Kinds, Streams};
use crate::view::{slot, WrpcView};

/// Reads the parameters of `func` from `rx`, calls it, and writes its results to `tx`.
///
/// `guest_resources` are the resource types that the component of `func` defines.
///
/// The guest's post-return runs after every call that returned, also when its results could not be sent. So an instance
/// can be called again after a peer that went away.
///
/// # Errors
///
/// When the parameters cannot be read, when the function traps, when the results cannot be encoded or sent, or when
/// post-return traps. The first of these is returned.
///
/// # Cancel safety
///
/// A dropped call leaves the instance in the middle of it: it cannot be called again.
///
/// # Panics
///
/// When `func` is not of `store`, or `store` is not of an engine with async support.
pub async fn call<C, I, O>(
    mut store: C,
    mut rx: I,
    mut tx: O,
    params_ty: impl ExactSizeIterator<Item = &Type>,
    results_ty: impl ExactSizeIterator<Item = &Type>,
    func: Func,
    guest_resources: &[ResourceType],
) -> anyhow::Result<()>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let (params, results): (Vec<_>, Vec<_>) =
        (params_ty.cloned().collect(), results_ty.cloned().collect());
    let (real_params, real_results) = (func.params(&store), func.results(&store));
    let types = |params: &[Type], results: &[Type], is_stream: &dyn Fn(ResourceType) -> bool| {
        let (params, results) = (params.iter().cloned(), results.iter().cloned());
        Function::with(params, results, is_stream, &Budget::default())
    };
    // The same types in other terms: their resources have the same numbers.
    let kinds = Kinds::of_export(
        types(&params, &results, &|_| false)?.resources(),
        types(&real_params, &real_results, &|_| false)?.resources(),
        guest_resources,
    );
    let function = types(&params, &results, &|ty| *kinds.of(ty) == Kind::Stream)?;
    let signature = Signature::new(&function, |ty| kinds.of(ty).clone());
    let memory = limit(store.as_context().engine());
    let received = Received::from(&mut rx, &signature, None, memory).await?;
    let caller = Caller::of(&tx);
    let mut peer = Peer {
        params: &mut rx,
        results: &mut tx,
        caller: caller.as_ref(),
    };
    run(&mut store, func, &signature, received, &mut peer)
        .await
        .map_err(|(_, error)| error)
}

/// Parameters that were received and checked.
pub(crate) struct Received<'a> {
    message: Bytes,
    found: Vec<Found>,
    /// For a caller that may have the same.
    types: Option<&'a inhost_codec::Signature>,
}

impl<'a> Received<'a> {
    /// Receives the parameters of a function, which may take `memory` bytes of a guest. A caller on
    /// this host that has the same `types` is believed. Streams stay where they are.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses what was read.
    pub(crate) async fn from<I: AsyncRead + Unpin + 'static>(
        rx: &mut I,
        signature: &Signature,
        types: Option<&'a inhost_codec::Signature>,
        memory: u64,
    ) -> Result<Self, ReceiveError> {
        let plan = &signature.params.plan;
        let (message, found) = message::receive(rx, plan, memory, types).await?;
        Ok(Self {
            message,
            found,
            types,
        })
    }
}

/// Calls `func` for `peer`, and writes its results there. Streams of the parameters are read from there.
///
/// # Errors
///
/// What failed, and in which step: the first of them, if there are several.
///
/// # Cancel safety
///
/// A dropped call leaves the instance in the middle of it: it cannot be called again.
///
/// # Panics
///
/// When `func` is not of `store`, or `store` is not of an engine with async support.
pub(crate) async fn run<C, I, O>(
    mut store: C,
    func: Func,
    signature: &Signature,
    received: Received<'_>,
    peer: &mut Peer<'_, I, O>,
) -> Result<(), (Step, anyhow::Error)>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let failed = |step| move |error| (step, error);
    let Received {
        message,
        found,
        types,
    } = received;
    let params = from_wire(
        &mut store.as_context_mut(),
        &signature.params,
        message,
        found,
        peer.params,
        None,
        "parameter",
    )
    .map_err(failed(Step::Parameters))?;
    let results = enter(&mut store, func, params).await?;
    // They are not in the guest's memory any more, so the peer need not wait for the guest to clean up.
    let results = to_wire(
        &mut store.as_context_mut(),
        &signature.results,
        results,
        "result",
    );
    let sent = match results {
        Ok((message, streams)) if streams.is_empty() => {
            trace!(bytes = message.len(), "sending results");
            let sent = message::send(peer, message, types).await;
            sent.context("failed to transmit results")
        }
        // Boxed so that its size does not count where it is not needed.
        Ok((message, streams)) => Box::pin(send(peer, message, streams)).await,
        Err(error) => Err(error),
    };
    let cleaned = func.post_return_async(&mut store).await;
    match (sent, cleaned) {
        (Err(sent), cleaned) => {
            if let Err(cleaned) = cleaned {
                debug!(
                    ?cleaned,
                    "post-return failed too, after a call whose results were not sent"
                );
            }
            Err((Step::Results, sent))
        }
        (Ok(()), cleaned) => cleaned.map_err(failed(Step::PostReturn)),
    }
}

/// Calls `func` with `params`. The guest waits for its post-return.
async fn enter<C>(mut store: C, func: Func, params: Given) -> Result<Passed, (Step, anyhow::Error)>
where
    C: AsContextMut,
    C::Data: WrpcView,
{
    let func = func
        .typed::<ExportParams, ExportResults>(&store)
        .map_err(|error| (Step::Resolve, error))?;
    let slot = slot(store.as_context_mut().data_mut());
    let called = pin!(func.call_async(&mut store, ExportParams::new(params)));
    match drive(&slot, called).await {
        Ok(ExportResults(results)) => Ok(results),
        Err(error) if error.is::<CannotPass>() => Err((Step::Parameters, error)),
        Err(error) => Err((Step::Call, error)),
    }
}

/// Sends results with streams.
async fn send<I, O>(
    peer: &mut Peer<'_, I, O>,
    message: Bytes,
    streams: Streams,
) -> anyhow::Result<()>
where
    O: AsyncWrite + Index<O> + Unpin,
{
    trace!(bytes = message.len(), "sending results with streams");
    let tx = &mut *peer.results;
    tx.write_all(&message)
        .await
        .context("failed to transmit results")?;
    match peer.caller {
        Some(caller) => {
            tx.flush().await.context("failed to transmit results")?;
            // The end of the results is the end of the call: until then, it can be learned that the caller goes.
            send_streams(streams, tx, caller).await?;
            finish(tx).await.context("failed to flush outgoing stream")
        }
        None => {
            finish(tx)
                .await
                .context("failed to flush outgoing stream")?;
            streams.write(&*tx).await.context(STREAMS_FAILED)
        }
    }
}

const STREAMS_FAILED: &str = "failed to write asynchronous results";

/// Sends the streams of results for as long as the caller has some of the call's.
///
/// The caller has the results. That it drops the streams, of which it may have read what it wanted, is no failure.
async fn send_streams<O>(streams: Streams, tx: &O, caller: &Caller) -> anyhow::Result<()>
where
    O: AsyncWrite + Index<O>,
{
    tokio::select! {
        biased;
        written = streams.write(tx) => written.context(STREAMS_FAILED),
        () = caller.gone() => {
            debug!("the caller has dropped the streams of the results before their end");
            Ok(())
        }
    }
}
