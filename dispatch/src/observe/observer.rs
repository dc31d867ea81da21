//! Being told about local calls, one by one.
//!
//! What is counted of each function costs next to nothing and is always there. What needs a clock,
//! or memory for each call, is done for an [`Observer`] only. Without one, a call carries an empty
//! option.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::list::Place;
use super::running::{InFlight, Stage};
use super::target::Target;
use crate::route::{Outcome, Route};

/// Is told about local calls; see [`Local::observe`](crate::Local::observe).
///
/// `C` is what the transport calls the context of an invocation, its headers for NATS.
pub trait Observer<C>: Send + Sync + 'static {
    /// A local call with this context begins. What this returns is told when it has ended.
    ///
    /// It may turn out that the call does not stay here; then nothing is told. This is on the way
    /// of each call, so it must neither wait nor take long.
    fn begins(&self, context: &C) -> Arc<dyn Ending>;

    /// Who makes a call with this context, by whatever route. It is listed by
    /// [`Local::running`](crate::Local::running) as long as it is in flight. With `None`, the
    /// default, it is not listed.
    ///
    /// This is on the way of each call, as [`Observer::begins`] is.
    fn caller(&self, context: &C) -> Option<Arc<str>> {
        let _ = context;
        None
    }
}

/// Is told about the end of a local call.
pub trait Ending: Send + Sync {
    /// Both sides have dropped all streams of the call.
    ///
    /// This runs in the task of the side that was the last to, and must neither wait nor take long.
    fn ended(self: Arc<Self>, call: &Ended<'_>);
}

/// A local call that has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// The function. There may be any number of them: see [`Target::counted_as`].
    pub target: &'a Arc<Target>,
    /// How it ended.
    pub outcome: Outcome,
    /// From the moment it was queued until the callee had finished its results, or until both sides
    /// had gone. What nested streams carry after that is not a part of it.
    pub duration: Duration,
    /// How long it waited in the function's queue.
    pub queued: Duration,
    /// From the moment the callee started to run it until it had finished the results, or had gone.
    /// `None` when it did not run. Making the instance is a part of it, and waiting for a permit is
    /// not.
    pub callee: Option<Duration>,
    /// Bytes of parameters, those of nested streams included.
    pub params_bytes: u64,
    /// Bytes of results, those of nested streams included.
    pub results_bytes: u64,
}

/// What is noted of a call for the end of it.
pub(crate) struct Record {
    ending: Arc<dyn Ending>,
    /// Who calls, if the call is listed.
    caller: Option<Arc<str>>,
    queued: Instant,
    /// When it got there, in nanoseconds since it was queued; 0 when it did not.
    taken: AtomicU64,
    started: AtomicU64,
    completed: AtomicU64,
    params_bytes: AtomicU64,
    results_bytes: AtomicU64,
    left: AtomicU8,
}

/// Who was the first to leave before the results were complete. Both sides are gone in the end, and
/// both look at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstToLeave {
    Caller = 1,
    Callee = 2,
    /// The call went another way: there is nothing to tell.
    Elsewhere = 3,
}

/// How far a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Queued,
    Taken,
    Admitted,
    Running,
    Refused,
    Complete,
}

impl Record {
    /// Of a call with `context` that is queued now.
    pub(crate) fn new<C: 'static>(
        observer: &dyn Observer<C>,
        context: &C,
        params_bytes: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            ending: observer.begins(context),
            caller: observer.caller(context),
            queued: Instant::now(),
            taken: AtomicU64::new(0),
            started: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            params_bytes: AtomicU64::new(params_bytes as u64),
            results_bytes: AtomicU64::new(0),
            left: AtomicU8::new(0),
        })
    }

    fn now(&self) -> u64 {
        let since = self.queued.elapsed().as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }

    pub(crate) fn reached(&self, reached: Reached) {
        let moment = match reached {
            Reached::Taken => &self.taken,
            Reached::Running => &self.started,
            Reached::Complete => &self.completed,
            Reached::Queued | Reached::Admitted | Reached::Refused => return,
        };
        // Shutting down twice is no error.
        if moment.load(Ordering::Relaxed) == 0 {
            moment.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The call is in the queue again.
    pub(crate) fn put_back(&self) {
        self.taken.store(0, Ordering::Relaxed);
    }

    pub(super) fn caller(&self) -> Option<&Arc<str>> {
        self.caller.as_ref()
    }

    pub(super) fn since(&self) -> Instant {
        self.queued
    }

    pub(super) fn stage(&self) -> Stage {
        let has = |moment: &AtomicU64| moment.load(Ordering::Relaxed) != 0;
        if has(&self.completed) {
            Stage::Finishing
        } else if has(&self.started) {
            Stage::Running
        } else if has(&self.taken) {
            Stage::Waiting
        } else {
            Stage::Queued
        }
    }

    /// Puts the call on the list of its function, if it is to be there.
    pub(crate) fn list(self: &Arc<Self>, target: &Target) -> Option<Place> {
        self.caller.as_ref()?;
        Some(target.calls.add(InFlight::Here(Arc::clone(self))))
    }

    pub(crate) fn params(&self, bytes: usize) {
        self.params_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn results(&self, bytes: usize) {
        self.results_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The first one counts.
    pub(crate) fn left(&self, who: FirstToLeave) {
        let _ = self
            .left
            .compare_exchange(0, who as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Tells about the end of the call.
    pub(crate) fn end(self, target: &Arc<Target>, reached: Reached) {
        let left = self.left.load(Ordering::Relaxed);
        if left == FirstToLeave::Elsewhere as u8 {
            return;
        }
        let outcome = match reached {
            Reached::Complete => Outcome::Completed,
            _ if left == FirstToLeave::Caller as u8 => Outcome::CallerLeft,
            Reached::Queued | Reached::Admitted | Reached::Refused => Outcome::NotRun,
            Reached::Taken => Outcome::Denied,
            Reached::Running => Outcome::Failed,
        };
        let moment = |moment: &AtomicU64| match moment.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Duration::from_nanos(at)),
        };
        let duration = moment(&self.completed);
        let duration = duration.unwrap_or_else(|| self.queued.elapsed());
        let (params_bytes, results_bytes) = (
            self.params_bytes.load(Ordering::Relaxed),
            self.results_bytes.load(Ordering::Relaxed),
        );
        target.counters.ended(outcome, params_bytes, results_bytes);
        self.ending.ended(&Ended {
            target,
            outcome,
            duration,
            queued: moment(&self.taken).unwrap_or(duration),
            callee: moment(&self.started)
                .filter(|_| outcome != Outcome::NotRun)
                .map(|started| duration.saturating_sub(started)),
            params_bytes,
            results_bytes,
        });
    }
}

static ON_START: OnceLock<fn(Route)> = OnceLock::new();

/// Has `hook` called in the task and the span of each invocation that starts to run in this
/// process, with the route that it came by: [`Route::Local`] or [`Route::Remote`]. Only the first
/// one of a process is called.
///
/// For what the callee's side of a call says about it, such as an attribute of its span. It must
/// neither wait nor take long.
pub fn on_start(hook: fn(Route)) {
    let _ = ON_START.set(hook);
}

/// Says that an invocation that came by `route` starts to run.
pub fn starts(route: Route) {
    if let Some(hook) = ON_START.get() {
        hook(route);
    }
}
