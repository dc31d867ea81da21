//! Callers that call in a loop while a test does something to what they call.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use inhost_testbed::{Deployment, Driver, Ended, HostBuilder, Load, NatsServer, Tally};

use super::{entries, tally, Hosts as _};

/// How many callers there are.
pub(crate) const CALLERS: usize = 32;

/// One of so many calls is counted at the tally.
const COUNTED: u64 = 8;

/// Of a hundred calls over NATS, so many may get no answer. Upstream's transport loses one now and
/// then, more often so on a busy machine (see guarantees.md, "Calls over NATS").
const LOST_PERCENT: usize = 5;

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

/// Starts [`CALLERS`] callers. Each call has an id of its own.
pub(crate) fn load<F>(call: impl Fn(u64) -> F + Clone + Send + 'static) -> Load<()>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    Load::start(CALLERS, call)
}

/// The calls of a [`Load`].
pub(crate) struct Calls(pub(crate) Vec<Ended<()>>);

impl Calls {
    /// Lets each caller end the call that it makes.
    pub(crate) async fn of(load: Load<()>) -> Self {
        Self(load.finish().await.into_iter().flatten().collect())
    }

    pub(crate) fn failed(&self) -> impl Iterator<Item = &Ended<()>> {
        self.0.iter().filter(|ended| ended.result.is_err())
    }

    /// Checks that no call took longer than `limit`, however it ended. Of those that went over
    /// NATS, `remote` in number, a few may: upstream loses their answers.
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
        let deployment = host.start_on(nats).await;
        let deployed = deployment
            .deploy_pair_of(instances, inhost_testbed::DEFAULT_COUNT)
            .await;
        deployed.expect("deployed and linked");
        let tally = tally(&deployment).await;
        Self { tally, deployment }
    }

    /// Checks that the caller's host has said of each failed call of the caller why, and that the reason is one that a
    /// user can do something about.
    pub(crate) fn assert_reasons_are_clear(&self) {
        let log = self.deployment.host().log_lines();
        let failures = entries(&log).filter(|entry| entry.contains("`inhost:demo/driver@0.1.0."));
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
    pub(crate) async fn pings(&self, deadline: Duration) -> Load<()> {
        let driver = self.driver(deadline).await;
        load(move |id| ping(driver.clone(), id))
    }

    /// The same, but some of the calls are those of `count`, which the callee counts at the tally.
    pub(crate) async fn pings_and_counts(&self, deadline: Duration) -> Load<()> {
        let driver = self.driver(deadline).await;
        load(move |id| {
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
