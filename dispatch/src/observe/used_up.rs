//! How often the callees of this process have used up what they may use.

use std::sync::atomic::{AtomicU64, Ordering};

static POOL: AtomicU64 = AtomicU64::new(0);
static TIME: AtomicU64 = AtomicU64::new(0);

/// Notes an invocation, from here or from elsewhere, that finds no room for an instance.
pub fn note_pool_used_up() {
    POOL.fetch_add(1, Ordering::Relaxed);
}

/// How many invocations have found no room for an instance since the process started.
pub fn pool_used_up() -> u64 {
    POOL.load(Ordering::Relaxed)
}

/// Notes an invocation, from here or from elsewhere, whose guest is stopped because it computes for too long.
pub fn note_time_used_up() {
    TIME.fetch_add(1, Ordering::Relaxed);
}

/// How many guests were stopped because they computed for too long since the process started.
pub fn time_used_up() -> u64 {
    TIME.load(Ordering::Relaxed)
}
