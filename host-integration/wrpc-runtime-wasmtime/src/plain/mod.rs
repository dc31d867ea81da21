//! The plain path: values move between guest memory and the wire without becoming wasmtime's
//! [`Val`](wasmtime::component::Val).
//!
//! It takes functions whose parameters and results have no resources in them. What is moved how is in `inhost-codec`;
//! here is what connects it to wasmtime:
//!
//! | what | where |
//! |---|---|
//! | the types of a function, as the codec has them | `types` of this crate |
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

pub(crate) use call::call;
pub(crate) use import::link;
