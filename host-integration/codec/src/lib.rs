//! Moves component-model values between a guest's memory and the wRPC encoding, in one pass and without an
//! intermediate value.
//!
//! For a tuple of them, the parameters or the results of a function, a [`Plan`] is made once. With it:
//!
//! - [`lift`](Lift::run) reads core values and linear memory and writes the encoding;
//! - a [`Checker`] walks received bytes: whether they are valid, and whether the message is complete;
//! - [`lower`](Lower::run) writes a checked message into core values and linear memory.
//!
//! Whether two peers whose types of a function differ read each other all the same, [`agree`] tells
//! by their [`Signature`]s.
//!
//! `string` and `list<u8>` are one copy each; lists of numbers are converted in a loop of their own.
//!
//! Resources are leaves of a plan. What one is, and what its bytes are, is known by [`Source`]
//! and [`Target`]: a guest has an index in a table of the runtime. A handle is a length and as many
//! bytes. They may become known only after the walk, so [`Lifted`] takes them later. A stream has
//! no bytes: its content travels at a path, which the walks tell.
//!
//! ```
//! use std::sync::Arc;
//!
//! use inhost_codec::{Checker, Destination, Lift, Lower, Plan, Progress, Source, Taken, Target};
//! use inhost_codec::{Type, MAX_FLAT_PARAMS};
//!
//! /// A guest that is nothing but memory.
//! struct Guest(Vec<u8>);
//!
//! impl<'m> Source<'m> for &'m Guest {
//!     type Error = ();
//!
//!     fn bytes(&self) -> &'m [u8] {
//!         &self.0
//!     }
//!
//!     fn is_utf8(&self) -> bool {
//!         true
//!     }
//!
//!     fn transcoded(&mut self, _: u32, _: u32) -> Result<String, ()> {
//!         Err(())
//!     }
//!
//!     fn take(&mut self, _: u32, _: u32, _: &[usize]) -> Result<Taken, ()> {
//!         Err(())
//!     }
//! }
//!
//! impl Target for Guest {
//!     type Error = ();
//!
//!     fn bytes(&mut self) -> &mut [u8] {
//!         &mut self.0
//!     }
//!
//!     fn allocate(&mut self, align: u32, size: usize) -> Result<usize, ()> {
//!         let address = self.0.len().next_multiple_of(align as usize);
//!         self.0.resize(address + size, 0);
//!         Ok(address)
//!     }
//!
//!     fn is_utf8(&self) -> bool {
//!         true
//!     }
//!
//!     fn transcode(&mut self, _: &str) -> Result<(u32, u32), ()> {
//!         Err(())
//!     }
//!
//!     fn give(&mut self, _: u32) -> Result<u32, ()> {
//!         Err(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The parameters of `func(name: string, number: u32)`.
//! let plan = Arc::new(Plan::new(&[Type::String, Type::U32])?);
//!
//! // The caller passes pointer and length of a string in its memory, and a number.
//! let caller = Guest(b"....hello".to_vec());
//! let lifted = Lift::new(&plan).run(&mut &caller, &[4, 5, 7], MAX_FLAT_PARAMS).expect("fine");
//! let message = lifted.message();
//! assert_eq!(message, b"\x05hello\x07");
//!
//! // The message arrives in pieces.
//! let mut checker = Checker::new(Arc::clone(&plan));
//! assert!(matches!(checker.advance(&message[..3])?, Progress::Incomplete { .. }));
//! assert_eq!(checker.advance(message)?, Progress::Complete { length: 7 });
//!
//! // The callee is given the same in its own memory.
//! let (mut callee, mut core) = (Guest(vec![0; 16]), [0; 3]);
//! let lowered = Lower::new(&plan).run(
//!     message,
//!     &mut callee,
//!     &mut core,
//!     MAX_FLAT_PARAMS,
//!     Destination::Allocate,
//! );
//! lowered.expect("fine");
//! assert_eq!(core, [16, 5, 7]);
//! assert_eq!(callee.0[16..], *b"hello");
//! # Ok(())
//! # }
//! ```
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

mod agree;
mod build;
mod check;
mod copy;
mod error;
mod found;
mod lift;
mod lifted;
mod lower;
mod memory;
mod paths;
mod plan;
mod signature;
mod types;
mod wire;

pub use agree::agree;
pub use build::{Builder, Part};
pub use check::{Checker, Progress};
pub use error::{DecodeError, Fault, LiftError, LowerError, Unsupported};
pub use found::{Found, Passes};
pub use lift::Lift;
pub use lifted::Lifted;
pub use lower::{Destination, Lower};
pub use memory::{Source, Taken, Target};
pub use plan::{Plan, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
pub use signature::Signature;
pub use types::Type;
