//! Handles of resources on the wire: a LEB128 length, and as many bytes.
//!
//! A resource of a guest gets an id that it can be found by later, in the [`SharedResourceTable`]. A resource of a peer
//! keeps the handle that the peer gave it, as a [`RemoteResource`].
//!
//! [`SharedResourceTable`]: crate::SharedResourceTable

use std::io;

use anyhow::Context as _;
use bytes::Bytes;
use tracing::trace;
use uuid::Uuid;
use wasmtime::component::{ResourceAny, ResourceType};
use wasmtime::StoreContextMut;
use wasmtime_wasi::WasiView;

use super::kinds::{CannotPass, Kind};
use crate::view::{RemoteResource, WrpcView};

/// The handle of a resource that is sent. An owned one of a peer leaves the store, and one of the guest is handed out.
///
/// # Errors
///
/// When it is one of the host.
pub(crate) fn bytes<T>(
    store: &mut StoreContextMut<'_, T>,
    kind: &Kind,
    resource: ResourceAny,
) -> anyhow::Result<Bytes>
where
    T: WasiView + WrpcView,
{
    // The resource knows better than the type what it is: the type may be one of a component, and not of an instance.
    if resource.ty() == ResourceType::host::<RemoteResource>() {
        return remote(store, resource);
    }
    match kind {
        Kind::Guest => {
            let id = store.data_mut().shared_resources().insert(resource);
            trace!(?id, "handed out a resource of the guest");
            Ok(Bytes::copy_from_slice(&id.to_bytes_le()))
        }
        kind => Err(CannotPass::of(Some(kind)).into()),
    }
}

/// The handle that the peer gave its resource.
fn remote<T: WasiView>(
    mut store: &mut StoreContextMut<'_, T>,
    resource: ResourceAny,
) -> anyhow::Result<Bytes> {
    let resource = resource
        .try_into_resource::<RemoteResource>(&mut store)
        .context("resource type mismatch")?;
    let table = store.data_mut().table();
    if resource.owned() {
        let RemoteResource(handle) = table
            .delete(resource)
            .context("failed to delete remote resource")?;
        return Ok(handle);
    }
    let RemoteResource(handle) = table
        .get(&resource)
        .context("failed to get remote resource")?;
    Ok(handle.clone())
}

/// The resource that `handle` is of: one that this side handed out, or one of the peer, which is filed in the store.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) and [`NotFound`](io::ErrorKind::NotFound) when
/// this side has handed none out with that handle; [`Unsupported`](io::ErrorKind::Unsupported) for
/// a resource of this host, which no peer can have.
pub(crate) fn resource<T>(
    store: &mut StoreContextMut<'_, T>,
    kind: &Kind,
    handle: &[u8],
) -> io::Result<ResourceAny>
where
    T: WasiView + WrpcView,
{
    match kind {
        Kind::Guest => shared(store, handle),
        Kind::Remote | Kind::Imported(_) => {
            // A copy, as the handle stays when the message that it came in is gone.
            let remote = RemoteResource(Bytes::copy_from_slice(handle));
            file(store, remote)
        }
        Kind::Stream | Kind::Host(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            CannotPass::of(Some(kind)),
        )),
    }
}

/// Files what a resource stands for in the store.
pub(super) fn file<T: WasiView, R: Send + 'static>(
    store: &mut StoreContextMut<'_, T>,
    it: R,
) -> io::Result<ResourceAny> {
    let resource = store
        .data_mut()
        .table()
        .push(it)
        .map_err(|err| io::Error::new(io::ErrorKind::OutOfMemory, err))?;
    resource
        .try_into_resource_any(store)
        .map_err(io::Error::other)
}

/// The resource that this side handed out with `id`.
fn shared<T: WrpcView>(store: &mut StoreContextMut<'_, T>, id: &[u8]) -> io::Result<ResourceAny> {
    let id = id.try_into().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a handle of a guest resource has {} bytes, and the peer sent one of {}",
                size_of::<uuid::Bytes>(),
                id.len()
            ),
        )
    })?;
    let id = Uuid::from_bytes_le(id);
    let resource = store.data_mut().shared_resources().get(&id);
    resource.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("no guest resource was handed out as `{id}`"),
        )
    })
}
