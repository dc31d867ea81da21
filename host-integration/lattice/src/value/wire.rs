//! Parameters out, results in.

use std::pin::Pin;

use anyhow::ensure;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio_util::codec::Encoder as _;
use wasmtime::component::Val;
use wasmtime::{AsContextMut as _, Engine, Store};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiView};
use wrpc_runtime_wasmtime::{read_value, SharedResourceTable, ValEncoder, WrpcView};
use wrpc_transport::Invoke;

use super::Signature;
use crate::client::Client;

/// What the encoder and decoder of values want: a store. It stays empty, since no resource passes through it.
pub(crate) struct Exchange(Store<Outside>);

struct Outside {
    client: Client,
    table: ResourceTable,
    wasi: WasiCtx,
    resources: SharedResourceTable,
}

impl WasiView for Outside {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    fn ctx(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }
}

impl WrpcView for Outside {
    type Invoke = Client;

    fn client(&self) -> &Client {
        &self.client
    }

    fn shared_resources(&mut self) -> &mut SharedResourceTable {
        &mut self.resources
    }
}

impl Exchange {
    pub(crate) fn new(engine: &Engine, client: Client) -> Self {
        let outside = Outside {
            client,
            table: ResourceTable::new(),
            wasi: WasiCtxBuilder::new().build(),
            resources: SharedResourceTable::default(),
        };
        Self(Store::new(engine, outside))
    }

    /// The message that a call with these arguments starts with.
    ///
    /// # Errors
    ///
    /// The number of the argument that is not of its type, from 1, and what is wrong with it.
    pub(crate) fn encode(
        &mut self,
        signature: &Signature,
        arguments: &[Val],
    ) -> Result<Bytes, (usize, anyhow::Error)> {
        type Outgoing = <Client as Invoke>::Outgoing;

        let mut message = BytesMut::new();
        for (at, (of, argument)) in signature.params.iter().zip(arguments).enumerate() {
            ValEncoder::<_, Outgoing>::new(self.0.as_context_mut(), &of.ty, &[])
                .encode(argument, &mut message)
                .map_err(|error| (at + 1, error))?;
        }
        Ok(message.freeze())
    }

    /// Reads the results up to the end of `incoming`. That it ends cleanly says that the function did.
    ///
    /// # Errors
    ///
    /// When the callee failed, and when what it sent are not the results.
    pub(crate) async fn decode(
        &mut self,
        signature: &Signature,
        incoming: &mut <Client as Invoke>::Incoming,
    ) -> anyhow::Result<Vec<Val>> {
        let mut results = Vec::with_capacity(signature.results.len());
        for (at, of) in signature.results.iter().enumerate() {
            let mut result = Val::Bool(false);
            let mut incoming = Pin::new(&mut *incoming);
            read_value(&mut self.0, &mut incoming, &[], &mut result, &of.ty, &[at]).await?;
            results.push(result);
        }
        let more = incoming.read(&mut [0]).await?;
        ensure!(more == 0, "the results are longer than their types");
        Ok(results)
    }
}
