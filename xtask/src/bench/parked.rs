//! What memory a call takes that waits, beyond the instances that take part in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use inhost_testbed::{Deployment, Driver, Guest, NatsServer, CALLEE, CALLER, ECHO};
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::participant::settled;
use super::worker::Worker;
use crate::stage::{Binaries, Route};

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
    /// What the call between the two takes: what `through_bytes` has on top of `direct_bytes`, less the caller's instance.
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

/// Measures what `calls` calls that wait take on `route`, on a host of its own, as memory that was used before would be used
/// again. `None` for a route without a host, and where memory cannot be read.
///
/// # Errors
///
/// When the host fails.
pub(crate) async fn parked(
    route: Route,
    nats: &Arc<NatsServer>,
    binaries: &Binaries,
    calls: u32,
    instances: Instances,
) -> anyhow::Result<Option<Parked>> {
    let Some(host) = route.host(binaries) else {
        return Ok(None);
    };
    let host = host.lattice(format!("parked-{route}"));
    let deployment = Deployment::start_on(Arc::clone(nats), host).await?;
    let count = 2 * (calls + WARM_UP);
    deployment.deploy(Guest::Callee, CALLEE, count).await?;
    deployment.deploy(Guest::Caller, CALLER, count).await?;
    deployment.link(CALLER, CALLEE, "echo").await?;
    let usage = deployment.host().usage();

    // They end with this, and the host with its deployment.
    let mut waiting = JoinSet::new();
    let mut seen = Vec::new();
    let deadline = Duration::from_millis(WAIT_MS.into());
    let callee = deployment.peer(CALLEE).await?.with_deadline(deadline);
    let driver = Driver::new(deployment.peer(CALLER).await?).with_deadline(deadline);
    for through in [false, true] {
        for count in [WARM_UP, calls] {
            for _ in 0..count {
                let (callee, driver) = (callee.clone(), driver.clone());
                waiting.spawn(async move {
                    if through {
                        driver.call_wait(WAIT_MS).await
                    } else {
                        let answer = callee.call(ECHO, "wait", (WAIT_MS,)).await;
                        answer.map(|(ms,): (u32,)| ms)
                    }
                });
            }
            seen.push(settled(usage).await);
        }
    }
    Ok(from_memory(route, calls, &seen, instances))
}

/// From the memory after the calls from outside for warming up, after those that count, and the same through the caller.
fn from_memory(
    route: Route,
    calls: u32,
    seen: &[Option<u64>],
    instances: Instances,
) -> Option<Parked> {
    let [warm, direct, warm_through, through] = *seen else {
        return None;
    };
    let direct_bytes = growth(warm, direct, calls)?;
    let through_bytes = growth(warm_through, through, calls)?;
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
        let seen = [Some(1_000), Some(3_000), Some(3_500), Some(7_500)];
        let parked = from_memory(Route::Duplex, 10, &seen, instances).unwrap();
        assert_eq!(parked.direct_bytes, 200.0);
        assert_eq!(parked.through_bytes, 400.0);
        assert_eq!(parked.call_bytes, 50.0);
        let unknown = [Some(1), None, Some(1), Some(1)];
        assert_eq!(from_memory(Route::Duplex, 10, &unknown, instances), None);
    }
}
