use std::fmt;
use std::sync::Arc;

use inhost_registry::{Registry, Scope};

use crate::backend::Backend;
use crate::counters::{Calls, Counters};
use crate::endpoint::{Endpoint, QueueLimits};
use crate::route::Mode;

/// What all dispatchers of a host share: the registry, the backend, the mode, the limits and the counters.
///
/// Two hosts in one process can share one, too: their scopes keep them apart.
pub struct Local<C, B: Backend> {
    pub(crate) registry: Registry<Endpoint<C, B>>,
    pub(crate) counters: Counters,
    backend: Option<B>,
    limits: QueueLimits,
}

impl<C: Send + Sync + 'static, B: Backend> Local<C, B> {
    /// Carries calls over `backend` when `mode` allows it. Without a backend all calls go over the remote
    /// transport, as with [`Mode::Off`].
    pub fn new(backend: Option<B>, mode: Mode, limits: QueueLimits) -> Self {
        Self {
            registry: Registry::new(),
            counters: Counters::default(),
            backend: match mode {
                Mode::Prefer => backend,
                Mode::Off => None,
            },
            limits,
        }
    }

    /// How many calls went which way since this was made.
    pub fn calls(&self) -> Calls {
        self.counters.read()
    }

    /// The functions that are served on this host, sorted by prefix, instance and function.
    pub fn served(&self) -> Vec<Served> {
        self.registry
            .snapshot()
            .into_iter()
            .map(|listed| Served {
                queued: listed.value.queued(),
                prefix: listed.prefix,
                instance: listed.instance,
                function: listed.function,
            })
            .collect()
    }

    /// The backend, unless calls may not be carried in memory.
    pub(crate) fn backend(&self) -> Option<&B> {
        self.backend.as_ref()
    }

    pub(crate) fn limits(&self) -> QueueLimits {
        self.limits
    }

    pub(crate) fn lookup(
        &self,
        scope: &Scope,
        prefix: &str,
        instance: &str,
        function: &str,
    ) -> Option<(Arc<Endpoint<C, B>>, &B)> {
        let backend = self.backend()?;
        let endpoint = self.registry.lookup(scope, prefix, instance, function)?;
        Some((endpoint, backend))
    }
}

/// A function that is served on this host, as [`Local::served`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The wRPC prefix, `lattice.component-id` in wasmCloud.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// How many invocations wait to be taken.
    pub queued: usize,
}

impl<C: Send + Sync + 'static, B: Backend> fmt::Debug for Local<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("registry", &self.registry)
            .field("calls", &self.calls())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
