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
/// It knows of the calls that are [`run`](Drain::run) with it. Whoever has it begin sees to it that
/// no calls come from elsewhere, and waits.
#[derive(Debug)]
pub struct Drain {
    phase: AtomicU8,
    finished: AtomicUsize,
    begun: AtomicUsize,
    ended: AtomicUsize,
    lost: AtomicUsize,
    over: [Notify; SHARDS],
}

/// What became of the calls that were in flight when a process [began](Drain::begin) to end them,
/// and of those that came meanwhile.
///
/// A [`Drain`] counts `finished` and `begun` of calls from elsewhere only. The counters of
/// [`Local`](crate::Local) have them of local calls.
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
        let run = Run { drain: self, route };
        if self.phase() == DRAINING && route == Route::Remote {
            self.begun.fetch_add(1, Ordering::AcqRel);
        }
        run
    }

    /// Whether calls are ended.
    pub(crate) fn is_over(&self) -> bool {
        self.phase() == OVER
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }
}

/// A call that runs. Dropping it says that the call has come to its end.
#[derive(Debug)]
pub struct Run<'d> {
    drain: &'d Drain,
    route: Route,
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

    /// Says that the call was ended, or not begun, because [calls are ended](Drain::end). `told` is
    /// whether its caller learns of it: one that wants no results does not.
    pub fn cut(self, told: bool) {
        let count = if told {
            &self.drain.ended
        } else {
            &self.drain.lost
        };
        count.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.drain.phase() == DRAINING && self.route == Route::Remote {
            self.drain.finished.fetch_add(1, Ordering::AcqRel);
        }
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
        let drain = Drain::new();
        drop(drain.run(Route::Remote));
        let [first, second, third] = [(); 3].map(|()| drain.run(Route::Remote));
        drain.begin();
        drop(first);
        drop(drain.run(Route::Remote));
        drop(drain.run(Route::Local));
        let expected = Drained {
            finished: 2,
            begun: 1,
            ..Drained::default()
        };
        assert_eq!(drain.drained(), expected);
        drain.end();
        second.cut(true);
        third.cut(false);
        drain.run(Route::Local).cut(false);
        let expected = Drained {
            ended: 1,
            lost: 2,
            ..expected
        };
        assert_eq!(drain.drained(), expected);
    }
}
