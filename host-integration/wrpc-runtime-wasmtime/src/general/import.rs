//! A guest calls an import.

use core::iter::zip;
use core::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Encoder as _;
use tracing::{Instrument as _, Span};
use wasmtime::component::{types, LinkerInstance, ResourceType, Type, Val};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::WasiView;
use wrpc_transport::{Index, Invoke};

use super::decode::read_value;
use super::deferred::DeferredParts;
use super::encode::ValEncoder;
use crate::invoke::Import;
use crate::message::finish;
use crate::view::WrpcView;

/// Defines the function `import.name` in `linker`, so that a guest that calls it invokes it with the store's
/// [`client`](WrpcView::client).
///
/// `resources` are the resource types that the guest defines. `cx` goes to the transport with every invocation.
///
/// # Errors
///
/// When `linker` has a definition of that name.
pub(crate) fn link<V>(
    linker: &mut LinkerInstance<'_, V>,
    resources: Arc<[ResourceType]>,
    ty: types::ComponentFunc,
    import: Import,
    cx: <V::Invoke as Invoke>::Context,
) -> wasmtime::Result<()>
where
    V: WrpcView + WasiView,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let span = Span::current();
    let name = Arc::clone(&import.name);
    let function = Arc::new(Function {
        import,
        params: ty.params().collect(),
        results: ty.results().collect(),
        resources,
    });
    linker.func_new_async(&name, move |store, params, results| {
        let function = Arc::clone(&function);
        let cx = cx.clone();
        Box::new(
            async move { function.invoke(store, params, results, cx).await }
                .instrument(span.clone()),
        )
    })
}

struct Function {
    import: Import,
    params: Box<[Type]>,
    results: Box<[Type]>,
    resources: Arc<[ResourceType]>,
}

impl Function {
    async fn invoke<V>(
        &self,
        mut store: StoreContextMut<'_, V>,
        params: &[Val],
        results: &mut [Val],
        cx: <V::Invoke as Invoke>::Context,
    ) -> wasmtime::Result<()>
    where
        V: WrpcView + WasiView,
    {
        let (params, parts) = self.encode(&mut store, params)?;
        let view = store.data();
        let invocation = self
            .import
            .start(view.client(), view.timeout(), cx, params)
            .await?;
        let send = send(invocation.outgoing, parts);
        let receive = self.receive(&mut store, invocation.incoming, results);
        invocation.rest.of(send, receive).await
    }

    fn encode<V>(
        &self,
        store: &mut StoreContextMut<'_, V>,
        params: &[Val],
    ) -> wasmtime::Result<(Bytes, DeferredParts<<V::Invoke as Invoke>::Outgoing>)>
    where
        V: WrpcView + WasiView,
    {
        let mut buf = BytesMut::new();
        let mut parts = DeferredParts::new();
        for (i, (v, ty)) in zip(params, &self.params).enumerate() {
            let mut enc = ValEncoder::new(store.as_context_mut(), ty, &self.resources);
            enc.encode(v, &mut buf).with_context(|| {
                format!("failed to encode parameter value {i} of `{}`", self.import)
            })?;
            parts.push(i, enc.deferred);
        }
        Ok((buf.freeze(), parts))
    }

    async fn receive<V, I>(
        &self,
        store: &mut StoreContextMut<'_, V>,
        incoming: I,
        results: &mut [Val],
    ) -> wasmtime::Result<()>
    where
        V: WrpcView + WasiView,
        I: AsyncRead + Index<I> + Send + Unpin + 'static,
    {
        let mut incoming = pin!(incoming);
        for (i, (v, ty)) in zip(results, &self.results).enumerate() {
            read_value(store, &mut incoming, &self.resources, v, ty, &[i])
                .await
                .with_context(|| format!("failed to decode return value {i}"))?;
        }
        Ok(())
    }
}

/// Sends the streams of the parameters, and ends the outgoing stream.
async fn send<O>(mut outgoing: O, parts: DeferredParts<O>) -> wasmtime::Result<()>
where
    O: AsyncWrite + Index<O> + Unpin,
{
    parts
        .write(&outgoing)
        .await
        .context("failed to write asynchronous parameters")?;
    finish(&mut outgoing)
        .await
        .context("failed to flush outgoing stream")
}
