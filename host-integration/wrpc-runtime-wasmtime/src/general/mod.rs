//! The general path: values pass between a guest and the wire as wasmtime's [`Val`](wasmtime::component::Val).
//!
//! It takes every signature, resources and `wasi:io` input streams included.
//!
//! | what | where |
//! |---|---|
//! | a value to bytes | `encode` |
//! | bytes to a value | `decode` |
//! | `flags`, in both directions | `flags` |
//! | handles of resources, in both directions | `handles` |
//! | input streams, in both directions | `streams` |
//! | what is written after the bytes of a value, each at its own path | `deferred` |
//! | a peer calls an export | `call` |
//! | a guest calls an import | `import` |
//!
//! A value that wasmtime lifts from a guest is well formed, with one exception: wasmtime 26 panics when it lifts
//! `flags` with bits that the type does not define. That happens before any code of this module runs.

mod call;
mod decode;
mod deferred;
mod encode;
mod flags;
mod handles;
mod import;
mod streams;

#[cfg(test)]
mod tests;

pub use call::call;
pub(crate) use call::run;
pub use decode::read_value;
pub use encode::ValEncoder;
pub(crate) use import::link;
