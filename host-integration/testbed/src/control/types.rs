//! What the control interface is asked for and answers with.

use serde::{Deserialize, Serialize};

/// A link: whom a component calls when it calls an interface that it imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The id of the component or provider that calls.
    pub source_id: String,
    /// The id of the one that is called.
    pub target: String,
    /// The link's name. A component chooses between links of one interface by name.
    pub name: String,
    /// The namespace of the interface's package, such as `wasi`.
    pub wit_namespace: String,
    /// The package, such as `http`.
    pub wit_package: String,
    /// The interfaces, such as `incoming-handler`.
    pub interfaces: Vec<String>,
    /// The names of configurations for the caller.
    #[serde(default)]
    pub source_config: Vec<String>,
    /// The names of configurations for the callee.
    #[serde(default)]
    pub target_config: Vec<String>,
}

impl Link {
    /// A link named `default` from `source_id` to `target` for the interface `package/interface`, where
    /// `package` is `namespace:name`, without a version.
    ///
    /// # Panics
    ///
    /// When `package` has no colon.
    #[must_use]
    pub fn new(source_id: &str, target: &str, package: &str, interface: &str) -> Self {
        let (namespace, package) = package
            .split_once(':')
            .expect("a package is namespace:name");
        Self {
            source_id: source_id.to_owned(),
            target: target.to_owned(),
            name: "default".to_owned(),
            wit_namespace: namespace.to_owned(),
            wit_package: package.to_owned(),
            interfaces: vec![interface.to_owned()],
            source_config: Vec::new(),
            target_config: Vec::new(),
        }
    }

    /// The same link with another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same link with configurations for the caller.
    #[must_use]
    pub fn with_source_config(mut self, names: &[&str]) -> Self {
        self.source_config = names.iter().map(|&name| name.to_owned()).collect();
        self
    }
}

/// What runs on a host.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Inventory {
    /// The components.
    #[serde(default)]
    pub components: Vec<Component>,
    /// The providers.
    #[serde(default)]
    pub providers: Vec<Provider>,
}

impl Inventory {
    /// The component with this id.
    #[must_use]
    pub fn component(&self, id: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.id == id)
    }
}

/// A component in an [`Inventory`].
#[derive(Clone, Debug, Deserialize)]
pub struct Component {
    /// Its id.
    pub id: String,
    /// The reference that it was started from.
    #[serde(default)]
    pub image_ref: String,
    /// How many instances of it may run at once.
    #[serde(default)]
    pub max_instances: u32,
}

/// A provider in an [`Inventory`].
#[derive(Clone, Debug, Deserialize)]
pub struct Provider {
    /// Its id.
    pub id: String,
}
