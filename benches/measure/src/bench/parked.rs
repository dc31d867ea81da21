//! What memory a call takes that waits, beyond the instances that take part in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use inhost_testbed::{
    Binaries, Deployment, Driver, Guest, HostBuilder, NatsServer, Peer, Route, CALLEE, CALLER, ECHO,
};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::participant::{settled, REST};
use super::worker::Worker;

/// How long the callee waits: longer than the measurement.
const WAIT_MS: u32 = 600_000;

/// How many calls are made before, so that what the first ones leave behind is not counted.
const WARM_UP: u32 = 10;

/// Memory that calls which wait take on a route, in bytes a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Parked {
    pub(crate) route: Route,
    /// How many calls waited.
    pub(crate) calls: u32,
    /// A call of the callee from outside: the callee's instance, and what the host has for a call from outside.
    pub(crate) direct_bytes: f64,
    /// A call of the caller from outside, which calls the callee.
    pub(crate) through_bytes: f64,
    /// What the call between the two takes: what `through_bytes` has on top of `direct_bytes`, less
    /// the caller's instance.
    pub(crate) call_bytes: f64,
}

/// Memory of an instance in the middle of a call, with its store and its stack and without a host, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Instances {
    pub(crate) callee_bytes: f64,
    pub(crate) caller_bytes: f64,
}

/// Measures what instances take.
///
/// # Errors
///
/// When the worker fails.
pub(crate) async fn instances(worker: &Path, calls: u32) -> anyhow::Result<Option<Instances>> {
    let mut sizes = Vec::new();
    for guest in [Guest::Callee, Guest::Caller] {
        let mut worker = Worker::start(worker)?;
        let usage = worker.usage().context("the worker has ended")?;
        let park = |count| json!({ "do": "park", "component": guest.path(), "count": count });
        worker.ask(&park(WARM_UP)).await?;
        let before = settled(usage).await;
        worker.ask(&park(calls)).await?;
        sizes.push(growth(before, settled(usage).await, calls));
    }
    Ok(match sizes[..] {
        [Some(callee_bytes), Some(caller_bytes)] => Some(Instances {
            callee_bytes,
            caller_bytes,
        }),
        _ => None,
    })
}

/// Measures what `calls` calls that wait take on each of `routes`, on hosts of their own, as memory
/// that was used before would be used again. Leaves out a route without a host, and all where
/// memory cannot be read.
///
/// # Errors
///
/// When a host fails.
pub(crate) async fn parked(
    routes: &[Route],
    nats: &Arc<NatsServer>,
    binaries: &Binaries,
    calls: u32,
    instances: Instances,
) -> anyhow::Result<Vec<Parked>> {
    let mut hosts = Vec::new();
    for &route in routes {
        if let Some(host) = route.builder(binaries) {
            let host = host.lattice(format!("parked-{route}"));
            hosts.push((route, Waiting::start(nats, host, calls).await?));
        }
    }
    for (_, waiting) in &mut hosts {
        waiting.warm_up().await;
    }
    tokio::time::sleep(REST).await;
    let mut parked = Vec::new();
    for (route, mut waiting) in hosts {
        let seen = waiting.park(calls).await;
        parked.extend(from_memory(route, calls, &seen, instances));
    }
    Ok(parked)
}

/// A host, and calls on it that wait. They end with this, and the host too.
struct Waiting {
    callee: Peer,
    driver: Driver,
    calls: JoinSet<anyhow::Result<u32>>,
    // After the calls: they go first.
    deployment: Deployment,
}

impl Waiting {
    async fn start(nats: &Arc<NatsServer>, host: HostBuilder, calls: u32) -> anyhow::Result<Self> {
        let deployment = Deployment::start_on(Arc::clone(nats), host).await?;
        let count = 2 * (calls + WARM_UP);
        deployment.deploy_pair_of(count, count).await?;
        let deadline = Duration::from_millis(WAIT_MS.into());
        let peer = async |id| anyhow::Ok(deployment.peer(id).await?.with_deadline(deadline));
        Ok(Self {
            callee: peer(CALLEE).await?,
            driver: Driver::new(peer(CALLER).await?),
            calls: JoinSet::new(),
            deployment,
        })
    }

    /// Begins `count` calls, of the callee or of the caller. Returns the host's memory once all have begun.
    async fn begin(&mut self, count: u32, through: bool) -> Option<u64> {
        for _ in 0..count {
            let (callee, driver) = (self.callee.clone(), self.driver.clone());
            self.calls.spawn(async move {
                if through {
                    return driver.call_wait(WAIT_MS).await;
                }
                let (ms,): (u32,) = callee.call(ECHO, "wait", (WAIT_MS,)).await?;
                Ok(ms)
            });
        }
        settled(self.deployment.host().usage()).await
    }

    async fn warm_up(&mut self) {
        for through in [false, true] {
            self.begin(WARM_UP, through).await;
        }
    }

    /// Begins `calls` calls of the callee, then as many of the caller. Returns the host's memory
    /// before, between and after.
    async fn park(&mut self, calls: u32) -> [Option<u64>; 3] {
        [
            settled(self.deployment.host().usage()).await,
            self.begin(calls, false).await,
            self.begin(calls, true).await,
        ]
    }
}

/// From the memory before, between and after the calls from outside and those through the caller.
fn from_memory(
    route: Route,
    calls: u32,
    &[before, direct, through]: &[Option<u64>; 3],
    instances: Instances,
) -> Option<Parked> {
    let direct_bytes = growth(before, direct, calls)?;
    let through_bytes = growth(direct, through, calls)?;
    Some(Parked {
        route,
        calls,
        direct_bytes,
        through_bytes,
        call_bytes: through_bytes - direct_bytes - instances.caller_bytes,
    })
}

/// Bytes for each of `calls`.
fn growth(before: Option<u64>, after: Option<u64>, calls: u32) -> Option<f64> {
    Some((after? as f64 - before? as f64) / f64::from(calls.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_instances_take_is_not_the_call_s() {
        let instances = Instances {
            callee_bytes: 100.0,
            caller_bytes: 150.0,
        };
        let seen = [Some(1_000), Some(3_000), Some(7_000)];
        let parked = from_memory(Route::Duplex, 10, &seen, instances).unwrap();
        assert_eq!(parked.direct_bytes, 200.0);
        assert_eq!(parked.through_bytes, 400.0);
        assert_eq!(parked.call_bytes, 50.0);
        let unknown = [Some(1), None, Some(1)];
        assert_eq!(from_memory(Route::Duplex, 10, &unknown, instances), None);
    }
}
