//! The end of a process that runs calls: what runs may come to its end, and what has not when the
//! time is over is ended.
//!
//! ```text
//!            begin                 end
//!   serving --------> draining --------> over
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::route::Route;

const SERVING: u8 = 0;
const DRAINING: u8 = 1;
const OVER: u8 = 2;

/// Calls that wait for the end register with one of these, so that threads are seldom in each other's way.
const SHARDS: usize = 16;

/// How far a process is with ending its calls. There is one of a process, [`Drain::of_process`].
///
/// It counts the calls in memory, and those that come from elsewhere, each once: when it ends. Those
/// that are [`run`](Drain::run) with it learn that they are to end. Whoever has it begin sees to it
/// that no calls come from elsewhere, and waits.
#[derive(Debug)]
pub struct Drain {
    phase: AtomicU8,
    finished: AtomicUsize,
    begun: AtomicUsize,
    ended: AtomicUsize,
    lost: AtomicUsize,
    /// How many calls from elsewhere there are.
    arrived: AtomicUsize,
    over: [Notify; SHARDS],
}

/// What became of the calls that were in flight when a process [began](Drain::begin) to end them,
/// and of those that came meanwhile.
///
/// A [`Drain`] counts `begun` of calls from elsewhere only. The counters of [`Local`](crate::Local)
/// have it of local calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Calls that came to their end, whatever that was.
    pub finished: usize,
    /// How many calls, of all of these, waited when it began or were made by others of them, and
    /// began to run meanwhile.
    pub begun: usize,
    /// Calls that were ended, or did not begin, and whose caller got an error.
    pub ended: usize,
    /// Calls that were ended, or did not begin, and of which no caller learns: one-way calls, and
    /// what could not be ended.
    pub lost: usize,
}

impl Drained {
    /// Whether each call came to its own end.
    pub fn is_complete(&self) -> bool {
        self.ended == 0 && self.lost == 0
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "finished={} begun={} ended={} lost={}",
            self.finished, self.begun, self.ended, self.lost
        )
    }
}

impl Drain {
    /// That of a process that serves.
    #[expect(clippy::new_without_default, reason = "there is one of a process")]
    pub const fn new() -> Self {
        Self {
            phase: AtomicU8::new(SERVING),
            finished: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            over: [const { Notify::const_new() }; SHARDS],
        }
    }

    /// That of this process.
    pub fn of_process() -> &'static Self {
        static OF_PROCESS: Drain = Drain::new();
        &OF_PROCESS
    }

    /// Counts what becomes of calls from here on. They run as before.
    pub fn begin(&self) {
        self.phase.fetch_max(DRAINING, Ordering::AcqRel);
    }

    /// Ends the calls that run, and those that have not begun when their turn comes.
    pub fn end(&self) {
        self.phase.store(OVER, Ordering::Release);
        for waiting in &self.over {
            waiting.notify_waiters();
        }
    }

    /// What has become of calls so far.
    pub fn drained(&self) -> Drained {
        let count = |count: &AtomicUsize| count.load(Ordering::Acquire);
        Drained {
            finished: count(&self.finished),
            begun: count(&self.begun),
            ended: count(&self.ended),
            lost: count(&self.lost),
        }
    }

    /// A call whose turn it is, which came by `route`. It is to be run, unless [`Run::is_over`].
    pub fn run(&self, route: Route) -> Run<'_> {
        if self.phase() == DRAINING && route == Route::Remote {
            self.begun.fetch_add(1, Ordering::AcqRel);
        }
        Run { drain: self }
    }

    /// How many calls that came from elsewhere have not ended.
    pub fn arrived(&self) -> usize {
        self.arrived.load(Ordering::Acquire)
    }

    /// A call has ended. `is_complete` is whether it has all of its results, and `is_told` whether
    /// its caller learns of it if not.
    pub(crate) fn ends(&self, is_complete: bool, is_told: bool) {
        let count = match self.phase() {
            SERVING => return,
            OVER if !is_complete && is_told => &self.ended,
            OVER if !is_complete => &self.lost,
            _ => &self.finished,
        };
        count.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether calls are ended.
    pub(crate) fn is_over(&self) -> bool {
        self.phase() == OVER
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }
}

/// A call that runs.
#[derive(Debug)]
pub struct Run<'d> {
    drain: &'d Drain,
}

impl Run<'_> {
    /// Whether calls are ended: one that has not begun is not to begin.
    pub fn is_over(&self) -> bool {
        self.drain.is_over()
    }

    /// Waits until calls are ended. Never returns if that does not happen.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn over(&self) {
        let shard = std::ptr::from_ref(self).addr() / align_of::<Self>() % SHARDS;
        loop {
            // From here on a notification is not missed.
            let told = self.drain.over[shard].notified();
            if self.is_over() {
                return;
            }
            told.await;
        }
    }
}

/// A call that has come from elsewhere, until it ends.
#[derive(Debug)]
pub(crate) struct Arrival {
    drain: &'static Drain,
    has_results: bool,
    is_complete: bool,
}

impl Arrival {
    pub(crate) fn new(drain: &'static Drain, has_results: bool) -> Self {
        drain.arrived.fetch_add(1, Ordering::AcqRel);
        Self {
            drain,
            has_results,
            is_complete: false,
        }
    }

    /// It has all of its results.
    pub(crate) fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.drain.ends(self.is_complete, self.has_results);
        // Last: who sees no calls finds all of them counted.
        self.drain.arrived.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    #[test]
    fn a_call_is_ended_when_the_time_is_over_and_not_before() {
        let drain = Drain::new();
        let runs = [(); 3 * SHARDS].map(|()| drain.run(Route::Local));
        let mut waiting: Vec<_> = runs.iter().map(|run| task::spawn(run.over())).collect();
        for run in &mut waiting {
            assert_pending!(run.poll());
        }
        drain.begin();
        assert!(waiting.iter().all(|run| !run.is_woken()));
        drain.end();
        for run in &mut waiting {
            assert!(run.is_woken());
            assert_ready!(run.poll());
        }
        drop(waiting);
        assert!(drain.run(Route::Remote).is_over());
        // It does not begin anew.
        drain.begin();
        assert!(drain.run(Route::Remote).is_over());
    }

    #[test]
    fn what_becomes_of_calls_is_counted_from_the_beginning_of_the_end() {
        static DRAIN: Drain = Drain::new();
        let drain = &DRAIN;
        drop(Arrival::new(drain, true));
        let [first, second, mut fourth] = [(); 3].map(|()| Arrival::new(drain, true));
        let third = Arrival::new(drain, false);
        drain.begin();
        drop(first);
        drain.run(Route::Remote);
        drain.run(Route::Local);
        drain.ends(false, false);
        let expected = Drained {
            finished: 2,
            begun: 1,
            ..Drained::default()
        };
        assert_eq!(drain.drained(), expected);
        drain.end();
        assert_eq!(drain.arrived(), 3);
        drop((second, third));
        fourth.complete();
        drop(fourth);
        drain.ends(false, false);
        let expected = Drained {
            finished: 3,
            ended: 1,
            lost: 2,
            ..expected
        };
        assert_eq!((drain.drained(), drain.arrived()), (expected, 0));
    }
}
