//! What the imports of a component do: the embedder's side of the runtime.

mod bus;
mod invoke;
mod messaging;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmcloud_runtime::capability::secrets::store::SecretValue;

use crate::client::Shared;
use crate::link::{Links, DEFAULT_LINK};

/// Answers the imports of one component.
///
/// The runtime makes a clone for each instance. What an instance chooses with `set-link-name` holds for that instance,
/// and for clones made of it: the runtime makes one for an outgoing HTTP request.
pub(crate) struct Handler {
    component: Arc<Component>,
    /// The link that is not the default one, by interface without version.
    chosen: Mutex<HashMap<Box<str>, Arc<str>>>,
}

/// What all instances of a component have in common.
pub(crate) struct Component {
    pub(crate) id: Arc<str>,
    pub(crate) links: Links,
    pub(crate) config: HashMap<String, String>,
    pub(crate) secrets: HashMap<String, SecretValue>,
    pub(crate) shared: Shared,
}

impl Handler {
    pub(crate) fn new(component: Component) -> Self {
        Self {
            component: Arc::new(component),
            chosen: Mutex::default(),
        }
    }

    /// The name of the link over which calls of `interface`, which has no version, go.
    fn link_of(&self, interface: &str) -> Arc<str> {
        let chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        match chosen.get(interface) {
            Some(link) => Arc::clone(link),
            None => DEFAULT_LINK.into(),
        }
    }
}

impl Clone for Handler {
    fn clone(&self) -> Self {
        let chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            component: Arc::clone(&self.component),
            chosen: Mutex::new(chosen.clone()),
        }
    }
}
