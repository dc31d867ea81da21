//! The end of a run: the host comes to rest, and what it has left is looked at.

use std::time::{Duration, Instant};

use futures::future::join_all;
use inhost_testbed::{last_seen, Deployment, Driver};

use super::checks::Check;
use super::leftovers::{self, Footprint};

/// How long each call of the check takes that uses all instances of the callee at once.
const PROBE_MS: u32 = 500;

/// How long the host may take to come to rest. Threads for blocking work end after 10 seconds without any.
const REST: Duration = Duration::from_secs(30);

/// How long a host that seems to be at rest is looked at.
const MOMENT: Duration = Duration::from_secs(1);

/// Waits until no call is under way, and until the host is back to `before` or does not get there in time. Says what
/// it takes then. `None` where the system does not say.
pub(super) async fn at_rest(
    deployment: &Deployment,
    before: Option<Footprint>,
) -> anyhow::Result<Option<Footprint>> {
    let host = deployment.host();
    // A moment at least: what is freed by the end of a call is freed after its answer.
    let mut quiet_since = Instant::now();
    let look = async || {
        if !leftovers::calls_in_status(&host.status().await?).is_empty() {
            quiet_since = Instant::now();
        }
        let footprint = Footprint::of(host);
        let is_back = match (footprint, before) {
            (Some(now), Some(before)) => now.is_back_to(before),
            _ => true,
        };
        Ok((footprint, is_back && quiet_since.elapsed() >= MOMENT))
    };
    let (footprint, _) = last_seen(REST, look, |(_, at_rest)| *at_rest).await?;
    Ok(footprint)
}

/// Uses all instances of the callee at once: none may still be taken by a call that has ended.
pub(super) async fn probe(driver: &Driver, instances: u32) -> Check {
    let calls = (0..instances).map(|_| driver.call_wait(PROBE_MS));
    let answers = join_all(calls).await;
    let failed: Vec<_> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
    let figures = match failed.first() {
        None => format!("{instances} calls at once were answered"),
        Some(error) => format!(
            "{} of {instances} calls at once were not answered: {error:#}",
            failed.len()
        ),
    };
    Check::new(
        "all instances of the callee are free",
        failed.is_empty(),
        figures,
    )
}

/// Stops all components and looks at what the host has left of them.
pub(super) async fn stop_components(
    deployment: &Deployment,
    components: &[&str],
) -> anyhow::Result<Check> {
    let host = deployment.host();
    for id in components {
        deployment.control().stop_component(host.id(), id).await?;
    }
    let left = async || leftovers::of_components(deployment, components).await;
    let left = last_seen(REST, left, Vec::is_empty).await?;
    let what = "without components nothing is registered or subscribed to";
    Ok(Check::nothing_left(what, &left))
}
