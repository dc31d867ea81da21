//! Who takes part: for each route a host with components on it, or a floor.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, Context as _};
use inhost_testbed::{
    Binaries, Counts, Deployment, Driver, Guest, Host, NatsServer, Route, Usage, Workload, CALLEE,
    CALLER, HTTP,
};
use serde_json::json;

use super::callers::run_callers;
use super::case::{Case, Load};
use super::composed::Composed;
use super::samples::{Batch, Cost};
use super::worker::Worker;
use crate::stage::Stage;

/// How many instances of a component may run at once: more than there are callers.
const INSTANCES: u32 = 1_100;

/// The component between the two others of a chain, and the caller that begins it.
const MIDDLE: &str = "middle";
const CHAIN: &str = "chain";

/// How long a process is left alone before its memory counts as that at rest: an allocator gives
/// back what it does not need after a while.
pub(crate) const REST: Duration = Duration::from_secs(12);

/// A route that takes part.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) route: Route,
    place: Place,
}

/// Where the calls of a route are made.
#[derive(Debug)]
enum Place {
    Host(Box<Hosted>),
    Floor(Box<Worker>),
}

/// A host with all that the workloads need.
#[derive(Debug)]
struct Hosted {
    stage: Stage,
    pair: Driver,
    chain: Driver,
    http: SocketAddr,
}

impl Participant {
    /// Starts what `route` needs, in a lattice of its own. The route [`Route::Composed`] needs `composed`.
    pub(crate) async fn start(
        route: Route,
        lattice: &str,
        nats: &Arc<NatsServer>,
        binaries: &Binaries,
        worker: &Path,
        composed: Option<&Composed>,
    ) -> anyhow::Result<Self> {
        let place = match route.builder(binaries) {
            Some(host) => {
                let host = host.lattice(lattice).args(Deployment::HTTP_SERVER);
                let deployment = Deployment::start_on(Arc::clone(nats), host).await?;
                let http = match (route, composed) {
                    (Route::Composed, Some(composed)) => {
                        deploy_composed(&deployment, composed).await?
                    }
                    _ => deploy(&deployment).await?,
                };
                let pair = Driver::new(deployment.peer(CALLER).await?);
                let chain = Driver::new(deployment.peer(CHAIN).await?);
                let stage = Stage { route, deployment };
                Place::Host(Box::new(Hosted {
                    stage,
                    pair,
                    chain,
                    http,
                }))
            }
            None => {
                let mut worker = Worker::start(worker)?;
                let callee = Guest::Callee.path();
                worker
                    .ask(&json!({ "do": "load", "callee": callee }))
                    .await?;
                Place::Floor(Box::new(worker))
            }
        };
        Ok(Self { route, place })
    }

    /// What the process that makes the calls uses.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match &self.place {
            Place::Host(hosted) => Some(hosted.stage.deployment.host().usage()),
            Place::Floor(worker) => worker.usage(),
        }
    }

    /// Lets all callers of `case` make `calls` calls each, which may take as long as `deadline`.
    /// HTTP requests come from `load`.
    pub(crate) async fn batch(
        &mut self,
        load: &mut Worker,
        case: Case,
        calls: u32,
        deadline: Duration,
    ) -> anyhow::Result<(Batch, Cost)> {
        let before = self.spent().await?;
        // A worker keeps the deadline itself: its answer must not be left behind.
        let patience = deadline + Duration::from_secs(5);
        let batch = tokio::time::timeout(patience, self.calls(load, case, calls, deadline));
        let batch = batch.await.with_context(|| {
            format!(
                "the calls did not end within {:.1} s",
                deadline.as_secs_f64()
            )
        })??;
        let after = self.spent().await?;
        Ok((batch, after.since(before, self.route)))
    }

    async fn calls(
        &mut self,
        load: &mut Worker,
        case: Case,
        calls: u32,
        deadline: Duration,
    ) -> anyhow::Result<Batch> {
        let callers = case.callers;
        let hosted = match &mut self.place {
            Place::Host(hosted) => hosted,
            Place::Floor(worker) => {
                let Some((workload, size)) = case.load.workload() else {
                    bail!("a floor makes no HTTP requests");
                };
                let request = json!({
                    "do": "run", "floor": self.route.to_string(), "workload": name(workload), "size": size,
                    "callers": callers, "calls": calls,
                });
                return worker.calls(&request).await;
            }
        };
        let Some((workload, size)) = case.load.workload() else {
            let request = json!({
                "do": "http", "address": hosted.http, "callers": callers, "calls": calls,
                "deadline_ms": deadline.as_millis() as u64,
            });
            let requests = load.calls(&request);
            return hosted.stage.deployment.while_running(requests).await;
        };
        let driver = match case.load {
            Load::Chain => &hosted.chain,
            _ => &hosted.pair,
        };
        let driver = driver.clone().with_deadline(deadline);
        let calls = run_callers(driver, workload, size, callers, calls);
        hosted.stage.deployment.while_running(calls).await
    }

    async fn spent(&self) -> anyhow::Result<Cost> {
        let (nats, counts) = match &self.place {
            Place::Host(hosted) => {
                let nats = hosted.stage.deployment.nats().usage();
                (nats.and_then(Usage::cpu_time), hosted.stage.counts().await?)
            }
            Place::Floor(_) => (None, None),
        };
        Ok(Cost {
            process: self.usage().and_then(Usage::cpu_time),
            nats,
            counts,
        })
    }

    /// Stops it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match self.place {
            Place::Host(hosted) => hosted.stage.deployment.stop().await,
            Place::Floor(_) => Ok(()),
        }
    }
}

impl Cost {
    fn since(self, before: Self, route: Route) -> Self {
        let between = |after: Option<Duration>, before: Option<Duration>| {
            Some(after?.saturating_sub(before?))
        };
        let counts = |after: Option<Counts>, before: Option<Counts>| Some(after?.since(before?));
        Self {
            process: between(self.process, before.process),
            // Where calls stay in the process, it only carries the request to begin.
            nats: between(self.nats, before.nats).filter(|_| !route.is_local()),
            counts: counts(self.counts, before.counts),
        }
    }
}

/// The workload's name as the worker knows it.
fn name(workload: Workload) -> &'static str {
    match workload {
        Workload::Ping => "ping",
        Workload::Echo => "echo",
        Workload::Strings => "strings",
        Workload::Record => "record",
    }
}

/// Puts the components of all workloads on the host, and returns the address of its HTTP server.
async fn deploy(deployment: &Deployment) -> anyhow::Result<SocketAddr> {
    for (guest, id) in [
        (Guest::Callee, CALLEE),
        (Guest::Caller, CALLER),
        (Guest::Middle, MIDDLE),
        (Guest::Caller, CHAIN),
    ] {
        deployment.deploy(guest, id, INSTANCES).await?;
    }
    let http = deployment.deploy_http(deployment.host()).await?;
    for (source, target) in [
        (CALLER, CALLEE),
        (CHAIN, MIDDLE),
        (MIDDLE, CALLEE),
        (HTTP, CALLEE),
    ] {
        deployment.link(source, target, "echo").await?;
    }
    Ok(http)
}

/// The same with caller and callee in one component.
async fn deploy_composed(
    deployment: &Deployment,
    composed: &Composed,
) -> anyhow::Result<SocketAddr> {
    let host: &Host = deployment.host();
    for (component, id) in [(&composed.pair, CALLER), (&composed.chain, CHAIN)] {
        deployment.deploy_on(host, component, id, INSTANCES).await?;
    }
    deployment.deploy_http_as(host, &composed.http).await
}

/// The memory of a process in RAM once it no longer changes much, in bytes; the last value seen if it goes on changing.
pub(crate) async fn settled(usage: Usage) -> Option<u64> {
    /// How often it is looked at.
    const PAUSE: Duration = Duration::from_millis(100);
    /// How much it may change in how many looks.
    const SLACK: u64 = 64 << 10;
    const LOOKS: usize = 5;
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.push(usage.resident_bytes()?);
        let last = seen.iter().rev().take(LOOKS);
        let (low, high) = last.fold((u64::MAX, 0), |(low, high), &bytes| {
            (low.min(bytes), high.max(bytes))
        });
        if seen.len() >= LOOKS && high - low <= SLACK {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    seen.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nats_server_takes_part_where_calls_leave_the_process() {
        let cost = |ms| Cost {
            process: Some(Duration::from_millis(ms)),
            nats: Some(Duration::from_millis(2 * ms)),
            counts: Some(Counts {
                local: ms,
                remote: 0,
            }),
        };
        let spent = cost(30).since(cost(10), Route::Nats);
        assert_eq!(spent.process, Some(Duration::from_millis(20)));
        assert_eq!(spent.nats, Some(Duration::from_millis(40)));
        assert_eq!(spent.counts.map(|counts| counts.local), Some(20));
        assert_eq!(cost(30).since(cost(10), Route::Mpsc).nats, None);
        let unknown = Cost::default();
        assert_eq!(cost(30).since(unknown, Route::Nats).process, None);
    }

    #[tokio::test]
    async fn memory_that_does_not_change_is_settled() {
        let this = Usage::of(std::process::id());
        assert_eq!(
            settled(this).await.is_some(),
            this.resident_bytes().is_some()
        );
        // No process has this id.
        assert_eq!(settled(Usage::of(u32::MAX)).await, None);
    }
}
