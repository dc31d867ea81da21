use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use inhost_backends::BackendKind;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wasmtime::component::Val;
use wasmtime::Engine;

use crate::builder::Builder;
use crate::client::{Client, Shared};
use crate::error::CallError;
use crate::exports::Exports;
use crate::function::Function;

/// Components that run in this process and call each other, without a host and without a broker.
///
/// It stops when it is dropped: calls that run are ended, calls that wait fail, and nothing is served any more. To wait
/// until that is done, use [`LocalLattice::stop`].
pub struct LocalLattice {
    pub(crate) components: BTreeMap<Arc<str>, Started>,
    pub(crate) shared: Shared,
    pub(crate) backend: BackendKind,
    /// For the values of calls from outside. No code runs in it.
    pub(crate) engine: Engine,
    pub(crate) execution_time: Duration,
    /// One task for each component. They end when this is dropped.
    pub(crate) tasks: JoinSet<()>,
    pub(crate) stop: CancellationToken,
}

/// A component that is being served.
pub(crate) struct Started {
    pub(crate) exports: Arc<Exports>,
    pub(crate) client: Client,
}

impl LocalLattice {
    /// A lattice to be filled with components.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Calls a function of the component `id`; see [`LocalLattice::function`] and [`Function::call`].
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the call is ended at its next await, or does not start.
    pub async fn call(
        &self,
        id: &str,
        function: &str,
        arguments: &[Val],
    ) -> Result<Vec<Val>, CallError> {
        self.function(id, function)?.call(arguments).await
    }

    /// As [`LocalLattice::call`], with arguments and results as text; see [`Function::call_wave`].
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// As [`LocalLattice::call`].
    pub async fn call_wave(
        &self,
        id: &str,
        function: &str,
        arguments: &[impl AsRef<str>],
    ) -> Result<Vec<String>, CallError> {
        self.function(id, function)?.call_wave(arguments).await
    }

    /// The function `function` of the component `id`, to be called.
    ///
    /// It is named `namespace:package/interface.function`, with `@version` behind the interface where the component
    /// exports more than one, or `function` when it is exported by the component itself.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownComponent`], [`CallError::NotExported`], [`CallError::Ambiguous`] and
    /// [`CallError::NotPlain`].
    pub fn function(&self, id: &str, function: &str) -> Result<Function, CallError> {
        let (id, started) = self.started(id)?;
        Function::new(
            Arc::clone(id),
            started.exports.find(id, function)?,
            started.client.clone(),
            self.engine.clone(),
            self.execution_time,
        )
    }

    /// The functions of the component `id` that can be called from outside, sorted by name.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownComponent`].
    pub fn functions(&self, id: &str) -> Result<Vec<Function>, CallError> {
        let (id, started) = self.started(id)?;
        let functions = started.exports.all().into_iter().filter_map(|exported| {
            let client = started.client.clone();
            let engine = self.engine.clone();
            Function::new(
                Arc::clone(id),
                exported,
                client,
                engine,
                self.execution_time,
            )
            .ok()
        });
        Ok(functions.collect())
    }

    /// The IDs of the components, sorted.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(|id| &**id)
    }

    /// What carries the bytes of calls.
    pub fn backend(&self) -> BackendKind {
        self.backend
    }

    /// A look at what is served and what was called, which stays valid when the lattice is gone.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }

    /// Stops the lattice and waits until nothing of it runs or is served any more. Calls that run
    /// are ended at their next await, calls that wait fail.
    ///
    /// A guest that computes without a pause cannot be ended before the limit of its execution time: this waits for it.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the lattice stops all the same.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    fn started(&self, id: &str) -> Result<(&Arc<str>, &Started), CallError> {
        self.components
            .get_key_value(id)
            .ok_or_else(|| CallError::UnknownComponent {
                id: id.into(),
                known: self.components().map(str::to_owned).collect(),
            })
    }
}

impl fmt::Debug for LocalLattice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLattice")
            .field("components", &self.components.keys())
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// What is served in a lattice, and what was called.
#[derive(Clone, Debug)]
pub struct Watch(Shared);

impl Watch {
    /// How many functions are served.
    pub fn served(&self) -> usize {
        self.0.served().len()
    }

    /// How many calls there are that have not ended on both sides.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight()
    }

    /// How many calls were carried since the lattice was built, those of components and those from outside.
    pub fn calls(&self) -> u64 {
        self.0.calls().local
    }
}
