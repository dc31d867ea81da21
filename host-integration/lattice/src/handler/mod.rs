//! What the imports of a component do: the embedder's side of the runtime.

mod bus;
mod invoke;
mod messaging;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmcloud_runtime::capability::secrets::store::SecretValue;

use crate::client::Shared;
use crate::link::{Links, DEFAULT_LINK};

/// Answers the imports of one component.
///
/// The runtime makes a clone for each instance. What an instance chooses with `set-link-name` holds for that instance,
/// and for clones of it, whenever they were made: its calls go over one, and so does an outgoing HTTP request.
pub(crate) struct Handler {
    component: Arc<Component>,
    chosen: Arc<Chosen>,
}

/// The links that were chosen.
#[derive(Default)]
struct Chosen {
    /// By interface without version.
    links: Mutex<HashMap<Box<str>, Arc<str>>>,
    /// What holds for interfaces that are not in it: the choice of what this is a clone of.
    origin: Option<Arc<Chosen>>,
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
            chosen: Arc::default(),
        }
    }

    /// The name of the link over which calls of `interface`, which has no version, go.
    fn link_of(&self, interface: &str) -> Arc<str> {
        self.chosen
            .link_of(interface)
            .unwrap_or_else(|| DEFAULT_LINK.into())
    }

    /// Lets calls of `interfaces`, which have no version, go over the link of that name.
    fn choose(&self, link: &str, interfaces: impl IntoIterator<Item = String>) {
        let link: Arc<str> = link.into();
        let mut links = self.chosen.links();
        for interface in interfaces {
            links.insert(interface.into_boxed_str(), Arc::clone(&link));
        }
    }
}

impl Clone for Handler {
    fn clone(&self) -> Self {
        Self {
            component: Arc::clone(&self.component),
            chosen: Arc::new(Chosen {
                links: Mutex::default(),
                origin: Some(Arc::clone(&self.chosen)),
            }),
        }
    }
}

impl Chosen {
    fn links(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<str>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn link_of(&self, interface: &str) -> Option<Arc<str>> {
        let mut chosen = self;
        loop {
            if let Some(link) = chosen.links().get(interface) {
                return Some(Arc::clone(link));
            }
            chosen = chosen.origin.as_deref()?;
        }
    }
}
