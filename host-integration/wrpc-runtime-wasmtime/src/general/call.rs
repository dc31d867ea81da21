//! A peer calls an export.

use core::iter::zip;
use core::pin::pin;

use anyhow::Context as _;
use bytes::BytesMut;
use inhost_dispatch::Caller;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tracing::{debug, trace};
use wasmtime::component::{Func, ResourceType, Type, Val};
use wasmtime::AsContextMut;
use wasmtime_wasi::WasiView;
use wrpc_transport::Index;

use super::decode;
use super::deferred::DeferredParts;
use super::encode::encode;
use super::kinds::Kinds;
use crate::component::Known;
use crate::instance::Step;
use crate::message::finish;
use crate::off_fiber::drive;
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
    let component = Known::of_guest(guest_resources.into());
    run(
        &mut store, &mut rx, &mut tx, params_ty, results_ty, func, &component,
    )
    .await
    .map_err(|(_, error)| error)
}

/// As [`call`], on streams that stay with the caller. An error comes with the step in which it happened.
pub(crate) async fn run<C, I, O>(
    mut store: C,
    rx: &mut I,
    tx: &mut O,
    params_ty: impl ExactSizeIterator<Item = &Type>,
    results_ty: impl ExactSizeIterator<Item = &Type>,
    func: Func,
    component: &Known,
) -> Result<(), (Step, anyhow::Error)>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let (params_ty, results_ty): (Vec<_>, Vec<_>) = (params_ty.collect(), results_ty.collect());
    let kinds = kinds(&mut store, func, &params_ty, &results_ty, component);
    let params = read_params(&mut store, rx, &params_ty, &kinds)
        .await
        .map_err(|error| (Step::Parameters, error))?;
    let mut results = vec![Val::Bool(false); results_ty.len()];
    let slot = slot(store.as_context_mut().data_mut());
    let called = drive(
        &slot,
        pin!(func.call_async(&mut store, &params, &mut results)),
    )
    .await;
    called.map_err(|error| (Step::Call, error))?;
    let sent = send_results(&mut store, tx, &results, &results_ty, &kinds)
        .await
        .map_err(|error| (Step::Results, error));
    let cleaned = func
        .post_return_async(&mut store)
        .await
        .map_err(|error| (Step::PostReturn, error));
    match (sent, cleaned) {
        (Err(sent), Err((_, cleaned))) => {
            debug!(
                ?cleaned,
                "post-return failed too, after a call whose results were not sent"
            );
            Err(sent)
        }
        (sent, cleaned) => sent.and(cleaned),
    }
}

/// What the resources of `func` are, which only its instance knows.
fn kinds(
    mut store: impl AsContextMut,
    func: Func,
    params: &[&Type],
    results: &[&Type],
    component: &Known,
) -> Kinds {
    let types = params.iter().chain(results).copied();
    let (real_params, real_results) = (
        func.params(store.as_context_mut()),
        func.results(store.as_context_mut()),
    );
    let real = real_params.iter().chain(&real_results);
    Kinds::of_export(types, real, &component.guest, &component.imports)
}

async fn read_params<C, I>(
    store: &mut C,
    rx: &mut I,
    types: &[&Type],
    kinds: &Kinds,
) -> anyhow::Result<Vec<Val>>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let mut params = Vec::with_capacity(types.len());
    for (i, ty) in types.iter().enumerate() {
        let param = decode::read(store, rx, kinds, None, ty, &[i])
            .await
            .with_context(|| format!("failed to decode parameter value {i}"))?;
        params.push(param);
    }
    Ok(params)
}

async fn send_results<C, O>(
    store: &mut C,
    tx: &mut O,
    results: &[Val],
    types: &[&Type],
    kinds: &Kinds,
) -> anyhow::Result<()>
where
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let mut buf = BytesMut::new();
    let mut parts = DeferredParts::new();
    for (i, (v, ty)) in zip(results, types).enumerate() {
        let part = encode(store.as_context_mut(), kinds, v, ty, &mut buf)
            .with_context(|| format!("failed to encode result value {i}"))?;
        parts.push(i, part);
    }
    trace!(len = buf.len(), "transmitting results");
    tx.write_all(&buf)
        .await
        .context("failed to transmit results")?;
    match Caller::of(tx) {
        Some(caller) if !parts.is_empty() => {
            tx.flush().await.context("failed to transmit results")?;
            // The end of the results is the end of the call: until then, it can be learned that the caller goes.
            send_streams(parts, tx, caller).await?;
            finish(tx).await.context("failed to flush outgoing stream")
        }
        _ => {
            finish(tx)
                .await
                .context("failed to flush outgoing stream")?;
            parts.write(&*tx).await.context(STREAMS_FAILED)
        }
    }
}

const STREAMS_FAILED: &str = "failed to write asynchronous results";

/// Sends the streams of results for as long as the caller has some of the call's.
///
/// The caller has the results. That it drops the streams, of which it may have read what it wanted, is no failure.
async fn send_streams<O: Index<O>>(
    parts: DeferredParts<O>,
    tx: &O,
    caller: Caller,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        written = parts.write(tx) => written.context(STREAMS_FAILED),
        () = caller.gone() => {
            debug!("the caller has dropped the streams of the results before their end");
            Ok(())
        }
    }
}
