//! What is seen of a host from outside.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use inhost_testbed::{Driver, HeldTally, Peer, ECHO};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::images::BUMPED;
use crate::world::{Callee, World};

/// How many callers there are for each way.
const CALLERS: usize = 2;

/// The time between two calls of one caller.
const BETWEEN: Duration = Duration::from_millis(50);

/// How often each way is tried at rest.
const TRIES: usize = 3;

/// How long nothing may have been begun before it is looked whether all is at rest.
const NO_MORE: Duration = Duration::from_millis(700);

/// How long calls that wait are given to be begun.
const BEGIN: Duration = Duration::from_millis(500);

/// The time between two looks at what waits.
const AGAIN: Duration = Duration::from_millis(5);

/// A way to the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a component on the host.
    Caller,
    /// From outside, over NATS.
    Outside,
    /// From outside, by the interface that only some versions have.
    Bumped,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Caller, Self::Outside, Self::Bumped];
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By this version.
    Version(u32),
    /// An error.
    Error(String),
    /// Nothing within five seconds.
    None,
}

/// A call of `version`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) way: Way,
    pub(crate) answer: Answer,
    pub(crate) took: Duration,
}

/// What the host said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) component: String,
    pub(crate) kind: String,
    pub(crate) count: u64,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{version}"),
            Self::Error(_) => f.write_str("error"),
            Self::None => f.write_str("nothing"),
        }
    }
}

impl Event {
    pub(crate) fn read(message: &async_nats::Message) -> Option<Self> {
        let event: serde_json::Value = serde_json::from_slice(&message.payload).ok()?;
        let data = &event["data"];
        Some(Self {
            component: data["component_id"].as_str()?.to_owned(),
            kind: message.subject.rsplit('.').next()?.to_owned(),
            count: data["max_instances"].as_u64()?,
        })
    }
}

/// What became of calls without results that all waited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Those whose caller was told that they are on their way.
    pub(crate) accepted: BTreeSet<u64>,
    /// Those that were begun, as often as they were.
    pub(crate) begun: Vec<u64>,
    /// How many ran at once at most.
    pub(crate) peak: usize,
}

/// What was seen in one window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Whether each command was accepted.
    pub(crate) accepted: Vec<bool>,
    /// The calls that were made all the time, by each caller one after the other.
    pub(crate) calls: Vec<Vec<Call>>,
    pub(crate) notes: Option<Notes>,
    /// How long it took until it was as it is at rest.
    pub(crate) settled: Duration,
    /// What is on record at rest: a reference and a number of instances.
    pub(crate) record: Option<(String, u32)>,
    /// Calls at rest.
    pub(crate) rest: Vec<Call>,
    /// Whether the lattice has the link from the caller.
    pub(crate) linked: bool,
    pub(crate) events: Vec<Event>,
    /// The numbers of instances that the policy service has been asked about.
    pub(crate) asked: Vec<u64>,
}

/// Makes one call.
pub(crate) async fn call(driver: &Driver, outside: &Peer, way: Way) -> Call {
    let began = Instant::now();
    let answer = match way {
        Way::Caller => driver.call_version().await,
        Way::Outside => outside.call(ECHO, "version", ()).await.map(|(it,)| it),
        Way::Bumped => outside.call(BUMPED, "version", ()).await.map(|(it,)| it),
    };
    let took = began.elapsed();
    let answer = match answer {
        Ok(version) => Answer::Version(version),
        Err(error) => match format!("{error:#}") {
            error if error.contains("no answer within") => Answer::None,
            error => Answer::Error(error),
        },
    };
    Call { way, answer, took }
}

/// Calls all the time, by several callers for each way.
pub(crate) struct Callers {
    over: watch::Sender<bool>,
    tasks: JoinSet<Vec<Call>>,
}

impl Callers {
    pub(crate) fn start(world: &World, callee: &Callee) -> Self {
        let (over, ends) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for way in [Way::Caller, Way::Outside].repeat(CALLERS) {
            let (driver, outside) = (world.driver().clone(), callee.outside.clone());
            let mut ends = ends.clone();
            tasks.spawn(async move {
                let mut calls = Vec::new();
                loop {
                    calls.push(call(&driver, &outside, way).await);
                    if tokio::time::timeout(BETWEEN, ends.wait_for(|over| *over))
                        .await
                        .is_ok()
                    {
                        return calls;
                    }
                }
            });
        }
        Self { over, tasks }
    }

    pub(crate) async fn end(self) -> Vec<Vec<Call>> {
        let _ = self.over.send(true);
        self.tasks.join_all().await
    }
}

/// Calls that are made at rest, each way several times.
pub(crate) async fn rest(world: &World, callee: &Callee) -> Vec<Call> {
    let mut calls = Vec::new();
    for _ in 0..TRIES {
        let ways = Way::ALL.map(|way| call(world.driver(), &callee.outside, way));
        calls.extend(futures::future::join_all(ways).await);
    }
    calls
}

/// Makes so many calls without results, whose numbers start at `first`, and returns those that were accepted.
pub(crate) async fn note(world: &World, first: u64, calls: u64) -> BTreeSet<u64> {
    let calls = (first..first + calls).map(|id| async move {
        let accepted = world.driver().call_note(id).await;
        accepted.is_ok().then_some(id)
    });
    futures::future::join_all(calls)
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// Calls without results that have all waited, and are let go on.
pub(crate) struct Released<'a> {
    tally: &'a HeldTally,
    accepted: BTreeSet<u64>,
    /// How many had been begun before them.
    before: usize,
    peak: usize,
}

impl<'a> Released<'a> {
    /// Gives the calls time to be begun, then lets go on what waits until all have been begun, or
    /// no more are for a while.
    pub(crate) async fn begin(
        tally: &'a HeldTally,
        accepted: BTreeSet<u64>,
        before: usize,
    ) -> Self {
        let mut released = Self {
            tally,
            accepted,
            before,
            peak: 0,
        };
        tokio::time::sleep(BEGIN).await;
        let mut last = (0, Instant::now());
        while last.1.elapsed() < NO_MORE {
            let waited = released.release();
            let begun = tally.arrived().len() - before;
            if !waited && begun >= released.accepted.len() {
                break;
            }
            if begun != last.0 {
                last = (begun, Instant::now());
            }
            tokio::time::sleep(AGAIN).await;
        }
        released
    }

    /// Lets go on what is begun later. Does not end.
    pub(crate) async fn go_on(&mut self) -> Infallible {
        loop {
            self.release();
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Lets go on what waits now. Returns whether anything did.
    fn release(&mut self) -> bool {
        let waiting = self.tally.waiting();
        self.peak = self.peak.max(waiting);
        while self.tally.release().is_some() {}
        waiting > 0
    }

    /// What became of them.
    pub(crate) fn end(self) -> Notes {
        Notes {
            accepted: self.accepted,
            begun: self.tally.arrived().split_off(self.before),
            peak: self.peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use inhost_testbed::{NatsServer, TALLY};

    use super::*;

    #[tokio::test]
    async fn a_call_that_is_begun_when_no_more_are_waited_for_goes_on_and_counts() {
        let nats = NatsServer::start().await.unwrap();
        let client = nats.client().await.unwrap();
        let tally = HeldTally::serve(&client, "lattice", "tally").await.unwrap();
        let peer = Peer::new(&client, "lattice", "tally").await.unwrap();
        let mut released = Released::begin(&tally, BTreeSet::from([7]), 0).await;
        tokio::select! {
            answered = peer.call::<_, (u64,)>(TALLY, "add", (7,)) => assert_eq!(answered.unwrap(), (7,)),
            never = released.go_on() => match never {},
        }
        assert_eq!(released.end().begun, [7]);
    }
}
