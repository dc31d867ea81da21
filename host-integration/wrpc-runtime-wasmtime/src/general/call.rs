//! A peer calls an export.

use core::iter::zip;
use core::pin::Pin;

use anyhow::Context as _;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::codec::Encoder as _;
use tracing::{debug, trace};
use wasmtime::component::{Func, ResourceType, Type, Val};
use wasmtime::AsContextMut;
use wasmtime_wasi::WasiView;
use wrpc_transport::Index;

use super::decode::read_value;
use super::deferred::DeferredParts;
use super::encode::ValEncoder;
use crate::instance::Step;
use crate::message::finish;
use crate::view::WrpcView;

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
    run(
        &mut store,
        &mut rx,
        &mut tx,
        params_ty,
        results_ty,
        func,
        guest_resources,
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
    guest_resources: &[ResourceType],
) -> Result<(), (Step, anyhow::Error)>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let mut rx = Pin::new(rx);
    let params = read_params(&mut store, &mut rx, params_ty, guest_resources)
        .await
        .map_err(|error| (Step::Parameters, error))?;
    let mut results = vec![Val::Bool(false); results_ty.len()];
    func.call_async(&mut store, &params, &mut results)
        .await
        .map_err(|error| (Step::Call, error))?;
    let sent = send_results(&mut store, tx, &results, results_ty, guest_resources)
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

async fn read_params<C, I>(
    store: &mut C,
    rx: &mut Pin<&mut I>,
    types: impl ExactSizeIterator<Item = &Type>,
    guest_resources: &[ResourceType],
) -> anyhow::Result<Vec<Val>>
where
    I: AsyncRead + Index<I> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let mut params = vec![Val::Bool(false); types.len()];
    for (i, (v, ty)) in zip(&mut params, types).enumerate() {
        read_value(store, rx, guest_resources, v, ty, &[i])
            .await
            .with_context(|| format!("failed to decode parameter value {i}"))?;
    }
    Ok(params)
}

async fn send_results<C, O>(
    store: &mut C,
    tx: &mut O,
    results: &[Val],
    types: impl ExactSizeIterator<Item = &Type>,
    guest_resources: &[ResourceType],
) -> anyhow::Result<()>
where
    O: AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    C: AsContextMut,
    C::Data: WasiView + WrpcView,
{
    let mut buf = BytesMut::new();
    let mut parts = DeferredParts::new();
    for (i, (v, ty)) in zip(results, types).enumerate() {
        let mut enc = ValEncoder::<_, O>::new(store.as_context_mut(), ty, guest_resources);
        enc.encode(v, &mut buf)
            .with_context(|| format!("failed to encode result value {i}"))?;
        parts.push(i, enc.deferred);
    }
    trace!(len = buf.len(), "transmitting results");
    tx.write_all(&buf)
        .await
        .context("failed to transmit results")?;
    finish(tx)
        .await
        .context("failed to flush outgoing stream")?;
    parts
        .write(&*tx)
        .await
        .context("failed to write asynchronous results")
}
