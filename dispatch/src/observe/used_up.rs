//! How often the callees of this process have used up what they may use.

use std::sync::atomic::{AtomicU64, Ordering};

static QUEUE: AtomicU64 = AtomicU64::new(0);
static POOL: AtomicU64 = AtomicU64::new(0);
static TIME: AtomicU64 = AtomicU64::new(0);

/// Notes a call from here that finds the queue of its callee full.
pub(crate) fn note_queue_full() {
    QUEUE.fetch_add(1, Ordering::Relaxed);
}

/// How many calls have found the queue of their callee on this host full since the process started:
/// those that went elsewhere because of it, and those that waited for room.
pub fn queue_full() -> u64 {
    QUEUE.load(Ordering::Relaxed)
}

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
