//! What `queue`, `paths` and `call` synchronise with: what every program uses, or what loom can look into.
//!
//! loom runs a test once for each way in which its threads can take turns, and for each value that a load may see. Its
//! tests are in modules named `loom`, and run with
//!
//! ```text
//! RUSTFLAGS="--cfg inhost_loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p inhost-dispatch --lib --target-dir target/loom loom
//! ```
//!
//! The cfg has a name of our own because `--cfg loom` changes tokio, too.

#[cfg(not(inhost_loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use tokio::sync::Notify;
}
#[cfg(not(inhost_loom))]
pub(crate) use real::*;

#[cfg(inhost_loom)]
mod notify;
#[cfg(all(test, inhost_loom))]
pub(crate) mod stream;

#[cfg(inhost_loom)]
mod checked {
    pub(crate) use super::notify::Notify;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}
#[cfg(inhost_loom)]
pub(crate) use checked::*;
