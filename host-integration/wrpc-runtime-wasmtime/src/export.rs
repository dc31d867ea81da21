//! A function that a component exports, with all that is the same for each invocation of it.

use std::sync::Arc;

use tracing::debug;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, ResourceType, Type};

use crate::plain::Signature;
use crate::resources::collect_component_resources;

/// A function that a component exports; see [`Instance::export`](crate::Instance::export). A clone is the same one.
#[derive(Clone, Debug)]
pub struct Export(Arc<Resolved>);

#[derive(Debug)]
struct Resolved {
    name: Arc<str>,
    index: ComponentExportIndex,
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
        guest_resources: Arc<[ResourceType]>,
    },
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
                let mut guest_resources = Vec::new();
                collect_component_resources(
                    component.engine(),
                    &component.component_type(),
                    &mut guest_resources,
                );
                Ok(Self::new(full, index, &ty, guest_resources.into()))
            }
            _ => Err(NotExported::new(format!("function `{full}`"))),
        }
    }

    pub(crate) fn new(
        name: String,
        index: ComponentExportIndex,
        ty: &ComponentFunc,
        guest_resources: Arc<[ResourceType]>,
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
                    guest_resources,
                }
            }
        };
        let needs_shared_instance = match &codec {
            Codec::Plain(_) => false,
            Codec::General {
                params,
                results,
                guest_resources,
            } => params
                .iter()
                .chain(results)
                .any(|ty| mentions(ty, guest_resources)),
        };
        Self(Arc::new(Resolved {
            name: name.into(),
            index,
            codec,
            needs_shared_instance,
        }))
    }

    /// As [`Export::new`], on the general path whatever the types are.
    #[cfg(test)]
    pub(crate) fn general(name: String, index: ComponentExportIndex, ty: &ComponentFunc) -> Self {
        Self(Arc::new(Resolved {
            name: name.into(),
            index,
            codec: Codec::General {
                params: ty.params().collect(),
                results: ty.results().collect(),
                guest_resources: Arc::new([]),
            },
            needs_shared_instance: false,
        }))
    }

    /// The function with its instance, for people.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    pub(crate) fn index(&self) -> ComponentExportIndex {
        self.0.index
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.0.codec
    }

    /// Whether a resource of the component itself is in the signature: its handles are of use only in the instance that
    /// they come from.
    pub(crate) fn needs_shared_instance(&self) -> bool {
        self.0.needs_shared_instance
    }
}

/// Whether one of `resources` is in `ty`.
fn mentions(ty: &Type, resources: &[ResourceType]) -> bool {
    let in_option = |ty: Option<Type>| ty.is_some_and(|ty| mentions(&ty, resources));
    match ty {
        Type::Own(resource) | Type::Borrow(resource) => resources.contains(resource),
        Type::List(list) => mentions(&list.ty(), resources),
        Type::Record(record) => record.fields().any(|field| mentions(&field.ty, resources)),
        Type::Tuple(tuple) => tuple.types().any(|ty| mentions(&ty, resources)),
        Type::Variant(variant) => variant.cases().any(|case| in_option(case.ty)),
        Type::Option(option) => mentions(&option.ty(), resources),
        Type::Result(result) => in_option(result.ok()) || in_option(result.err()),
        _ => false,
    }
}

/// How a function is named for people.
pub(crate) fn full_name(instance: &str, name: &str) -> String {
    match instance {
        "" => name.to_owned(),
        instance => format!("{instance}.{name}"),
    }
}
