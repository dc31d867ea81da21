//! What `--local-status` lists.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use wrpc_transport_nats::local::{self, Ended, Outcome, Running, Status, Target};

use super::slowest::Slow;
use super::tap::Counts;
use super::Seen;
use crate::steer::{self, Steering};

/// Lists what the transport counts and what is seen of calls.
#[derive(Clone)]
pub(crate) struct Listing {
    host: String,
    seen: Arc<Seen>,
    steering: Option<Arc<Steering>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    host: &'a str,
    version: &'static str,
    #[serde(flatten)]
    status: Status,
    /// The oldest calls in flight, the oldest first.
    running: Vec<RunningCall>,
    /// The slowest calls in memory of the last five to ten minutes.
    slowest: Vec<SlowCall>,
    /// The last changes of modes while the host runs, the latest first; nothing when they cannot be changed.
    changes: Option<Vec<steer::Listed>>,
    /// Where records of calls go, if they do.
    tap: Option<Counts>,
}

/// How many calls in flight are listed.
const MOST_RUNNING: usize = 64;

/// A call in flight, as it is listed.
#[derive(Serialize)]
struct RunningCall {
    caller: String,
    prefix: String,
    instance: String,
    function: String,
    route: String,
    state: String,
    age_us: u64,
}

/// What is kept of a slow call.
#[derive(Clone)]
pub(super) struct Kept {
    target: Arc<Target>,
    outcome: Outcome,
    queued: Duration,
    callee: Option<Duration>,
    params_bytes: u64,
    results_bytes: u64,
}

/// A slow call as it is listed. Times are in microseconds.
#[derive(Serialize)]
struct SlowCall {
    prefix: String,
    instance: String,
    function: String,
    outcome: String,
    duration_us: u64,
    queued_us: u64,
    callee_us: Option<u64>,
    params_bytes: u64,
    results_bytes: u64,
    seconds_ago: u64,
}

impl Listing {
    pub(super) fn new(host: String, seen: Arc<Seen>, steering: Option<Arc<Steering>>) -> Self {
        Self {
            host,
            seen,
            steering,
        }
    }

    /// The listing as JSON, as it is right now.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub(crate) fn json(&self) -> serde_json::Result<Vec<u8>> {
        let now = Instant::now();
        let slowest = self.seen.slowest.iter();
        let slowest = slowest.flat_map(|slowest| slowest.list(now));
        let running = local::installed().running(MOST_RUNNING).into_iter();
        serde_json::to_vec(&Listed {
            host: &self.host,
            version: env!("CARGO_PKG_VERSION"),
            status: local::status(),
            running: running.map(RunningCall::from).collect(),
            slowest: slowest.map(|call| SlowCall::new(&call, now)).collect(),
            changes: self.steering.as_ref().map(|it| it.listed()),
            tap: self.seen.tap.as_ref().map(|tap| tap.counts()),
        })
    }
}

impl Kept {
    pub(super) fn of(call: &Ended<'_>) -> Self {
        Self {
            target: Arc::clone(call.target),
            outcome: call.outcome,
            queued: call.queued,
            callee: call.callee,
            params_bytes: call.params_bytes,
            results_bytes: call.results_bytes,
        }
    }
}

impl From<Running> for RunningCall {
    fn from(call: Running) -> Self {
        Self {
            caller: call.caller.to_string(),
            prefix: call.target.prefix().to_owned(),
            instance: call.target.instance().to_owned(),
            function: call.target.function().to_owned(),
            route: call.route.to_string(),
            state: call.stage.to_string(),
            age_us: microseconds(call.age),
        }
    }
}

impl SlowCall {
    fn new(slow: &Slow<Kept>, now: Instant) -> Self {
        let Kept { target, .. } = &slow.call;
        Self {
            prefix: target.prefix().to_owned(),
            instance: target.instance().to_owned(),
            function: target.function().to_owned(),
            outcome: slow.call.outcome.to_string(),
            duration_us: microseconds(slow.duration),
            queued_us: microseconds(slow.call.queued),
            callee_us: slow.call.callee.map(microseconds),
            params_bytes: slow.call.params_bytes,
            results_bytes: slow.call.results_bytes,
            seconds_ago: now.saturating_duration_since(slow.ended).as_secs(),
        }
    }
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
