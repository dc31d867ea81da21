use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::route::Route;

/// How many calls went which way since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// Calls carried in memory.
    pub local: u64,
    /// Calls over the remote transport, to a function not served here or because the mode is off.
    pub remote: u64,
    /// Calls over the remote transport because the queue of the local endpoint was full.
    pub spilled: u64,
    /// Calls over the remote transport because the local endpoint closed before it took them.
    pub fallback: u64,
    /// Calls that failed at once: not served here, and the mode is [`Mode::Require`](crate::Mode::Require).
    pub refused: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    local: AtomicU64,
    remote: AtomicU64,
    spilled: AtomicU64,
    fallback: AtomicU64,
    refused: AtomicU64,
    /// Local calls of which a stream is left.
    in_flight: AtomicUsize,
}

impl Counters {
    pub(crate) fn count(&self, route: Route) {
        let counter = match route {
            Route::Local => &self.local,
            Route::Remote => &self.remote,
            Route::Spilled => &self.spilled,
            Route::Fallback => &self.fallback,
            Route::Refused => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Calls {
        Calls {
            local: self.local.load(Ordering::Relaxed),
            remote: self.remote.load(Ordering::Relaxed),
            spilled: self.spilled.load(Ordering::Relaxed),
            fallback: self.fallback.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}
