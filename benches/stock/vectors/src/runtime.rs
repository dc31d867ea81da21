//! `wrpc-runtime-wasmtime` at work.

use std::collections::{HashMap, HashSet};
use std::io;
use std::pin::{pin, Pin};
use std::task::{Context as TaskContext, Poll};

use anyhow::{bail, ensure, Context as _};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::Encoder as _;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType, Type, Val};
use wasmtime::{AsContextMut as _, Engine, Store};
use wasmtime_wasi::{InputStream, WasiCtx, WasiCtxBuilder, WasiView};
use wrpc_runtime_wasmtime::{
    read_value, RemoteResource, SharedResourceTable, ValEncoder, WrpcView,
};

use crate::component;
use crate::resources::Filing;
use crate::ty::Ty;
use crate::writer::{written, Streams, Writer};

/// Encodes and decodes values as a host does.
pub(crate) struct Runtime {
    store: Store<State>,
    types: HashMap<Ty, Type>,
    executor: tokio::runtime::Runtime,
}

impl Runtime {
    /// Gets `types` ready.
    pub(crate) fn new<'a>(types: impl IntoIterator<Item = &'a Ty>) -> anyhow::Result<Self> {
        let types: Vec<_> = types
            .into_iter()
            .collect::<HashSet<_>>()
            .into_iter()
            .collect();
        let engine = Engine::default();
        let text = component::text(types.iter().copied());
        let component =
            Component::new(&engine, wat::parse_str(text)?).context("the component has a flaw")?;
        let mut linker = Linker::<State>::new(&engine);
        let (handle, stream) = (
            ResourceType::host::<RemoteResource>(),
            ResourceType::host::<InputStream>(),
        );
        linker.root().resource("handle", handle, |_, _| Ok(()))?;
        linker.root().resource("stream", stream, |_, _| Ok(()))?;
        let exports = linker.substituted_component_type(&component)?;
        let exports: HashMap<_, _> = exports.exports(&engine).collect();
        let types = types.into_iter().enumerate().map(|(number, ty)| {
            match exports.get(component::export(number).as_str()) {
                Some(ComponentItem::Type(found)) => Ok((ty.clone(), found.clone())),
                _ => bail!("the component does not export {ty}"),
            }
        });
        let types = types.collect::<anyhow::Result<_>>()?;
        let state = State {
            wasi: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            shared: SharedResourceTable::default(),
            client: NoClient,
        };
        Ok(Self {
            store: Store::new(&engine, state),
            types,
            executor: tokio::runtime::Builder::new_current_thread().build()?,
        })
    }

    /// The bytes of a value, and those of its streams.
    pub(crate) fn encode(&mut self, ty: &Ty, value: &Val) -> anyhow::Result<(Bytes, Streams)> {
        let mut filing = Filing {
            store: &mut self.store,
            streams: 0,
        };
        let value = filing.value(ty, value)?;
        let streams = filing.streams;
        let ty = self.types.get(ty).context("the type is not ready")?;
        let mut wire = BytesMut::new();
        let mut encoder = ValEncoder::new(self.store.as_context_mut(), ty, &[]);
        encoder.encode(&value, &mut wire)?;
        Ok((wire.freeze(), written(encoder.deferred, streams)?))
    }

    /// The value without resources that the bytes mean.
    pub(crate) fn decode(&mut self, ty: &Ty, wire: Bytes) -> anyhow::Result<Val> {
        let ty = self.types.get(ty).context("the type is not ready")?;
        let mut value = Val::Bool(false);
        let mut received = pin!(Received(wire));
        let read = read_value(&mut self.store, &mut received, &[], &mut value, ty, &[]);
        self.executor.block_on(read)?;
        ensure!(
            received.0.is_empty(),
            "{} bytes are left over",
            received.0.len()
        );
        Ok(value)
    }
}

/// The data of the store, with what the runtime crate wants of it.
struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    shared: SharedResourceTable,
    client: NoClient,
}

impl WasiView for State {
    fn ctx(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }

    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WrpcView for State {
    type Invoke = NoClient;

    fn client(&self) -> &NoClient {
        &self.client
    }

    fn shared_resources(&mut self) -> &mut SharedResourceTable {
        &mut self.shared
    }
}

/// A transport on which nothing can be called.
struct NoClient;

impl wrpc_transport::Invoke for NoClient {
    type Context = ();
    type Outgoing = Writer;
    type Incoming = Received;

    async fn invoke<P>(
        &self,
        (): (),
        _instance: &str,
        _function: &str,
        _parameters: Bytes,
        _paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Writer, Received)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        bail!("there is nothing to call")
    }
}

/// Bytes that have all arrived.
pub(crate) struct Received(Bytes);

impl AsyncRead for Received {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = into.remaining().min(self.0.len());
        into.put_slice(&self.0.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl wrpc_transport::Index<Self> for Received {
    fn index(&self, _: &[usize]) -> anyhow::Result<Self> {
        bail!("only values without resources are decoded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(count: usize) -> Ty {
        Ty::Flags((0..count).map(|i| format!("f{i}")).collect())
    }

    /// The reason why there are no vectors of them.
    #[test]
    fn more_than_32_flags_are_refused() {
        assert!(Runtime::new([&flags(32)]).is_ok());
        assert!(Runtime::new([&flags(33)]).is_err());
    }

    #[test]
    fn bytes_that_are_left_over_are_an_error() {
        let mut runtime = Runtime::new([&Ty::U8]).unwrap();
        let wire = Bytes::from_static(&[1, 2]);
        let error = runtime.decode(&Ty::U8, wire).unwrap_err().to_string();
        assert_eq!(error, "1 bytes are left over");
    }
}
