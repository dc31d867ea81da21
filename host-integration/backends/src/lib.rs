//! The backends that a build has, and the one of them that was chosen when the process started.
//!
//! The cargo features `duplex` and `mpsc` compile them in. Streams of one type come out of [`AnyBackend`], whichever
//! was chosen, so that what carries calls is one type in every build.

#[cfg(not(all(feature = "duplex", feature = "mpsc")))]
mod absent;
mod any;
mod kind;

pub use any::AnyBackend;
pub use kind::{BackendKind, UnknownBackend};
