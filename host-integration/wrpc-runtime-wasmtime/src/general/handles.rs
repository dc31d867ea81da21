//! Handles of resources on the wire: a LEB128 length, and as many bytes.
//!
//! A resource of a guest gets an id that it can be found by later, in the [`SharedResourceTable`]. A resource of a peer
//! keeps the handle that the peer gave it, as a [`RemoteResource`].
//!
//! [`SharedResourceTable`]: crate::SharedResourceTable

use std::io;

use anyhow::Context as _;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::codec::Encoder as _;
use tracing::trace;
use uuid::Uuid;
use wasm_tokio::{AsyncReadLeb128 as _, CoreVecEncoderBytes};
use wasmtime::component::ResourceAny;
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::WasiView;

use crate::view::{RemoteResource, WrpcView};

/// Hands a resource of the guest out, and appends the id that the peer will know it under.
pub(super) fn encode_shared<T: WrpcView>(
    store: &mut StoreContextMut<'_, T>,
    resource: ResourceAny,
    dst: &mut BytesMut,
) -> wasmtime::Result<()> {
    let id = store.data_mut().shared_resources().insert(resource);
    trace!(?id, "handed out a resource of the guest");
    CoreVecEncoderBytes
        .encode(id.to_bytes_le(), dst)
        .context("failed to encode resource handle")
}

/// Appends the handle that the peer gave its resource. An owned resource leaves the store.
pub(super) fn encode_remote<T: WasiView>(
    mut store: &mut StoreContextMut<'_, T>,
    resource: ResourceAny,
    dst: &mut BytesMut,
) -> wasmtime::Result<()> {
    let resource = resource
        .try_into_resource::<RemoteResource>(&mut store)
        .context("resource type mismatch")?;
    let table = store.data_mut().table();
    let handle = if resource.owned() {
        let RemoteResource(handle) = table
            .delete(resource)
            .context("failed to delete remote resource")?;
        handle
    } else {
        let RemoteResource(handle) = table
            .get(&resource)
            .context("failed to get remote resource")?;
        handle.clone()
    };
    CoreVecEncoderBytes
        .encode(handle, dst)
        .context("failed to encode resource handle")
}

/// Reads an id that this side handed out, and finds the resource.
pub(super) async fn read_shared<T: WrpcView>(
    store: &mut impl AsContextMut<Data = T>,
    r: &mut (impl AsyncRead + Unpin),
) -> io::Result<ResourceAny> {
    let mut id = uuid::Bytes::default();
    let len = r.read_u8_leb128().await?;
    if usize::from(len) != id.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a handle of a guest resource has {} bytes, but the peer announced {len}",
                id.len()
            ),
        ));
    }
    r.read_exact(&mut id).await?;
    let id = Uuid::from_bytes_le(id);
    store
        .as_context_mut()
        .data_mut()
        .shared_resources()
        .get(&id)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no guest resource was handed out as `{id}`"),
            )
        })
}

/// Reads the handle of a resource that the peer owns, and files it in the store.
pub(super) async fn read_remote<T: WasiView>(
    store: &mut impl AsContextMut<Data = T>,
    r: &mut (impl AsyncRead + Unpin),
) -> io::Result<ResourceAny> {
    let len = r.read_u32_leb128().await?;
    let mut handle = Vec::new();
    // Grows with what arrives: `len` is only what the peer claims.
    let read = r.take(len.into()).read_to_end(&mut handle).await?;
    if u64::try_from(read) != Ok(len.into()) {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the peer announced a resource handle of {len} bytes and sent {read}"),
        ));
    }
    let mut store = store.as_context_mut();
    let resource = store
        .data_mut()
        .table()
        .push(RemoteResource(handle.into()))
        .map_err(|err| io::Error::new(io::ErrorKind::OutOfMemory, err))?;
    resource
        .try_into_resource_any(store)
        .map_err(io::Error::other)
}
