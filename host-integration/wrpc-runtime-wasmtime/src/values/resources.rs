//! What resources are between a guest and the wire. A guest has an index, which wasmtime makes a
//! handle of the store. What a peer gets for it, and what it is made of, is in the data of the
//! store, which is at hand before a guest is entered and after it was left.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use inhost_codec::{Checker, Found, Passes, Progress};
use tokio::io::AsyncRead;
use wasmtime::component::ResourceAny;
use wasmtime::StoreContextMut;
use wasmtime_wasi::WasiView;
use wrpc_transport::Index;

use super::abi::{Given, Passed};
use super::Values;
use crate::invocation::root::Root;
use crate::values::wire::{handles, streams, Sending, Streams};
use crate::view::WrpcView;

/// Makes a message of what a guest has passed, and streams that go beside it. `what` it is, a
/// parameter or a result, is for errors.
///
/// # Errors
///
/// When a resource cannot be sent, or the handles make the message too large. Owned resources may have left the store.
pub(super) fn to_wire<T>(
    store: &mut StoreContextMut<'_, T>,
    types: &Values,
    passed: Passed,
    what: &str,
) -> anyhow::Result<(Bytes, Streams)>
where
    T: WasiView + WrpcView,
{
    let (mut bytes, mut streams) = (Vec::new(), Streams::default());
    for resource in passed.resources {
        let sent = match resource.path {
            Some(path) => streams::take(store, resource.handle)
                .map(|stream| streams.push(path.into_vec(), stream)),
            None => handles::bytes(store, types.kind(resource.resource), resource.handle)
                .map(|handle| bytes.push(handle)),
        };
        sent.with_context(|| format!("failed to encode {what} value {}", resource.value))?;
    }
    Ok((passed.values.with_handles(&bytes)?.into(), streams))
}

/// Makes what a guest is to get of a message, in which `found` was found. Streams are read from
/// their paths of `incoming`, and keep `sending`. `what` is as above.
///
/// # Errors
///
/// When a handle is none that this store knows, or a path cannot be opened.
pub(super) fn from_wire<T, I>(
    store: &mut StoreContextMut<'_, T>,
    types: &Arc<Values>,
    message: Bytes,
    found: Vec<Found>,
    incoming: &I,
    sending: Option<&Arc<Sending>>,
    what: &str,
) -> anyhow::Result<Given>
where
    T: WasiView + WrpcView,
    I: AsyncRead + Index<I> + Send + Unpin + 'static,
{
    let mut resources = Vec::with_capacity(found.len());
    for found in found {
        let resource: anyhow::Result<ResourceAny> = match found.passes {
            Passes::Handle(at) => {
                handles::resource(store, types.kind(found.resource), &message[at])
                    .map_err(Into::into)
            }
            Passes::Stream(path) => incoming
                .index(&path)
                .and_then(|content| Ok(streams::receive(store, content, sending)?))
                .with_context(|| format!("failed to open the stream at {path:?}")),
        };
        let failed = || format!("failed to decode {what} value {}", found.value);
        resources.push(resource.with_context(failed)?);
    }
    Ok(Given {
        types: Arc::clone(types),
        message,
        resources,
    })
}

/// The resources in a message that was checked.
pub(super) fn found(types: &Values, message: &[u8]) -> Vec<Found> {
    if !types.plan.has_resources() {
        return Vec::new();
    }
    let mut checker = Checker::new(Arc::clone(&types.plan));
    match checker.advance(message) {
        Ok(Progress::Complete { .. }) => checker.into_found(),
        // It was checked. If not, the codec says so when it has no resource to give.
        _ => Vec::new(),
    }
}

/// In place of what has paths, for messages without streams.
pub(super) fn no_streams() -> Root<tokio::io::Empty> {
    Root(tokio::io::empty())
}
