//! A function that a component exports, with all that is the same for each invocation of it.

use std::sync::Arc;

use inhost_codec::Signature;
use tracing::{debug, warn};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, Type};

use crate::callers::Callers;
use crate::component::Known;
use crate::invoke::Path;
use crate::memory::limit;
#[cfg(test)]
use crate::types::Budget;
use crate::types::{Function, TooLarge};

/// A function that a component exports; see [`Instance::export`](crate::Instance::export). A clone is the same one.
#[derive(Clone, Debug)]
pub struct Export(Arc<Resolved>);

#[derive(Debug)]
struct Resolved {
    name: Arc<str>,
    signature: Arc<Signature>,
    /// Callers with other types.
    callers: Callers,
    index: ComponentExportIndex,
    /// How much memory an instance may have, in bytes.
    memory: u64,
    codec: Codec,
    /// Also of a function that needs nothing of it: it is found out once for as long as one function has it.
    component: Arc<Known>,
    /// Whether a resource of the component itself is in the signature.
    needs_shared_instance: bool,
    /// Whether it has results.
    answers: bool,
}

/// The way that the values of a function take.
#[derive(Debug)]
pub(crate) enum Codec {
    /// Between guest memory and the wire, without resources.
    Plain,
    /// As wasmtime's `Val`.
    General {
        params: Box<[Type]>,
        results: Box<[Type]>,
    },
    /// None. Each call fails.
    Refused(TooLarge),
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
                let known = Known::of(component);
                let types =
                    Function::of(&ty, |ty| known.imports.is_input_stream(ty), &known.budget);
                let memory = limit(component.engine());
                Ok(Self::new(full, index, &ty, types, known, memory))
            }
            _ => Err(NotExported::new(format!("function `{full}`"))),
        }
    }

    /// A function of `component`. `types` are those that it has, or the instance, and `memory` is how much that may have.
    pub(crate) fn new(
        name: String,
        index: ComponentExportIndex,
        ty: &ComponentFunc,
        types: Result<Function, TooLarge>,
        component: Arc<Known>,
        memory: u64,
    ) -> Self {
        let (codec, signature, needs_shared_instance) = match types {
            Err(reason) => {
                warn!(function = name, %reason, "an export cannot be called");
                (Codec::Refused(reason), Arc::new(nothing()), false)
            }
            Ok(Function { signature, .. }) if !signature.has_resources() => {
                debug!(function = name, codec = "plain", "resolved an export");
                (Codec::Plain, signature, false)
            }
            Ok(Function {
                signature,
                resources,
            }) => {
                debug!(function = name, codec = "general", "resolved an export");
                let needs_shared_instance = component.defines_any(&resources);
                let codec = Codec::General {
                    params: ty.params().collect(),
                    results: ty.results().collect(),
                };
                (codec, signature, needs_shared_instance)
            }
        };
        Self(Arc::new(Resolved {
            name: name.into(),
            signature,
            callers: Callers::default(),
            index,
            memory,
            codec,
            component,
            needs_shared_instance,
            answers: ty.results().len() > 0,
        }))
    }

    /// As [`Export::new`], on the general path whatever the types are.
    #[cfg(test)]
    pub(crate) fn general(name: String, index: ComponentExportIndex, ty: &ComponentFunc) -> Self {
        let types = Function::of(ty, |_| false, &Budget::default()).expect("types within reason");
        Self(Arc::new(Resolved {
            name: name.into(),
            signature: types.signature,
            callers: Callers::default(),
            index,
            memory: u64::MAX,
            codec: Codec::General {
                params: ty.params().collect(),
                results: ty.results().collect(),
            },
            component: Arc::default(),
            needs_shared_instance: false,
            answers: ty.results().len() > 0,
        }))
    }

    /// The function with its instance, for people.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Its types. Of one that cannot be called, they are none.
    pub(crate) fn signature(&self) -> &Arc<Signature> {
        &self.0.signature
    }

    /// Whether a caller that takes the function to have the types `theirs` and this one read each other.
    pub(crate) fn agrees_with(&self, theirs: &Arc<Signature>) -> bool {
        // The types of one that cannot be called are not known.
        let is_known = !matches!(self.codec(), Codec::Refused(_));
        !is_known || self.0.callers.agree(theirs, self.signature())
    }

    /// What is known of its component.
    pub(crate) fn component(&self) -> &Known {
        &self.0.component
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
        matches!(self.codec(), Codec::Plain)
    }

    /// Whether it has results: else no caller waits for it.
    pub(crate) fn answers(&self) -> bool {
        self.0.answers
    }

    /// The paths of the streams in the parameters.
    pub(crate) fn paths(&self) -> Arc<[Path]> {
        self.signature().params.paths().into()
    }

    /// Whether a resource of the component itself is in the signature: its handles are of use only in the instance that
    /// they come from.
    pub(crate) fn needs_shared_instance(&self) -> bool {
        self.0.needs_shared_instance
    }
}

/// The types of a function without any.
fn nothing() -> Signature {
    Signature::new(&[], &[]).expect("none is not too many")
}

/// How a function is named for people.
pub(crate) fn full_name(instance: &str, name: &str) -> String {
    match instance {
        "" => name.to_owned(),
        instance => format!("{instance}.{name}"),
    }
}
