//! A function that a component exports, with all that is the same for each invocation of it.

use std::sync::Arc;

use inhost_codec::Signature;
use tracing::warn;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::instance::callers::Callers;
use crate::instance::component::Known;
use crate::instance::CallFailed;
use crate::invocation::invoke::Path;
use crate::invocation::memory::limit;
use crate::invocation::name::full_name;
use crate::invocation::step::Step;
use crate::turns::Line;
use crate::types::{Function, TooLarge};
use crate::values::wire::Kind;
use crate::values::Signature as Values;

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
    /// What the values are, or why it cannot be called.
    values: Result<Values, TooLarge>,
    /// Kept so that it is found out once for as long as one function of the component is there.
    component: Arc<Known>,
    /// Whether it has results.
    answers: bool,
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

    /// A function of `component`. `types` are those that it has, or the instance, and `memory` is
    /// how much that may have.
    pub(crate) fn new(
        name: String,
        index: ComponentExportIndex,
        ty: &ComponentFunc,
        types: Result<Function, TooLarge>,
        component: Arc<Known>,
        memory: u64,
    ) -> Self {
        let (signature, values) = match types {
            Err(reason) => {
                warn!(function = name, %reason, "an export cannot be called");
                (Arc::new(nothing()), Err(reason))
            }
            Ok(function) => {
                let values = Values::new(&function, |ty| component.kind(ty));
                (function.signature, Ok(values))
            }
        };
        Self(Arc::new(Resolved {
            name: name.into(),
            signature,
            callers: Callers::default(),
            index,
            memory,
            values,
            component,
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
        let is_known = self.0.values.is_ok();
        !is_known || self.0.callers.agree(theirs, self.signature())
    }

    pub(crate) fn index(&self) -> ComponentExportIndex {
        self.0.index
    }

    /// The guests of its component that compute.
    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.0.component.line
    }

    /// How much memory an instance may have, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.0.memory
    }

    /// Its parameters and results.
    ///
    /// # Errors
    ///
    /// [`CallFailed`] with [`Step::Resolve`] when its types are too many.
    pub(crate) fn values(&self) -> Result<&Values, CallFailed> {
        let values = self.0.values.as_ref();
        values.map_err(|reason| CallFailed::new(self, Step::Resolve, (*reason).into()))
    }

    /// Whether a resource can be in a parameter or a result.
    pub(crate) fn has_resources(&self) -> bool {
        self.signature().has_resources()
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
        let values = self.0.values.as_ref();
        values.is_ok_and(|values| values.has(&Kind::Guest))
    }
}

/// The types of a function without any.
fn nothing() -> Signature {
    Signature::new(&[], &[]).expect("none is not too many")
}
