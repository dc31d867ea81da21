//! What a store has in a test, as that of the host: WASI, and a transport over which the guest's imports are called.

use std::time::Duration;

use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiView};
use wrpc_runtime_wasmtime::{SharedResourceTable, WrpcView};
use wrpc_transport::Invoke;

/// The data of a store, with what a test wants there `besides`.
pub(crate) struct Ctx<I, T = ()> {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    shared: SharedResourceTable,
    client: I,
    /// How long the guest's imports may take.
    pub(crate) timeout: Option<Duration>,
    #[allow(dead_code, reason = "most tests want nothing there")]
    pub(crate) besides: T,
}

impl<I, T> Ctx<I, T> {
    pub(crate) fn with(client: I, timeout: Option<Duration>, besides: T) -> Self {
        Self {
            wasi: WasiCtxBuilder::new().build(),
            table: ResourceTable::new(),
            shared: SharedResourceTable::default(),
            client,
            timeout,
            besides,
        }
    }
}

impl<I: Send, T: Send> WasiView for Ctx<I, T> {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    fn ctx(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }
}

impl<I: Invoke, T: Send> WrpcView for Ctx<I, T> {
    type Invoke = I;

    fn client(&self) -> &I {
        &self.client
    }

    fn shared_resources(&mut self) -> &mut SharedResourceTable {
        &mut self.shared
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}
