//! The calls that are in flight, for who looks at them.
//!
//! Those of a function are a list, which belongs to the function: calls of different functions do
//! not meet there. What a call in memory adds to the list is the record that is kept of it anyway,
//! and how far it has come is read from that.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::list::Place;
use super::observer::{Observer, Record};
use super::target::Target;
use crate::route::Route;

/// A call that is in flight, as [`Local::running`](crate::Local::running) lists it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Running {
    /// The function.
    pub target: Arc<Target>,
    /// Who calls it, as [`Observer::caller`](crate::Observer::caller) has it.
    pub caller: Arc<str>,
    /// Which way it went.
    pub route: Route,
    /// How far it has come.
    pub stage: Stage,
    /// How long ago it began.
    pub age: Duration,
}

/// How far a call that is in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// In memory: it is in the queue of the function.
    Queued,
    /// In memory: the callee's host has taken it, and has not started it. It waits for a permit, for the policy or for
    /// its parameters.
    Waiting,
    /// In memory: the callee runs.
    Running,
    /// The callee has finished its results, and a side has not dropped all of its streams.
    Finishing,
    /// Over the remote transport: the caller has not sent all of its parameters.
    Sending,
    /// Over the remote transport: the parameters are sent. What the callee does is not seen from here.
    Sent,
    /// Over the remote transport, from elsewhere: the callee's host has taken it, and its results
    /// are not complete. Whether it runs, or waits for a permit, is not seen here.
    Taken,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Taken => "taken",
        })
    }
}

/// A call on the list of its function.
pub(crate) enum InFlight {
    /// In memory.
    Here(Arc<Record>),
    /// Over the remote transport, to or from elsewhere.
    Elsewhere(Arc<Journey>),
}

impl InFlight {
    /// The call as it is now. `None` if it is one that was not to be listed.
    pub(super) fn look(&self, target: &Arc<Target>, now: Instant) -> Option<Running> {
        let (caller, route, stage, since) = match self {
            Self::Here(record) => (
                Arc::clone(record.caller()?),
                Route::Local,
                record.stage(),
                record.since(),
            ),
            Self::Elsewhere(journey) => (
                Arc::clone(&journey.caller),
                journey.route,
                journey.stage(),
                journey.since,
            ),
        };
        Some(Running {
            target: Arc::clone(target),
            caller,
            route,
            stage,
            age: now.saturating_duration_since(since),
        })
    }
}

/// A call over the remote transport.
pub(crate) struct Journey {
    caller: Arc<str>,
    route: Route,
    /// Whether it is one that came from elsewhere.
    is_arrival: bool,
    since: Instant,
    /// Whether this side of it has sent all that it sends.
    sent: AtomicBool,
}

impl Journey {
    fn stage(&self) -> Stage {
        match (self.is_arrival, self.sent.load(Ordering::Relaxed)) {
            (false, false) => Stage::Sending,
            (false, true) => Stage::Sent,
            (true, false) => Stage::Taken,
            (true, true) => Stage::Finishing,
        }
    }
}

/// Keeps a call over the remote transport on the list of its function, for as long as a clone of it
/// lives: each stream of the call has one. Empty when the call is not listed.
#[derive(Clone, Default)]
pub(crate) struct Traveller(Option<Arc<Listed>>);

struct Listed {
    target: Arc<Target>,
    journey: Arc<Journey>,
    place: Option<Place>,
}

impl Traveller {
    /// Of a call with `context` that leaves now.
    pub(crate) fn leaves<C: 'static>(
        observer: Option<&dyn Observer<C>>,
        context: &C,
        target: &Arc<Target>,
        route: Route,
    ) -> Self {
        Self::new(observer, context, target, route, false)
    }

    /// Of a call with `context` that has come from elsewhere.
    pub(crate) fn arrives<C: 'static>(
        observer: Option<&dyn Observer<C>>,
        context: &C,
        target: &Arc<Target>,
    ) -> Self {
        Self::new(observer, context, target, Route::Remote, true)
    }

    fn new<C: 'static>(
        observer: Option<&dyn Observer<C>>,
        context: &C,
        target: &Arc<Target>,
        route: Route,
        is_arrival: bool,
    ) -> Self {
        let caller = observer.and_then(|observer| observer.caller(context));
        Self(caller.map(|caller| {
            let journey = Arc::new(Journey {
                caller,
                route,
                is_arrival,
                since: Instant::now(),
                sent: AtomicBool::new(false),
            });
            let place = target.calls.add(InFlight::Elsewhere(Arc::clone(&journey)));
            Arc::new(Listed {
                target: Arc::clone(target),
                journey,
                place: Some(place),
            })
        }))
    }

    /// All that this side sends is sent, or no more will be.
    pub(crate) fn sent(&self) {
        if let Some(listed) = &self.0 {
            listed.journey.sent.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.target.calls.remove(place);
        }
    }
}
