//! Moves plain component-model values between a guest's memory and the wRPC encoding, in one pass and without an
//! intermediate value.
//!
//! Plain values are all but resources (and what is made of them, such as `wasi:io` streams). For a tuple of them, the
//! parameters or the results of a function, a [`Plan`] is made once. With it:
//!
//! - [`lift`](Lift::run) reads core values and linear memory and writes the encoding;
//! - a [`Checker`] walks received bytes: whether they are valid, and whether the message is complete;
//! - [`lower`](Lower::run) writes a checked message into core values and linear memory.
//!
//! `string` and `list<u8>` are one copy each; lists of numbers are converted in a loop of their own.
//!
//! # The two formats
//!
//! - Guest memory: the canonical ABI of the component model
//!   (<https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md>).
//! - Encoding: wRPC's value definition encoding
//!   (<https://github.com/bytecodealliance/wrpc/blob/main/SPEC.md>), which is that of the component model's binary
//!   format: integers above 8 bits as LEB128, floats little-endian, chars as UTF-8, lists and strings with their length
//!   before them, variants with their discriminant before them, flags as little-endian bytes.
//!
//! # Who is not trusted
//!
//! A guest may pass any pointer, length, discriminant or byte; a peer may send any byte. Either gets an error. Nothing
//! is read or written out of bounds (there is no unsafe code here), no memory is reserved for what a length merely
//! claims, and how much one call can make of a guest's memory is bounded (see [`Lift::limit`]).
//!
//! # What this crate must not know
//!
//! wasmtime, tokio, any transport. Guest memory is what [`Source`] and [`Target`] say.

mod check;
mod error;
mod lift;
mod lower;
mod memory;
mod plan;
mod types;
mod wire;

pub use check::{Checker, Progress};
pub use error::{DecodeError, Fault, LiftError, LowerError, Unsupported};
pub use lift::Lift;
pub use lower::{Destination, Lower};
pub use memory::{Source, Target};
pub use plan::{Plan, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
pub use types::Type;
