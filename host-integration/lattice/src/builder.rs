use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context as _;
use inhost_backends::{AnyBackend, BackendKind};
use inhost_dispatch::{Dispatcher, Local, Mode, Nowhere, QueueLimits};
use inhost_registry::Scope;
use tokio::sync::mpsc;
use tokio::task::{spawn_blocking, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use wasmcloud_runtime::capability::secrets::store::SecretValue;
use wasmcloud_runtime::{Component, Runtime};
use wasmtime::Engine;
use wrpc_runtime_wasmtime::in_ticks;

use crate::client::{Client, Shared};
use crate::error::BuildError;
use crate::exports::Exports;
use crate::handler::{self, Handler};
use crate::lattice::{LocalLattice, Started};
use crate::limits::Limits;
use crate::link::{Link, Links, Target};
use crate::serve::{self, Server};
use crate::wasm::Wasm;

/// How many instances of a component run at the same time, unless it is said otherwise.
const MAX_INSTANCES: usize = 32;

/// How many ended invocations the runtime can tell of before it is listened to.
const EVENTS: usize = 256;

/// Collects what a [`LocalLattice`] is made of. Mistakes are reported by [`Builder::build`].
#[derive(Clone, Debug)]
#[must_use = "a lattice runs once it is built"]
pub struct Builder {
    components: Vec<(String, Wasm)>,
    links: Vec<Link>,
    config: Vec<(String, HashMap<String, String>)>,
    secrets: Vec<(String, HashMap<String, SecretValue>)>,
    max_instances: Vec<(String, NonZeroUsize)>,
    backend: Option<BackendKind>,
    buffer_bytes: NonZeroUsize,
    limits: Limits,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            components: Vec::new(),
            links: Vec::new(),
            config: Vec::new(),
            secrets: Vec::new(),
            max_instances: Vec::new(),
            backend: None,
            buffer_bytes: const { NonZeroUsize::new(64 * 1024).unwrap() },
            limits: Limits::default(),
        }
    }
}

impl Builder {
    /// Adds a component under an ID of its own.
    pub fn component(mut self, id: impl Into<String>, wasm: impl Into<Wasm>) -> Self {
        self.components.push((id.into(), wasm.into()));
        self
    }

    /// Links an interface that a component imports to a component that exports it.
    ///
    /// An import without a link can be there; calling it is an error.
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// What the component `id` reads with `wasi:config`. Of two values for a key, the later one holds. The default is
    /// nothing.
    pub fn config<K: Into<String>, V: Into<String>>(
        mut self,
        id: impl Into<String>,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let values = values.into_iter().map(|(k, v)| (k.into(), v.into()));
        self.config.push((id.into(), values.collect()));
        self
    }

    /// What the component `id` reads with `wasmcloud:secrets`. Of two values for a key, the later
    /// one holds. The default is nothing.
    pub fn secrets<K: Into<String>, V: Into<String>>(
        mut self,
        id: impl Into<String>,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let values = values.into_iter();
        let values = values.map(|(k, v)| (k.into(), SecretValue::String(v.into())));
        self.secrets.push((id.into(), values.collect()));
        self
    }

    /// How many instances of the component `id` run at the same time. Further calls wait. The default is 32.
    ///
    /// A call that leads back to the same component while it runs needs another instance: with one, it waits until the
    /// time is over.
    pub fn max_instances(mut self, id: impl Into<String>, count: NonZeroUsize) -> Self {
        self.max_instances.push((id.into(), count));
        self
    }

    /// What carries the bytes of calls. The default is the first one of [`BackendKind::compiled_in`].
    pub fn backend(mut self, backend: BackendKind) -> Self {
        self.backend = Some(backend);
        self
    }

    /// How many bytes a stream between two components holds before its writer waits. The default is 64 KiB.
    pub fn buffer_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// What the components may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Compiles the components and starts to serve what they export.
    ///
    /// A thread counts the time for the limit of the execution time. It ends within a second after the lattice.
    ///
    /// # Errors
    ///
    /// [`BuildError`]. Then nothing runs.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, nothing runs. A component that is being compiled is compiled to the end.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn build(self) -> Result<LocalLattice, BuildError> {
        let (kind, shared) = self.shared()?;
        let ids = self.ids()?;
        // Nothing else holds a clone of it, so nothing outside of this lattice can be reached, nor reach it.
        let scope = Scope::new(Arc::new(()));
        let client = |id: &Arc<str>| -> Client {
            Dispatcher::new(
                Nowhere::new(),
                scope.clone(),
                Arc::clone(id),
                Arc::clone(&shared),
            )
        };
        let mut parts = self.parts(&ids, &shared, client)?;
        let (runtime, _clock) = Runtime::builder()
            .max_linear_memory(self.limits.memory)
            .max_execution_time(in_ticks(self.limits.execution_time))
            .max_components(self.limits.instances)
            // Without it there would be no limit of the memory.
            .force_pooling_allocator()
            .build()
            .map_err(BuildError::Runtime)?;
        let stop = CancellationToken::new();
        let mut lattice = LocalLattice {
            components: BTreeMap::new(),
            shared: Arc::clone(&shared),
            backend: kind,
            engine: Engine::default(),
            execution_time: self.limits.execution_time,
            tasks: JoinSet::new(),
            stop,
        };
        for ((id, (_, wasm)), part) in ids.iter().zip(&self.components).zip(parts.drain(..)) {
            let failed = |source| BuildError::Component {
                id: id.to_string(),
                source,
            };
            let (runtime, wasm) = (runtime.clone(), wasm.clone());
            let make = move || wasm.load(|bytes| Component::new(&runtime, bytes));
            let component = spawn_blocking(make);
            let component = component.await.map_err(|error| failed(error.into()))?;
            let component = component.map_err(failed)?;
            let max_instances = self.max_instances_of(id);
            let started = start(&mut lattice, id, component, part, max_instances, client(id));
            let started = started.await.map_err(failed)?;
            lattice.components.insert(Arc::clone(id), started);
        }
        Ok(lattice)
    }

    fn shared(&self) -> Result<(BackendKind, Shared), BuildError> {
        let default = || BackendKind::compiled_in().first().copied();
        let kind = self.backend.or_else(default).ok_or(BuildError::NoBackend)?;
        let backend = AnyBackend::new(kind, self.buffer_bytes)
            .ok_or(BuildError::BackendNotCompiledIn(kind))?;
        let shared = Local::new(Some(backend), Mode::Require, QueueLimits::default())
            .receive_within(self.limits.execution_time);
        Ok((kind, Arc::new(shared)))
    }

    /// The IDs of the components, in their order. Checks that all that is said is about one of them.
    fn ids(&self) -> Result<Vec<Arc<str>>, BuildError> {
        let mut ids: Vec<Arc<str>> = Vec::new();
        for (id, _) in &self.components {
            let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if id.is_empty() || !id.chars().all(is_fine) {
                return Err(BuildError::InvalidId(id.clone()));
            }
            if ids.iter().any(|other| **other == **id) {
                return Err(BuildError::DuplicateId(id.clone()));
            }
            ids.push(id.as_str().into());
        }
        let links = self.links.iter().flat_map(|link| {
            let what = format!("the link `{link}`");
            [(what.clone(), &link.source), (what, &link.target)]
        });
        let config = self.config.iter().map(|(id, _)| ("a configuration", id));
        let secrets = self.secrets.iter().map(|(id, _)| ("a secret", id));
        let instances = self.max_instances.iter();
        let instances = instances.map(|(id, _)| ("a number of instances", id));
        let others = config.chain(secrets).chain(instances);
        let named = links.chain(others.map(|(what, id)| (what.to_owned(), id)));
        for (what, id) in named {
            if !ids.iter().any(|known| **known == **id) {
                return Err(BuildError::UnknownComponent {
                    what,
                    id: id.clone(),
                    known: ids.iter().map(|id| id.to_string()).collect(),
                });
            }
        }
        Ok(ids)
    }

    /// What answers the imports of each component, in their order.
    fn parts(
        &self,
        ids: &[Arc<str>],
        shared: &Shared,
        client: impl Fn(&Arc<str>) -> Client,
    ) -> Result<Vec<handler::Component>, BuildError> {
        let mut links: HashMap<&str, Links> = HashMap::new();
        for link in &self.links {
            link.check()?;
            // `ids` has checked that it is there.
            let Some(id) = ids.iter().find(|id| ***id == *link.target) else {
                continue;
            };
            let target = Target {
                id: Arc::clone(id),
                client: client(id),
            };
            let links = links.entry(&link.source).or_default();
            if !links.add(&link.name, &link.interface, target) {
                return Err(BuildError::DuplicateLink(link.clone()));
            }
        }
        let parts = ids.iter().map(|id| handler::Component {
            id: Arc::clone(id),
            links: links.remove(&**id).unwrap_or_default(),
            config: of(&self.config, id),
            secrets: of(&self.secrets, id),
            shared: Arc::clone(shared),
        });
        Ok(parts.collect())
    }

    fn max_instances_of(&self, id: &str) -> usize {
        let said = self.max_instances.iter().rev().find(|(of, _)| of == id);
        said.map_or(MAX_INSTANCES, |(_, count)| count.get())
    }
}

/// All values for the component `id`.
fn of<V: Clone>(values: &[(String, HashMap<String, V>)], id: &str) -> HashMap<String, V> {
    let values = values.iter().filter(|(of, _)| of == id);
    values.flat_map(|(_, values)| values.clone()).collect()
}

/// Serves what a component exports.
async fn start(
    lattice: &mut LocalLattice,
    id: &Arc<str>,
    mut component: Component<Handler>,
    part: handler::Component,
    max_instances: usize,
    client: Client,
) -> anyhow::Result<Started> {
    component.set_max_execution_time(in_ticks(lattice.execution_time));
    let (sender, events) = mpsc::channel(EVENTS);
    let exports = Arc::new(Exports::default());
    let server = Server {
        id: Arc::clone(id),
        client: client.clone(),
        exports: Arc::clone(&exports),
    };
    let handler = Handler::new(part);
    let invocations = component.serve_wrpc(&server, handler, sender).await;
    let invocations = invocations.context("cannot serve what it exports")?;
    debug!(component = &**id, functions = invocations.len(), "serving");
    let stop = lattice.stop.clone();
    let id = Arc::clone(id);
    lattice
        .tasks
        .spawn(serve::run(id, invocations, max_instances, events, stop));
    Ok(Started { exports, client })
}
