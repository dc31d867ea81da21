//! The plain path: values move between guest memory and the wire without becoming wasmtime's
//! [`Val`](wasmtime::component::Val).
//!
//! It takes functions whose parameters and results have no resources in them. What is moved how is in `inhost-codec`;
//! here is what connects it to wasmtime:
//!
//! | what | where |
//! |---|---|
//! | the types of a function, as the codec has them | `types` |
//! | the guest memory that a call is about | `memory` |
//! | wasmtime's traits for values of our own: the unsafe part | `abi` |
//! | what `abi` needs to know of a function and is not told | `plans` |
//! | a peer calls an export | `call` |
//! | a guest calls an import | `import` |

mod abi;
mod call;
mod import;
mod memory;
mod plans;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use inhost_codec::Plan;
use wasmtime::component::types::ComponentFunc;

pub(crate) use call::call;
pub(crate) use import::link;

/// The parameters and results of a function without resources.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Arc<Plan>,
    pub(crate) results: Arc<Plan>,
}

impl Signature {
    /// The plain signature of a function.
    ///
    /// # Errors
    ///
    /// Why it has none, and the general path has to be taken.
    pub(crate) fn of(ty: &ComponentFunc) -> Result<Self, types::NotPlain> {
        Ok(Self {
            params: Arc::new(types::plan(ty.params())?),
            results: Arc::new(types::plan(ty.results())?),
        })
    }
}
