//! How often the callees of this process had no room for an invocation.

use std::sync::atomic::{AtomicU64, Ordering};

static USED_UP: AtomicU64 = AtomicU64::new(0);

/// Notes an invocation, from here or from elsewhere, that finds no room for an instance.
pub fn note_pool_used_up() {
    USED_UP.fetch_add(1, Ordering::Relaxed);
}

/// How many invocations have found no room for an instance since the process started.
pub fn pool_used_up() -> u64 {
    USED_UP.load(Ordering::Relaxed)
}
