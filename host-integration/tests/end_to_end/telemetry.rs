//! Traces and metrics show local calls as they show those over NATS.

use std::collections::BTreeMap;
use std::sync::Arc;

use inhost_testbed::{
    Collector, Deployment, Driver, Guest, HostBuilder, NatsServer, Received, Series, Span, CALLEE,
    CALLER, DRIVER, ECHO,
};

use crate::support::{assert_calls, nats, on_routes, Hosts as _, Route, PROMPTLY};

on_routes! { OURS:
    caller_and_callee_are_in_one_trace,
    a_chain_of_calls_is_in_one_trace,
}

/// What the host names the span of a call that it serves.
const INVOCATION: &str = "component_invocation";

const INVOCATIONS: &str = "wasmcloud_host.component.invocations";
const ERRORS: &str = "wasmcloud_host.component.invocation.errors";
/// What the names of the metrics of in-host invocation begin with.
pub(crate) const IN_HOST: &str = "wasmcloud_host.local_dispatch.";
const DURATION: &str = "wasmcloud_host.handle_rpc_message.duration";

/// The host, exporting to the collector soon after something has happened.
pub(crate) fn exporting(host: HostBuilder, collector: &Collector) -> HostBuilder {
    let endpoint = collector.endpoint();
    host.arg("--enable-observability")
        .arg(format!("--override-observability-endpoint={endpoint}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
}

pub(crate) async fn start(nats: &Arc<NatsServer>, route: Route) -> (Deployment, Collector) {
    let collector = Collector::start().await.expect("the collector starts");
    let host = exporting(route.host(), &collector);
    let deployment = Deployment::start_on(Arc::clone(nats), host).await;
    (deployment.expect("the host starts"), collector)
}

async fn start_pair(nats: &Arc<NatsServer>, route: Route) -> (Deployment, Driver, Collector) {
    let (deployment, collector) = start(nats, route).await;
    deployment.deploy_pair().await.expect("deployed and linked");
    let driver = deployment.driver().await.expect("the caller");
    (deployment, driver, collector)
}

/// A span that stands for a served call: which component, and which function.
fn served(span: &Span) -> Option<(&str, &str, &str)> {
    (span.name == INVOCATION).then(|| {
        let attribute = |name: &str| span.attributes[name].as_str();
        (attribute("id"), attribute("instance"), attribute("func"))
    })
}

/// The spans of one trace as lines of text, from the first one down, with the calls that they stand for. `None` until
/// all of its spans have been received: the last one to end is the first one.
fn tree(received: &Received, calls: usize) -> Option<Vec<String>> {
    let first = received
        .spans
        .iter()
        .find(|span| span.parent.is_empty() && served(span).is_some_and(|(id, ..)| id == CALLER))?;
    let ours: Vec<_> = received
        .spans
        .iter()
        .filter(|span| span.trace == first.trace)
        .collect();
    let complete = ours.iter().filter(|span| served(span).is_some()).count() == calls;
    complete.then(|| {
        let mut lines = Vec::new();
        branch(&ours, first, 0, &mut lines);
        assert_eq!(lines.len(), ours.len(), "spans without a place: {ours:#?}");
        lines
    })
}

fn branch(all: &[&Span], span: &Span, depth: usize, lines: &mut Vec<String>) {
    let call = match served(span) {
        Some((id, instance, func)) => format!(" {id} {instance}.{func}"),
        None => String::new(),
    };
    lines.push(format!("{}{}{call}", "  ".repeat(depth), span.name));
    let mut parts: Vec<_> = all.iter().filter(|part| part.parent == span.id).collect();
    parts.sort_by_key(|part| part.name.clone());
    for part in parts {
        branch(all, part, depth + 1, lines);
    }
}

async fn caller_and_callee_are_in_one_trace(route: Route) -> anyhow::Result<()> {
    let (deployment, driver, collector) = start_pair(&nats().await, route).await;
    assert_eq!(driver.ping(1).await?, 2);
    assert_calls(route, deployment.host(), 1).await;
    let tree = collector
        .wait_for(PROMPTLY, |received| tree(received, 2))
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    let expected = [
        format!("{INVOCATION} {CALLER} {DRIVER}.ping"),
        "  call_instance_function".to_owned(),
        format!("  {INVOCATION} {CALLEE} {ECHO}.ping"),
        "    call_instance_function".to_owned(),
    ];
    assert_eq!(tree, expected);
    Ok(())
}

/// Of the invocation of the caller, which comes from outside, and of that of the callee.
#[tokio::test]
async fn the_span_of_an_invocation_says_which_way_it_came() -> anyhow::Result<()> {
    let nats = nats().await;
    for (route, came, over) in [
        (Route::Nats, "remote", "nats"),
        (Route::Duplex, "local", "duplex"),
        (Route::Mpsc, "local", "mpsc"),
    ] {
        let (_deployment, driver, collector) = start_pair(&nats, route).await;
        assert_eq!(driver.ping(1).await?, 2);
        for (id, expected) in [(CALLER, ("remote", "nats")), (CALLEE, (came, over))] {
            let said = collector.wait_for(PROMPTLY, |received| {
                let mut spans = received.spans.iter();
                let span =
                    spans.find(|span| served(span).is_some_and(|(served, ..)| served == id))?;
                let said = |name| span.attributes.get(name).cloned().unwrap_or_default();
                Some((said("route"), said("backend")))
            });
            let said = said.await.expect("the span");
            assert_eq!((&*said.0, &*said.1), expected, "{id}, over {route:?}");
        }
    }
    Ok(())
}

async fn a_chain_of_calls_is_in_one_trace(route: Route) -> anyhow::Result<()> {
    let (deployment, collector) = start(&nats().await, route).await;
    for (guest, id) in [
        (Guest::Callee, CALLEE),
        (Guest::Middle, "middle"),
        (Guest::Caller, CALLER),
    ] {
        deployment.deploy(guest, id, 10).await?;
    }
    for (source, target) in [(CALLER, "middle"), ("middle", CALLEE)] {
        deployment.link(source, target, "echo").await?;
    }
    let driver = deployment.driver().await?;
    assert_eq!(driver.ping(1).await?, 2);
    assert_calls(route, deployment.host(), 2).await;
    let tree = collector
        .wait_for(PROMPTLY, |received| tree(received, 3))
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    let calls: Vec<_> = tree
        .iter()
        .filter(|line| line.contains(INVOCATION))
        .collect();
    let expected = [
        format!("{INVOCATION} {CALLER} {DRIVER}.ping"),
        format!("  {INVOCATION} middle {ECHO}.ping"),
        format!("    {INVOCATION} {CALLEE} {ECHO}.ping"),
    ];
    assert_eq!(calls, expected.iter().collect::<Vec<_>>());
    Ok(())
}

/// The host's series without what is another one on each host. They name host and lattice.
fn comparable(deployment: &Deployment, received: &Received) -> BTreeMap<Series, u64> {
    let host = deployment.host().id();
    let lattice = deployment.lattice();
    // Those of in-host invocation say which way calls went, and so they differ.
    let stock = received.metrics.iter();
    let stock = stock.filter(|(series, _)| !series.metric.starts_with(IN_HOST));
    let series = stock.map(|(series, value)| {
        let mut series = series.clone();
        for (name, own) in [("host", host), ("lattice", lattice)] {
            let named = series.attributes.remove(name);
            assert_eq!(named.as_deref(), Some(own), "the {name} of {series:?}");
        }
        (series, *value)
    });
    series.collect()
}

/// The value of a metric for a component's function.
fn value(metrics: &BTreeMap<Series, u64>, metric: &str, guest: Guest, operation: &str) -> u64 {
    let reference = guest.reference().expect("the component");
    let attributes = [("component.ref", &*reference), ("operation", operation)];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let series = Series {
        metric: metric.to_owned(),
        attributes: attributes.into(),
    };
    metrics.get(&series).copied().unwrap_or_default()
}

#[tokio::test]
async fn calls_and_failures_are_counted_alike() -> anyhow::Result<()> {
    const PINGS: u64 = 5;
    const TRAPS: u64 = 2;
    let nats = nats().await;
    let mut counted = Vec::new();
    for route in Route::OURS {
        let (deployment, driver, collector) = start_pair(&nats, route).await;
        for n in 0..PINGS as u32 {
            assert_eq!(driver.ping(n).await?, n + 1);
        }
        for _ in 0..TRAPS {
            let trapped = driver.call_trap("on purpose").await;
            trapped.expect_err("the callee traps");
        }
        assert_calls(route, deployment.host(), PINGS + TRAPS).await;
        // One series for each of the four functions, and the failures of two of them.
        let total = 2 * (PINGS + TRAPS);
        let metrics = collector.wait_for(PROMPTLY, |received| {
            let sum = |metric| {
                let ours = received.metrics.iter();
                let ours = ours.filter(|(series, _)| series.metric == metric);
                ours.map(|(_, value)| value).sum::<u64>()
            };
            let all = sum(INVOCATIONS) >= total && sum(DURATION) >= total;
            (all && sum(ERRORS) >= 2 * TRAPS).then(|| comparable(&deployment, received))
        });
        let metrics = metrics
            .await
            .unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));
        counted.push(metrics);
    }
    let ping = format!("{ECHO}/ping");
    let trap = format!("{ECHO}/trap");
    for (metric, operation, expected) in [
        (INVOCATIONS, &ping, PINGS),
        (INVOCATIONS, &trap, TRAPS),
        (DURATION, &ping, PINGS),
        (DURATION, &trap, TRAPS),
        (ERRORS, &ping, 0),
        (ERRORS, &trap, TRAPS),
    ] {
        let value = value(&counted[0], metric, Guest::Callee, operation);
        assert_eq!(value, expected, "{metric} of {operation} over NATS");
    }
    for (route, metrics) in Route::OURS.iter().zip(&counted).skip(1) {
        assert_eq!(metrics, &counted[0], "over {route:?} and over NATS");
    }
    Ok(())
}
