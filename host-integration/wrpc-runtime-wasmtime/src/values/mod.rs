//! The way of values: between guest memory and the wire, without becoming wasmtime's [`Val`](wasmtime::component::Val).
//!
//! What is moved how is in `inhost-codec`; here is what connects it to wasmtime:
//!
//! | what | where |
//! |---|---|
//! | the types of a function, as the codec has them | `types` of this crate |
//! | the guest that a call is about: its memory and its table of resources | `memory` |
//! | what resources are between a guest and the wire, which needs the data of the store | `resources` |
//! | wasmtime's traits for values of our own: the unsafe part | `abi` |
//! | what `abi` needs to know of a function and is not told | `plans` |
//! | a peer calls an export | `call` |
//! | a guest calls an import | `import`, and `import_streams` when streams are beside its values |

mod abi;
mod call;
mod import;
mod import_streams;
mod memory;
mod plans;
mod resources;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::sync::Arc;

use anyhow::bail;
use inhost_codec::Plan;
use wasmtime::component::ResourceType;

use crate::invocation::invoke::Import;
use crate::types::Function;
use crate::values::wire::{CannotPass, Kind};

pub(crate) use abi::{NoResults, Unread};
pub use call::call;
pub(crate) use call::{run, Received};
pub(crate) use import::link;

/// The parameters and results of a function.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Arc<Values>,
    pub(crate) results: Arc<Values>,
}

/// The parameters or the results of a function.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) plan: Arc<Plan>,
    /// What the resources in them are, by their numbers in the plan.
    pub(crate) kinds: Box<[Kind]>,
    /// Which import they are the results of, if they are, for errors.
    import: Option<Box<str>>,
}

impl Signature {
    /// Of a function with these types, in which `kind` says what a resource is.
    pub(crate) fn new(function: &Function, kind: impl Fn(ResourceType) -> Kind) -> Self {
        let values = |plan: &Arc<Plan>, resources: &[ResourceType]| {
            Arc::new(Values {
                plan: Arc::clone(plan),
                kinds: resources.iter().map(|ty| kind(*ty)).collect(),
                import: None,
            })
        };
        let types = &function.signature;
        Self {
            params: values(&types.params, &function.params),
            results: values(&types.results, &function.results),
        }
    }

    /// The same of that import, which is in the errors about its results.
    fn of_import(self, import: &Import) -> Self {
        let Values { plan, kinds, .. } = &*self.results;
        let results = Values {
            plan: Arc::clone(plan),
            kinds: kinds.clone(),
            import: Some(import.to_string().into()),
        };
        Self {
            results: Arc::new(results),
            ..self
        }
    }

    /// Whether a resource can be in a value.
    pub(crate) fn has_resources(&self) -> bool {
        self.params.plan.has_resources() || self.results.plan.has_resources()
    }

    /// Whether a resource of such a kind can be in a value.
    pub(crate) fn has(&self, kind: &Kind) -> bool {
        self.params.has(kind) || self.results.has(kind)
    }

    /// Whether a call can succeed.
    ///
    /// # Errors
    ///
    /// When each call passes a resource that cannot pass.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (what, values) in [("parameter", &self.params), ("result", &self.results)] {
            for (value, resource) in values.plan.in_each_value() {
                let kind = values.kind(resource);
                if matches!(kind, Kind::Host(_)) {
                    bail!("{what} {value}: {}", CannotPass::of(Some(kind)));
                }
            }
        }
        Ok(())
    }
}

impl Values {
    /// What the resource of that number in the plan is.
    fn kind(&self, resource: u32) -> &Kind {
        self.kinds.get(resource as usize).unwrap_or(&Kind::Remote)
    }

    /// Why they could not be given to a guest.
    fn not_given(&self, error: anyhow::Error) -> anyhow::Error {
        match &self.import {
            Some(import) => error.context(format!("failed to receive the results of `{import}`")),
            None => error,
        }
    }

    /// Whether a resource of such a kind can be in one.
    pub(crate) fn has(&self, kind: &Kind) -> bool {
        self.kinds.contains(kind)
    }
}
