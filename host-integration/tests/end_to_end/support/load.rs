//! Callers that call in a loop while a test does something to what they call.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inhost_testbed::{Deployment, Driver, Guest, HostBuilder, NatsServer, Tally, CALLEE, CALLER};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many callers there are.
pub(crate) const CALLERS: usize = 32;

/// One of so many calls is counted at the tally.
const COUNTED: u64 = 8;

/// Of a hundred calls over NATS, so many may get no answer. Upstream's transport loses one now and then, more often so on
/// a busy machine (see README.md, "Calls over NATS").
const LOST_PERCENT: usize = 5;

/// How long the callers may take to make progress.
const PROGRESS: Duration = Duration::from_secs(30);

/// How long a caller waits after a call that failed. Without it, calls that fail at once keep the machine busy.
const PAUSE: Duration = Duration::from_millis(5);

/// How many of `remote` calls over NATS may get no answer.
pub(crate) fn may_be_lost(remote: usize) -> usize {
    (remote * LOST_PERCENT).div_ceil(100)
}

/// What the host's log says of a call that failed, one of these.
const CLEAR: [&str; 4] = [
    // No one serves the function, here or elsewhere.
    "not connected",
    // It waited at a callee that went away.
    "the function did not run",
    // The callee was stopped when it had taken the call.
    "it took the call and ended",
    // An answer was lost over NATS, and the time for the call is over.
    "timed out",
];

/// A call, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: u64,
    pub(crate) start: Instant,
    pub(crate) took: Duration,
    pub(crate) result: Result<(), String>,
}

/// What has been seen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    answered: u64,
    failed: u64,
}

/// Callers in tasks of their own, each of which makes one call after another until it is told to stop.
pub(crate) struct Load {
    callers: JoinSet<Vec<Ended>>,
    stop: Arc<AtomicBool>,
    seen: watch::Receiver<Seen>,
}

impl Load {
    /// Starts [`CALLERS`] callers. Each call has an id of its own.
    pub(crate) fn start<F>(call: impl Fn(u64) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let ids = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, seen) = watch::channel(Seen::default());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (ids, stop, seen, call) = (ids.clone(), stop.clone(), sender.clone(), call.clone());
            callers.spawn(async move {
                let mut calls = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    let start = Instant::now();
                    let result = call(id).await;
                    let ended = Ended {
                        id,
                        start,
                        took: start.elapsed(),
                        result: result.map_err(|error| format!("{error:#}")),
                    };
                    let failed = ended.result.is_err();
                    seen.send_modify(|seen| match failed {
                        true => seen.failed += 1,
                        false => seen.answered += 1,
                    });
                    calls.push(ended);
                    if failed {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                calls
            });
        }
        Self {
            callers,
            stop,
            seen,
        }
    }

    /// Waits until so many more calls have been answered.
    pub(crate) async fn answers(&self, more: u64) {
        self.more("answers", more, |seen| seen.answered).await;
    }

    /// Waits until so many more calls have failed.
    pub(crate) async fn failures(&self, more: u64) {
        self.more("failures", more, |seen| seen.failed).await;
    }

    /// How many calls have failed up to now.
    pub(crate) fn failed(&self) -> u64 {
        self.seen.borrow().failed
    }

    async fn more(&self, what: &str, more: u64, number: fn(&Seen) -> u64) {
        let mut seen = self.seen.clone();
        let before = *seen.borrow_and_update();
        let reached = seen.wait_for(|seen| number(seen) >= number(&before) + more);
        let reached = tokio::time::timeout(PROGRESS, reached).await.map(drop);
        assert!(
            reached.is_ok(),
            "no {more} {what} within {PROGRESS:?}: {before:?}, then {:?}",
            self.seen.borrow()
        );
    }

    /// Lets each caller end the call that it makes, and returns all calls.
    pub(crate) async fn finish(self) -> Calls {
        self.stop.store(true, Ordering::Relaxed);
        Calls(
            self.callers
                .join_all()
                .await
                .into_iter()
                .flatten()
                .collect(),
        )
    }
}

/// The calls of a [`Load`].
pub(crate) struct Calls(pub(crate) Vec<Ended>);

impl Calls {
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Ended> {
        self.0.iter().filter(|ended| ended.result.is_err())
    }

    /// Checks that no call took longer than `limit`, however it ended. Of those that went over NATS, `remote` in number,
    /// a few may: upstream loses their answers.
    pub(crate) fn assert_took_at_most(&self, limit: Duration, remote: usize, what: &str) {
        let late: Vec<_> = self.0.iter().filter(|ended| ended.took > limit).collect();
        assert!(
            late.len() <= may_be_lost(remote),
            "{what}: {} of {} calls took longer than {limit:?}, such as {:?}; {remote} went over NATS",
            late.len(),
            self.0.len(),
            &late[..late.len().min(3)]
        );
    }

    /// How many of the calls were to be counted, which the callee does over NATS.
    pub(crate) fn counted(&self) -> usize {
        self.0.iter().filter(|ended| is_counted(ended.id)).count()
    }

    /// The errors, and how often each came. For messages.
    pub(crate) fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for ended in self.failed() {
            let reason = ended.result.as_ref().expect_err("it failed");
            *reasons.entry(reason.as_str()).or_default() += 1;
        }
        reasons
    }

    /// Checks that each counted call that was answered was carried out once, and none of the others more often.
    pub(crate) fn assert_carried_out_once(&self, tally: &Tally, what: &str) {
        assert_eq!(tally.repeated(), [0; 0], "{what}: ids that ran repeatedly");
        let counted = self.0.iter().filter(|ended| is_counted(ended.id));
        let answered = counted.filter(|ended| ended.result.is_ok());
        let mut number = 0;
        for ended in answered {
            assert_eq!(tally.count(ended.id), 1, "{what}: {ended:?}");
            number += 1;
        }
        assert!(number > 0, "{what}: no call was counted");
    }
}

fn is_counted(id: u64) -> bool {
    id % COUNTED == 0
}

/// Callee and caller on one host, with the tally that the callee counts at.
pub(crate) struct Pair {
    pub(crate) deployment: Deployment,
    pub(crate) tally: Tally,
}

impl Pair {
    /// The callee has at most `instances` at once, the caller as many as there are calls.
    pub(crate) async fn start(nats: &Arc<NatsServer>, host: HostBuilder, instances: u32) -> Self {
        let deployment = Deployment::start_on(nats.clone(), host)
            .await
            .expect("the host starts");
        for (guest, id, count) in [
            (Guest::Callee, CALLEE, instances),
            (Guest::Caller, CALLER, inhost_testbed::DEFAULT_COUNT),
        ] {
            deployment.deploy(guest, id, count).await.expect("deployed");
        }
        for (source, target, interface) in [(CALLER, CALLEE, "echo"), (CALLEE, "tally", "tally")] {
            let linked = deployment.link(source, target, interface).await;
            linked.expect("linked");
        }
        let tally = Tally::serve(deployment.client(), deployment.lattice(), "tally").await;
        Self {
            tally: tally.expect("the tally is served"),
            deployment,
        }
    }

    /// Checks that the caller's host has said of each failed call of the caller why, and that the reason is one that a
    /// user can do something about.
    pub(crate) fn assert_reasons_are_clear(&self) {
        let log = self.deployment.host().log_lines();
        // An error goes on in lines of its own, which do not begin with the time.
        let entries = log.chunk_by(|_, next| !next.starts_with("20"));
        let entries = entries.map(|entry| entry.join("\n"));
        let failures = entries.filter(|entry| entry.contains("`inhost:demo/driver@0.1.0."));
        let mut number = 0;
        for entry in failures {
            number += 1;
            assert!(
                entry.contains("inhost:demo/echo@0.1.0") && CLEAR.iter().any(|c| entry.contains(c)),
                "unclear: {entry}"
            );
        }
        assert!(number > 0, "no call has failed");
    }

    /// Callers of the caller, which calls the callee's `ping`. A call without an answer is given up after `deadline`.
    pub(crate) async fn pings(&self, deadline: Duration) -> Load {
        let driver = self.driver(deadline).await;
        Load::start(move |id| ping(driver.clone(), id))
    }

    /// The same, but some of the calls are those of `count`, which the callee counts at the tally.
    pub(crate) async fn pings_and_counts(&self, deadline: Duration) -> Load {
        let driver = self.driver(deadline).await;
        Load::start(move |id| {
            let driver = driver.clone();
            async move {
                if !is_counted(id) {
                    return ping(driver, id).await;
                }
                let count = driver.call_count(id).await?;
                anyhow::ensure!(count == 1, "counted {count} times");
                Ok(())
            }
        })
    }

    async fn driver(&self, deadline: Duration) -> Driver {
        let driver = self.deployment.driver().await.expect("the caller");
        driver.with_deadline(deadline)
    }
}

async fn ping(driver: Driver, id: u64) -> anyhow::Result<()> {
    let n = id as u32;
    let answer = driver.ping(n).await?;
    anyhow::ensure!(answer == n.wrapping_add(1), "{answer} for {n}");
    Ok(())
}
