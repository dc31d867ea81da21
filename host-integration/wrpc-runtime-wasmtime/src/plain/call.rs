//! A peer calls an export.

use std::pin::pin;

use bytes::Bytes;
use inhost_codec::Signature;
use wasmtime::component::Func;
use wasmtime::AsContextMut;

use super::abi::{ExportParams, ExportResults};
use crate::instance::Step;
use crate::off_fiber::drive;
use crate::view::{slot, WrpcView};

/// Calls `func` with parameters in the wRPC encoding, which have been checked, and returns its results in it.
///
/// The guest's memory is not needed any more when this returns. The guest waits for its post-return.
///
/// # Errors
///
/// What failed, and in which step.
///
/// # Cancel safety
///
/// A dropped call leaves the instance in the middle of it: it cannot be called again.
///
/// # Panics
///
/// When `func` is not of `store`, or `store` is not of an engine with async support.
pub(crate) async fn call<C>(
    mut store: C,
    func: Func,
    signature: &Signature,
    params: Bytes,
) -> Result<Bytes, (Step, anyhow::Error)>
where
    C: AsContextMut,
    C::Data: WrpcView,
{
    let func = func
        .typed::<ExportParams, ExportResults>(&store)
        .map_err(|error| (Step::Resolve, error))?;
    let params = ExportParams::new(signature.params.clone(), params);
    let slot = slot(store.as_context_mut().data_mut());
    let call = pin!(func.call_async(&mut store, params));
    let ExportResults(results) = drive(&slot, call)
        .await
        .map_err(|error| (Step::Call, error))?;
    Ok(results)
}
