//! A function that a component exports, with all that is the same for each invocation of it.

use std::sync::Arc;

use tracing::debug;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, ResourceType, Type};

use crate::general::{each_resource, paths, Path};
use crate::imports::Imports;
use crate::memory::limit;
use crate::plain::Signature;
use crate::resources::collect;
use crate::types::{types, Callers};

/// A function that a component exports; see [`Instance::export`](crate::Instance::export). A clone is the same one.
#[derive(Clone, Debug)]
pub struct Export(Arc<Resolved>);

#[derive(Debug)]
struct Resolved {
    name: Arc<str>,
    types: Arc<str>,
    /// Callers with other types.
    callers: Callers,
    index: ComponentExportIndex,
    /// How much memory an instance may have, in bytes.
    memory: u64,
    codec: Codec,
    /// Whether a resource of the component itself is in the signature.
    needs_shared_instance: bool,
}

/// The way that the values of a function take.
#[derive(Debug)]
pub(crate) enum Codec {
    /// Between guest memory and the wire, without resources.
    Plain(Signature),
    /// As wasmtime's `Val`.
    General {
        params: Box<[Type]>,
        results: Box<[Type]>,
        resources: Resources,
    },
}

/// What is known of the resources of a component.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// Those that it defines.
    pub(crate) guest: Arc<[ResourceType]>,
    /// Those that it imports.
    pub(crate) imports: Imports,
}

/// A component does not export the function that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component does not export {what}: it may have another version; `wasm-tools component wit` lists what it exports")]
pub struct NotExported {
    what: Box<str>,
}

impl NotExported {
    fn new(what: String) -> Self {
        Self { what: what.into() }
    }
}

impl Export {
    pub(crate) fn resolve(
        component: &Component,
        instance: &str,
        name: &str,
    ) -> Result<Self, NotExported> {
        let parent = match instance {
            "" => None,
            instance => {
                let parent = component.export_index(None, instance);
                let (_, parent) =
                    parent.ok_or_else(|| NotExported::new(format!("instance `{instance}`")))?;
                Some(parent)
            }
        };
        let full = full_name(instance, name);
        match component.export_index(parent.as_ref(), name) {
            Some((ComponentItem::ComponentFunc(ty), index)) => {
                let (engine, component) = (component.engine(), component.component_type());
                let imports = Imports::of(engine, &component);
                let mut guest = Vec::new();
                collect(engine, &component, &mut guest);
                // An exported interface that uses an imported resource has it among its own.
                guest.retain(|ty| !imports.contain(*ty));
                let guest = guest.into();
                let types = types(&ty, |ty| imports.is_input_stream(ty));
                let resources = Resources { guest, imports };
                Ok(Self::with(
                    full,
                    index,
                    &ty,
                    types,
                    resources,
                    limit(engine),
                ))
            }
            _ => Err(NotExported::new(format!("function `{full}`"))),
        }
    }

    /// A function of an instance whose component is not known. `types` are those that the instance has, and `memory` is how much
    /// it may have.
    pub(crate) fn new(
        name: String,
        index: ComponentExportIndex,
        ty: &ComponentFunc,
        types: Arc<str>,
        guest_resources: Arc<[ResourceType]>,
        memory: u64,
    ) -> Self {
        let resources = Resources {
            guest: guest_resources,
            imports: Imports::default(),
        };
        Self::with(name, index, ty, types, resources, memory)
    }

    fn with(
        name: String,
        index: ComponentExportIndex,
        ty: &ComponentFunc,
        types: Arc<str>,
        resources: Resources,
        memory: u64,
    ) -> Self {
        let codec = match Signature::of(ty) {
            Ok(signature) => {
                debug!(function = name, codec = "plain", "resolved an export");
                Codec::Plain(signature)
            }
            Err(reason) => {
                debug!(function = name, codec = "general", %reason, "resolved an export");
                Codec::General {
                    params: ty.params().collect(),
                    results: ty.results().collect(),
                    resources,
                }
            }
        };
        let needs_shared_instance = match &codec {
            Codec::Plain(_) => false,
            Codec::General {
                params,
                results,
                resources,
            } => params
                .iter()
                .chain(results)
                .any(|ty| mentions(ty, &resources.guest)),
        };
        Self(Arc::new(Resolved {
            name: name.into(),
            types,
            callers: Callers::default(),
            index,
            memory,
            codec,
            needs_shared_instance,
        }))
    }

    /// As [`Export::new`], on the general path whatever the types are.
    #[cfg(test)]
    pub(crate) fn general(name: String, index: ComponentExportIndex, ty: &ComponentFunc) -> Self {
        Self(Arc::new(Resolved {
            name: name.into(),
            types: types(ty, |_| false),
            callers: Callers::default(),
            index,
            memory: u64::MAX,
            codec: Codec::General {
                params: ty.params().collect(),
                results: ty.results().collect(),
                resources: Resources::default(),
            },
            needs_shared_instance: false,
        }))
    }

    /// The function with its instance, for people.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Its types, as [`types`] has them.
    pub(crate) fn types(&self) -> &Arc<str> {
        &self.0.types
    }

    /// Whether a caller that takes the function to have the types `theirs` and this one read each other.
    pub(crate) fn agrees_with(&self, theirs: &Arc<str>) -> bool {
        self.0.callers.agree(theirs, self.types())
    }

    pub(crate) fn index(&self) -> ComponentExportIndex {
        self.0.index
    }

    /// How much memory an instance may have, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.0.memory
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.0.codec
    }

    /// Whether no resources are in the signature.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.codec(), Codec::Plain(_))
    }

    /// Whether it has results: else no caller waits for it.
    pub(crate) fn answers(&self) -> bool {
        match self.codec() {
            Codec::Plain(signature) => !signature.results.is_empty(),
            Codec::General { results, .. } => !results.is_empty(),
        }
    }

    /// The paths of the streams in the parameters.
    pub(crate) fn paths(&self) -> Arc<[Path]> {
        match self.codec() {
            Codec::Plain(_) => Arc::new([]),
            Codec::General {
                params, resources, ..
            } => paths(params.iter(), |ty| resources.imports.is_input_stream(ty)).into(),
        }
    }

    /// Whether a resource of the component itself is in the signature: its handles are of use only in the instance that
    /// they come from.
    pub(crate) fn needs_shared_instance(&self) -> bool {
        self.0.needs_shared_instance
    }
}

/// Whether one of `resources` is in `ty`.
fn mentions(ty: &Type, resources: &[ResourceType]) -> bool {
    let mut mentioned = false;
    each_resource(ty, &mut |ty| mentioned |= resources.contains(&ty));
    mentioned
}

/// How a function is named for people.
pub(crate) fn full_name(instance: &str, name: &str) -> String {
    match instance {
        "" => name.to_owned(),
        instance => format!("{instance}.{name}"),
    }
}
