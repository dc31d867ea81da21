//! A host that serves one component, and what its components are made of.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use inhost_conformance::support::{call_error, Host};
use inhost_dispatch::CallError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wrpc_runtime_wasmtime::ServeExt as _;
use wrpc_transport::Invoke;

#[path = "../support/backend.rs"]
mod backend;
#[path = "../support/ctx.rs"]
mod ctx;

pub(crate) use backend::Duplex;

/// These components call no peer.
pub(crate) struct NoPeer;

impl Invoke for NoPeer {
    type Context = ();
    type Outgoing = Nothing;
    type Incoming = Nothing;

    async fn invoke<P>(
        &self,
        (): (),
        instance: &str,
        func: &str,
        _: bytes::Bytes,
        _: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Nothing, Nothing)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        anyhow::bail!("nobody serves {instance}.{func}")
    }
}

pub(crate) type Nothing = wrpc_runtime_wasmtime::Root<DuplexStream>;

/// The data of a store. It counts how many of it there are.
pub(crate) type Ctx = ctx::Ctx<NoPeer, Alive>;

/// One of those that are counted.
pub(crate) struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ctx {
    pub(crate) fn new(alive: &Arc<AtomicUsize>) -> Self {
        Self::with_timeout(alive, Duration::from_secs(1))
    }

    /// As [`Ctx::new`], with more time for an invocation than a second.
    pub(crate) fn with_timeout(alive: &Arc<AtomicUsize>, timeout: Duration) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self::with(NoPeer, Some(timeout), Alive(Arc::clone(alive)))
    }
}

/// The instance and function that callers of [`Host`] call.
pub(crate) const INSTANCE: &str = "inhost:test/callee@1.0.0";
pub(crate) const FUNCTION: &str = "run";

/// A component that exports `run`, whose core function is `body`. It imports `wait`, which never returns.
pub(crate) fn component(signature: &str, core: &str, body: &str, rest: &str) -> String {
    format!(
        r#"(component
          (import "wait" (func $wait))
          (core func $wait (canon lower (func $wait)))
          (core module $m
            (import "" "wait" (func $wait))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
            (func (export "run") {core} {body})
            {rest})
          (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
          (func $run {signature})
          (instance $callee (export "{FUNCTION}" (func $run)))
          (export "{INSTANCE}" (instance $callee)))"#
    )
}

pub(crate) const PING: &str = r#"(param "n" u32) (result u32) (canon lift (core func $i "run"))"#;
pub(crate) const CORE_PING: &str = "(param i32) (result i32)";

pub(crate) type Running = Pin<Box<dyn std::future::Future<Output = anyhow::Result<()>> + Send>>;

pub(crate) type Invocation = anyhow::Result<(String, Running)>;

/// A host that serves one component.
pub(crate) struct Served {
    pub(crate) host: Arc<Host<Duplex>>,
    pub(crate) invocations: Pin<Box<dyn Stream<Item = Invocation> + Send>>,
    /// How many stores there are.
    pub(crate) stores: Arc<AtomicUsize>,
    pub(crate) engine: Engine,
}

impl Served {
    pub(crate) async fn new(component: &str) -> Self {
        Self::on(Arc::new(Host::new(Duplex)), component).await
    }

    /// One more version of the component of `host`.
    pub(crate) async fn on(host: Arc<Host<Duplex>>, component: &str) -> Self {
        Self::prepared(host, prepare(component)).await
    }

    /// One whose instances may have `memory` bytes each.
    pub(crate) async fn with_memory(memory: usize, component: &str) -> Self {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_memories(2);
        pool.max_memory_size(memory);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let prepared = prepare_with(config, component);
        Self::prepared(Arc::new(Host::new(Duplex)), prepared).await
    }

    async fn prepared(
        host: Arc<Host<Duplex>>,
        (component, linker): (Component, Linker<Ctx>),
    ) -> Self {
        let engine = component.engine().clone();
        let pre = linker.instantiate_pre(&component).expect("all is linked");
        let stores = Arc::new(AtomicUsize::new(0));
        let (counter, store_engine) = (Arc::clone(&stores), engine.clone());
        let store = move || {
            let mut store = Store::new(&store_engine, Ctx::new(&counter));
            store.set_epoch_deadline(1);
            store
        };
        let ty = exported(&pre);
        let invocations = host
            .client()
            .serve_function(store, pre, ty, INSTANCE, FUNCTION)
            .await
            .expect("it can be served");
        Self {
            host,
            invocations: Box::pin(invocations),
            stores,
            engine,
        }
    }

    /// The next invocation, which runs when it is polled.
    pub(crate) async fn next(&mut self) -> Running {
        let (_, running) = self.invocations.next().await.expect("one").expect("taken");
        running
    }

    /// Calls the function with `params`: what the callee's side returned, and what the caller got.
    pub(crate) async fn call(
        &mut self,
        params: &'static [u8],
    ) -> (anyhow::Result<()>, std::io::Result<Vec<u8>>) {
        let (mut outgoing, mut incoming) = self.host.invoke("", params).await.expect("invoke");
        outgoing.shutdown().await.expect("shutdown");
        let running = self.next().await;
        let mut results = Vec::new();
        let read = async {
            incoming.read_to_end(&mut results).await?;
            Ok(results)
        };
        tokio::join!(running, read)
    }

    pub(crate) fn stores(&self) -> usize {
        self.stores.load(Ordering::SeqCst)
    }
}

/// Compiles a component, and links what it imports.
pub(crate) fn prepare(text: &str) -> (Component, Linker<Ctx>) {
    prepare_with(Config::new(), text)
}

fn prepare_with(mut config: Config, text: &str) -> (Component, Linker<Ctx>) {
    config.async_support(true).epoch_interruption(true);
    let engine = Engine::new(&config).expect("a valid configuration");
    let component = Component::new(&engine, wat::parse_str(text).expect("valid text"))
        .expect("a valid component");
    let mut linker = Linker::<Ctx>::new(&engine);
    linker
        .root()
        .func_wrap_async(
            "wait",
            |_, (): ()| Box::new(pending::<anyhow::Result<()>>()),
        )
        .expect("an empty linker");
    (component, linker)
}

pub(crate) fn exported(pre: &InstancePre<Ctx>) -> ComponentFunc {
    let component = pre.component();
    let (_, instance) = component.export_index(None, INSTANCE).expect("exported");
    match component.export_index(Some(&instance), FUNCTION) {
        Some((ComponentItem::ComponentFunc(ty), _)) => ty,
        _ => panic!("not exported"),
    }
}

/// What the caller's error says.
pub(crate) fn said(error: &std::io::Error) -> String {
    let error = call_error(error);
    assert!(matches!(error, CallError::CalleeFailed { .. }), "{error}");
    error.to_string()
}
