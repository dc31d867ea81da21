use std::iter::Sum;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::route::Outcome;
use crate::route::Route;

/// How many calls went which way since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Calls {
    /// Calls carried in memory.
    pub local: u64,
    /// Calls over the remote transport, to a function not served here or because the mode is off.
    pub remote: u64,
    /// Calls over the remote transport because the queue of the local endpoint was full, or emptied
    /// so slowly that another host is faster.
    pub spilled: u64,
    /// Calls over the remote transport because the local endpoint closed before it took them.
    pub fallback: u64,
    /// Calls that failed at once: not served here, and the mode is [`Mode::Require`](crate::Mode::Require).
    pub refused: u64,
}

impl Sum for Calls {
    fn sum<I: Iterator<Item = Self>>(calls: I) -> Self {
        calls.fold(Self::default(), |sum, calls| Self {
            local: sum.local + calls.local,
            remote: sum.remote + calls.remote,
            spilled: sum.spilled + calls.spilled,
            fallback: sum.fallback + calls.fallback,
            refused: sum.refused + calls.refused,
        })
    }
}

/// How many calls failed since the process started, and in which way.
///
/// All but `not_sent` are local calls. All but that and `lost` are counted only while calls are
/// [observed](crate::Local::observe). Calls that were refused are in [`Calls`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Failures {
    /// [`Outcome::Failed`].
    pub failed: u64,
    /// [`Outcome::Denied`].
    pub denied: u64,
    /// [`Outcome::NotRun`].
    pub not_run: u64,
    /// [`Outcome::CallerLeft`].
    pub caller_left: u64,
    /// Calls that the remote transport could not send.
    pub not_sent: u64,
    /// Local calls without results that had waited when their function stopped being served, or
    /// that there was no room for, and whose callers could not be told any more. Counted always.
    pub lost: u64,
}

/// What is counted of a function.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    local: AtomicU64,
    remote: AtomicU64,
    spilled: AtomicU64,
    fallback: AtomicU64,
    refused: AtomicU64,
    /// Local calls of which a stream is left.
    in_flight: AtomicUsize,
    params_bytes: AtomicU64,
    results_bytes: AtomicU64,
    failed: AtomicU64,
    denied: AtomicU64,
    not_run: AtomicU64,
    caller_left: AtomicU64,
    not_sent: AtomicU64,
    lost: AtomicU64,
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

    /// How many others are in flight.
    pub(crate) fn begin(&self) -> usize {
        self.in_flight.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a local call that was observed.
    pub(crate) fn ended(&self, outcome: Outcome, params_bytes: u64, results_bytes: u64) {
        self.params_bytes.fetch_add(params_bytes, Ordering::Relaxed);
        self.results_bytes
            .fetch_add(results_bytes, Ordering::Relaxed);
        let counter = match outcome {
            Outcome::Completed => return,
            Outcome::Failed => &self.failed,
            Outcome::Denied => &self.denied,
            Outcome::NotRun => &self.not_run,
            Outcome::CallerLeft => &self.caller_left,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn not_sent(&self) {
        self.not_sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, calls: u64) {
        self.lost.fetch_add(calls, Ordering::Relaxed);
    }

    /// Of parameters and of results.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (
            self.params_bytes.load(Ordering::Relaxed),
            self.results_bytes.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn failures(&self) -> Failures {
        Failures {
            failed: self.failed.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            not_run: self.not_run.load(Ordering::Relaxed),
            caller_left: self.caller_left.load(Ordering::Relaxed),
            not_sent: self.not_sent.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}
