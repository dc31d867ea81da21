//! Metrics of in-host invocation, as a collector receives them.

use std::collections::BTreeSet;

use inhost_testbed::{Deployment, Received, CALLEE, ECHO};

use crate::support::{nats, Route, PROMPTLY};
use crate::telemetry::{start, IN_HOST};

/// The value of a metric for a function of the callee. `more` are attributes that only some metrics have.
fn value(
    deployment: &Deployment,
    received: &Received,
    metric: &str,
    function: &str,
    backend: &str,
    more: &[(&str, &str)],
) -> Option<u64> {
    let operation = format!("{ECHO}/{function}");
    let mut attributes = vec![
        ("host", deployment.host().id()),
        ("lattice", deployment.lattice()),
        ("target", CALLEE),
        ("operation", &*operation),
        ("backend", backend),
    ];
    attributes.extend(more);
    let series = inhost_testbed::Series {
        metric: format!("{IN_HOST}{metric}"),
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    received.metrics.get(&series).copied()
}

#[tokio::test]
async fn calls_in_memory_are_counted_and_timed() -> anyhow::Result<()> {
    const PINGS: u64 = 5;
    const TRAPS: u64 = 2;
    let nats = nats().await;
    for (route, backend) in [(Route::Duplex, "duplex"), (Route::Mpsc, "mpsc")] {
        let (deployment, collector) = start(&nats, route).await;
        deployment.deploy_pair().await?;
        let driver = deployment.driver().await?;
        for n in 0..PINGS as u32 {
            assert_eq!(driver.ping(n).await?, n + 1);
        }
        for _ in 0..TRAPS {
            let trapped = driver.call_trap("on purpose").await;
            trapped.expect_err("the callee traps");
        }
        let local = ("route", "local");
        let expected = [
            ("invocations", "ping", Some(local), PINGS),
            ("invocations", "trap", Some(local), TRAPS),
            ("failures", "trap", Some(("kind", "failed")), TRAPS),
            // A number below 128 is one byte.
            ("bytes", "ping", Some(("direction", "params")), PINGS),
            ("bytes", "ping", Some(("direction", "results")), PINGS),
            ("queue.duration", "ping", None, PINGS),
            ("callee.duration", "ping", None, PINGS),
            ("callee.duration", "trap", None, TRAPS),
            ("in_flight", "ping", None, 0),
            ("queue.depth", "ping", None, 0),
        ];
        let received = collector.wait_for(PROMPTLY, |received| {
            let as_expected = expected.iter().all(|(metric, function, more, expected)| {
                let more: Vec<_> = more.iter().copied().collect();
                let value = value(&deployment, received, metric, function, backend, &more);
                value == Some(*expected)
            });
            as_expected.then(|| received.clone())
        });
        let received = received
            .await
            .unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));

        let failed = [("kind", "failed")];
        let spoiled = value(&deployment, &received, "failures", "ping", backend, &failed);
        assert_eq!(spoiled, None, "no ping failed");
        let ours = received.metrics.iter();
        let ours: Vec<_> = ours
            .filter(|(series, _)| series.metric.starts_with(IN_HOST))
            .collect();
        let endpoints = ours.iter().find(|(series, _)| {
            series.metric.ends_with(".endpoints") && series.attributes["target"] == CALLEE
        });
        assert!(endpoints.is_some_and(|(_, count)| **count > 1), "{ours:#?}");
        let names: BTreeSet<_> = ours
            .iter()
            .filter_map(|(series, _)| series.metric.strip_prefix(IN_HOST))
            .collect();
        let all = [
            "bytes",
            "callee.duration",
            "endpoints",
            "failures",
            "generations",
            "in_flight",
            "pool.used_up",
            "invocations",
            "queue.depth",
            "queue.duration",
            "queue.full",
            "time.used_up",
        ];
        assert_eq!(names, BTreeSet::from(all));
    }
    Ok(())
}

#[tokio::test]
async fn calls_over_nats_are_counted_by_route() -> anyhow::Result<()> {
    let nats = nats().await;
    let (deployment, collector) = start(&nats, Route::Nats).await;
    deployment.deploy_pair().await?;
    let driver = deployment.driver().await?;
    assert_eq!(driver.ping(1).await?, 2);
    let remote = [("route", "remote")];
    let counted = collector.wait_for(PROMPTLY, |received| {
        value(
            &deployment,
            received,
            "invocations",
            "ping",
            "nats",
            &remote,
        )
    });
    assert_eq!(counted.await.expect("the series"), 1);
    Ok(())
}
