//! Stores like those of the host, joined by streams in memory.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use inhost_conformance::remote::Remote;
use inhost_conformance::support::Host;
use inhost_dispatch::Dispatcher;
use tokio::sync::{mpsc, Semaphore};
use tokio::task::JoinSet;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Instance, InstancePre, Linker, Resource, Val};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{HostInputStream, InputStream};
use wrpc_runtime_wasmtime::{
    collect_component_resources, in_ticks, link_item, take_turns, ServeExt as _,
};
use wrpc_transport::{Invoke, Serve};

use backend::Duplex;

use crate::feed::{feed, Producer};
use crate::guests::{self, API, CONTROL};

#[path = "../support/backend.rs"]
mod backend;
#[path = "../support/ctx.rs"]
mod ctx;

type Local = Dispatcher<Remote, String, Duplex>;
pub(crate) type Path = Box<[Option<usize>]>;

/// What was called or served, and with which paths.
type Told = (String, Vec<Path>);

/// A transport that remembers which paths it was told.
#[derive(Clone)]
pub(crate) struct Client {
    local: Local,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Client {
    fn tell(&self, what: String, paths: Vec<Path>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push((what, paths));
    }

    /// What was told about the paths of `what`, last.
    pub(crate) fn told(&self, what: &str) -> Vec<Path> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.iter().rev().find(|(name, _)| name == what);
        last.map(|(_, paths)| paths.clone()).expect("it was used")
    }
}

impl Invoke for Client {
    type Context = String;
    type Outgoing = <Local as Invoke>::Outgoing;
    type Incoming = <Local as Invoke>::Incoming;

    async fn invoke<P>(
        &self,
        cx: String,
        instance: &str,
        func: &str,
        params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let told = paths.as_ref().iter().map(|path| path.as_ref().into());
        self.tell(format!("invoke {func}"), told.collect());
        self.local.invoke(cx, instance, func, params, paths).await
    }
}

impl Serve for Client {
    type Context = String;
    type Outgoing = <Local as Serve>::Outgoing;
    type Incoming = <Local as Serve>::Incoming;

    async fn serve(
        &self,
        instance: &str,
        func: &str,
        paths: impl Into<Arc<[Path]>> + Send,
    ) -> anyhow::Result<
        impl Stream<Item = anyhow::Result<(String, Self::Outgoing, Self::Incoming)>> + Send + 'static,
    > {
        let paths = paths.into();
        self.tell(format!("serve {func}"), paths.to_vec());
        self.local.serve(instance, func, paths).await
    }
}

/// What the callee's host does for it, and where the test sees it.
#[derive(Clone)]
pub(crate) struct Control {
    streams: Arc<Mutex<VecDeque<InputStream>>>,
    saw: mpsc::UnboundedSender<Bytes>,
    released: Arc<Semaphore>,
    /// How long an invocation may take. Guests take turns then.
    limit: Option<Duration>,
}

pub(crate) type Ctx = ctx::Ctx<Client, Control>;

fn store(engine: &Engine, client: &Client, control: &Control) -> Store<Ctx> {
    let limit = control.limit.map(in_ticks);
    let mut store = Store::new(engine, Ctx::with(client.clone(), limit, control.clone()));
    store.set_epoch_deadline(u64::from(u32::MAX));
    store
}

fn define_control(linker: &mut Linker<Ctx>) -> wasmtime::Result<()> {
    let mut control = linker.instance(CONTROL)?;
    control.func_wrap_async("make", |mut store, (): ()| {
        Box::new(async move {
            let Ctx { besides, table, .. } = store.data_mut();
            let mut streams = besides
                .streams
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let stream = streams.pop_front().context("no stream for the callee")?;
            Ok((table.push(stream)?,))
        })
    })?;
    control.func_wrap_async("saw", |store, (chunk,): (Vec<u8>,)| {
        Box::new(async move {
            let _ = store.data().besides.saw.send(chunk.into());
            Ok(())
        })
    })?;
    control.func_wrap_async("wait", |store, (): ()| {
        Box::new(async move {
            let released = Arc::clone(&store.data().besides.released);
            released.acquire().await?.forget();
            Ok(())
        })
    })
}

/// Links what a component imports as the host does: some by itself, and the rest as that of a peer.
pub(crate) fn prepare(engine: &Engine, component: &[u8]) -> anyhow::Result<InstancePre<Ctx>> {
    let component = Component::new(engine, component)?;
    let mut linker = Linker::<Ctx>::new(engine);
    wasmtime_wasi::add_to_linker_async(&mut linker)?;
    define_control(&mut linker)?;
    let ty = component.component_type();
    collect_component_resources(engine, &ty, &mut Vec::new());
    for (name, item) in ty.imports(engine) {
        if !name.starts_with("wasi:") && name != CONTROL {
            link_item(
                engine,
                &mut linker.root(),
                [],
                item,
                "",
                name,
                String::new(),
            )?;
        }
    }
    linker.instantiate_pre(&component)
}

pub(crate) fn engine() -> Engine {
    engine_with(Config::new())
}

fn engine_with(mut config: Config) -> Engine {
    config.async_support(true);
    Engine::new(&config).expect("a valid configuration")
}

/// A caller, and a callee that is served.
pub(crate) struct Pair {
    pub(crate) store: Store<Ctx>,
    instance: Instance,
    pub(crate) client: Client,
    control: Control,
    /// What the callee has read.
    pub(crate) seen: mpsc::UnboundedReceiver<Bytes>,
    /// How the callee's calls have ended.
    pub(crate) ended: mpsc::UnboundedReceiver<anyhow::Result<()>>,
    _serving: JoinSet<()>,
}

impl Pair {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::on(engine(), None).await
    }

    /// Those of a process whose guests take turns, and each of whose calls may take `limit`.
    #[allow(
        dead_code,
        reason = "whether guests take turns is chosen once in a process"
    )]
    pub(crate) async fn with_limit(limit: Duration) -> anyhow::Result<Self> {
        take_turns();
        let mut config = Config::new();
        config.epoch_interruption(true);
        Self::on(engine_with(config), Some(limit)).await
    }

    async fn on(engine: Engine, limit: Option<Duration>) -> anyhow::Result<Self> {
        let client = Client {
            local: Host::new(Duplex).client(),
            told: Arc::default(),
        };
        let (saw, seen) = mpsc::unbounded_channel();
        let control = Control {
            streams: Arc::default(),
            saw,
            released: Arc::new(Semaphore::new(0)),
            limit,
        };
        let (serving, ended) = serve(&engine, &client, &control).await?;
        let mut store = store(&engine, &client, &control);
        let pre = prepare(&engine, &guests::caller())?;
        let instance = pre.instantiate_async(&mut store).await?;
        Ok(Self {
            store,
            instance,
            client,
            control,
            seen,
            ended,
            _serving: serving,
        })
    }

    /// Has the caller start anew, as a host does after one that has failed. The callee's host goes on.
    pub(crate) async fn restart_caller(&mut self) -> anyhow::Result<()> {
        let engine = self.store.engine().clone();
        self.store = store(&engine, &self.client, &self.control);
        let pre = prepare(&engine, &guests::caller())?;
        self.instance = pre.instantiate_async(&mut self.store).await?;
        Ok(())
    }

    /// How long the caller's calls may take.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.store.data_mut().timeout = Some(timeout);
    }

    /// Has the caller's component call the function `name` of the callee.
    pub(crate) async fn call(&mut self, name: &str, params: &[Val]) -> anyhow::Result<Val> {
        let mut results = [Val::Bool(false)];
        self.call_for(name, params, &mut results).await?;
        let [result] = results;
        Ok(result)
    }

    /// As [`Pair::call`], of a function with so many results.
    pub(crate) async fn call_for(
        &mut self,
        name: &str,
        params: &[Val],
        results: &mut [Val],
    ) -> anyhow::Result<()> {
        let store = &mut self.store;
        let api = self.instance.get_export(&mut *store, None, API);
        let func = self
            .instance
            .get_export(&mut *store, api.as_ref(), name)
            .and_then(|func| self.instance.get_func(&mut *store, func))
            .expect("the caller exports what it passes on");
        func.call_async(&mut *store, params, results).await?;
        func.post_return_async(&mut *store).await
    }

    /// A stream of the test's, as a value of the caller.
    pub(crate) fn param(&mut self) -> anyhow::Result<(Producer, Val)> {
        let (producer, stream) = feed();
        Ok((producer, self.own(stream)?))
    }

    /// A stream of the test's, which the callee gets from its host.
    pub(crate) fn result(&self) -> Producer {
        let (producer, stream) = feed();
        self.next_for_callee(stream);
        producer
    }

    /// Has the callee return its parameter, and the stream that it gets from its host.
    pub(crate) async fn both(&mut self, stream: Val) -> anyhow::Result<[InputStream; 2]> {
        let Val::Tuple(results) = self.call("both", &[stream]).await? else {
            anyhow::bail!("a tuple");
        };
        let mut results = results.into_iter();
        let mut next = || self.take(results.next().context("two")?);
        Ok([next()?, next()?])
    }

    /// Has the callee return the stream that it gets from its host.
    pub(crate) async fn fresh(&mut self) -> anyhow::Result<InputStream> {
        let fresh = self.call("fresh", &[]).await?;
        self.take(fresh)
    }

    /// How the next of the callee's calls ends.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        self.ended.recv().await.expect("it ends")
    }

    /// A stream as a value of the caller.
    pub(crate) fn own(&mut self, stream: impl HostInputStream) -> anyhow::Result<Val> {
        let stream: InputStream = Box::new(stream);
        let stream = self.store.data_mut().table.push(stream)?;
        Ok(Val::Resource(
            stream.try_into_resource_any(&mut self.store)?,
        ))
    }

    /// The stream that a value of the caller is.
    pub(crate) fn take(&mut self, val: Val) -> anyhow::Result<InputStream> {
        let Val::Resource(stream) = val else {
            anyhow::bail!("{val:?} is not a stream");
        };
        let stream: Resource<InputStream> = stream.try_into_resource(&mut self.store)?;
        Ok(self.store.data_mut().table.delete(stream)?)
    }

    /// The next stream that the callee gets from its host.
    pub(crate) fn next_for_callee(&self, stream: impl HostInputStream) {
        let streams = &self.control.streams;
        let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.push_back(Box::new(stream));
    }

    /// Lets a callee that waits go on.
    pub(crate) fn release(&self) {
        self.control.released.add_permits(1);
    }
}

type Ended = mpsc::UnboundedReceiver<anyhow::Result<()>>;

async fn serve(
    engine: &Engine,
    client: &Client,
    control: &Control,
) -> anyhow::Result<(JoinSet<()>, Ended)> {
    let pre = prepare(engine, &guests::callee())?;
    let component = pre.component().component_type();
    let Some(ComponentItem::ComponentInstance(api)) = component.get_export(engine, API) else {
        anyhow::bail!("the callee exports the api");
    };
    let (ended_tx, ended) = mpsc::unbounded_channel();
    let mut serving = JoinSet::new();
    for (name, item) in api.exports(engine) {
        let ComponentItem::ComponentFunc(ty) = item else {
            continue;
        };
        let make = {
            let (engine, client, control) = (engine.clone(), client.clone(), control.clone());
            move || store(&engine, &client, &control)
        };
        let invocations = client
            .serve_function(make, pre.clone(), ty, API, name)
            .await?;
        let ended = ended_tx.clone();
        serving.spawn(async move {
            let mut invocations = pin!(invocations);
            let mut calls = JoinSet::new();
            while let Some(invocation) = invocations.next().await {
                let (_, running) = invocation.expect("an invocation");
                let ended = ended.clone();
                calls.spawn(async move {
                    let _ = ended.send(running.await);
                });
            }
        });
    }
    Ok((serving, ended))
}
