//! The headers of a call: who calls, over which link, and as a part of which trace.
//!
//! A component cannot see the headers of a call, and the host reads no more of them than the trace. So what a local
//! call carries is seen in the calls that follow from it, when they leave the host, and in exported spans.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use async_nats::HeaderMap;
use futures::{Stream, StreamExt as _};
use inhost_testbed::{
    settle, stock_host, Collector, Deployment, Guest, Host, Link, Span, Tally, CALLEE, CALLER,
    DRIVER, ECHO, TALLY,
};

use crate::support::{nats, on_routes, promptly, Hosts as _, Route, PROMPTLY};
use crate::telemetry::exporting;

on_routes! { OURS:
    a_trace_from_outside_goes_through_the_host,
}

/// A trace of someone outside.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const STATE: &str = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7";

/// How long the driver may take over a call, which a stock host in a debug build does not need.
const DEADLINE: Duration = Duration::from_secs(10);

type Headers = BTreeMap<String, Vec<String>>;

/// The headers of each call of a function that comes over NATS, whoever serves it.
async fn overheard(
    deployment: &Deployment,
    component: &str,
    function: &str,
) -> Pin<Box<dyn Stream<Item = Headers> + Send>> {
    let subject = format!("{}.{component}.wrpc.0.0.1.{function}", deployment.lattice());
    let calls = deployment.client().subscribe(subject).await;
    let calls = calls.expect("subscribed");
    settle(deployment.client()).await.expect("subscribed");
    Box::pin(calls.map(|call| {
        let headers = call.headers.unwrap_or_default();
        let texts = headers.iter().map(|(name, values)| {
            let values = values.iter().map(ToString::to_string).collect();
            (name.to_string(), values)
        });
        texts.collect()
    }))
}

async fn next(calls: &mut (impl Stream<Item = Headers> + Unpin)) -> Headers {
    let call = promptly("no call leaves the host", calls.next()).await;
    call.expect("connected")
}

#[tokio::test]
async fn a_call_that_leaves_the_host_says_who_calls_and_over_which_link() -> anyhow::Result<()> {
    let nats = nats().await;
    let stock = tokio::task::spawn_blocking(stock_host).await;
    let stock = stock.expect("no panic").expect("there is a stock host");
    let mut hosts = Route::OURS
        .map(|route| (format!("{route:?}"), route.host()))
        .to_vec();
    hosts.push(("stock".to_owned(), Host::stock(stock).lattice("stock")));
    for (name, host) in hosts {
        let deployment = host.start_on(&nats).await;
        deployment.deploy(Guest::Caller, CALLER, 10).await?;
        let elsewhere = deployment.peer("elsewhere").await?;
        let served = elsewhere
            .serve(ECHO, "ping", |(n,): (u32,)| async move { (n + 1,) })
            .await;
        let _served = served.expect("served");
        let control = deployment.control();
        for link in ["default", "second"] {
            let link = Link::new(CALLER, "elsewhere", "inhost:demo", "echo").named(link);
            control.link_put(&link).await?;
        }
        let mut calls = overheard(&deployment, "elsewhere", &format!("{ECHO}.ping")).await;
        let driver = deployment.driver().await?;
        let driver = driver.with_deadline(DEADLINE);
        // An answer may be lost on its way over NATS. What counts here is what was sent.
        let _ = driver.ping(1).await;
        let first = next(&mut calls).await;
        let _ = driver.ping_via("second", 1).await;
        let second = next(&mut calls).await;
        for (headers, link) in [(first, "default"), (second, "second")] {
            let expected = [("source-id", CALLER), ("link-name", link)];
            let expected = expected.map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
            assert_eq!(headers, Headers::from(expected), "{name}");
        }
    }
    Ok(())
}

/// The chain that is looked at: this test calls the caller, the caller the callee, and the callee the tally, which is
/// not on the host.
struct Chain {
    deployment: Deployment,
    collector: Collector,
    tally: Pin<Box<dyn Stream<Item = Headers> + Send>>,
    _served: Tally,
}

impl Chain {
    async fn start(route: Route) -> Self {
        let collector = Collector::start().await.expect("the collector starts");
        let host = exporting(route.host(), &collector);
        let deployment = host.start_pair_on(&nats().await).await;
        let linked = deployment.link(CALLEE, "tally", "tally").await;
        linked.expect("linked");
        let served = Tally::serve(deployment.client(), deployment.lattice(), "tally").await;
        Self {
            tally: overheard(&deployment, "tally", &format!("{TALLY}.add")).await,
            deployment,
            collector,
            _served: served.expect("the tally is served"),
        }
    }

    /// Calls as a part of the trace, and returns the headers of the call that the tally got.
    async fn call(&mut self, flags: &str) -> Headers {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", format!("00-{TRACE}-{SPAN}-{flags}"));
        headers.insert("tracestate", STATE);
        let caller = self.deployment.peer(CALLER).await.expect("a connection");
        let called = caller
            .call_with_headers::<_, (u64,)>(Some(headers), DRIVER, "call-count", (1_u64,))
            .await;
        called.expect("an answer");
        next(&mut self.tally).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn a_trace_from_outside_goes_through_the_host(route: Route) -> anyhow::Result<()> {
    let mut chain = Chain::start(route).await;
    let headers = chain.call("01").await;
    let spans = chain.collector.wait_for(PROMPTLY, |received| {
        let of = |component: &str| {
            let mut spans = received.spans.iter();
            let ours = |span: &&Span| {
                let id = span.attributes.get("id");
                span.name == "component_invocation" && id.is_some_and(|id| id == component)
            };
            spans.find(ours).cloned()
        };
        Some([of(CALLER)?, of(CALLEE)?])
    });
    let [caller, callee] = spans.await.unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(hex(&caller.trace), TRACE);
    assert_eq!(hex(&caller.parent), SPAN);
    assert_eq!(hex(&callee.trace), TRACE);
    assert_eq!(callee.parent, caller.id);
    let expected = [
        ("source-id", CALLEE.to_owned()),
        ("link-name", "default".to_owned()),
        ("traceparent", format!("00-{TRACE}-{}-01", hex(&callee.id))),
        ("tracestate", STATE.to_owned()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), vec![value]));
    assert_eq!(headers, Headers::from(expected));
    let (local, remote) = crate::support::calls(chain.deployment.host()).await;
    assert_eq!(local + remote, 2);
    assert_eq!(local, u64::from(route != Route::Nats));
    Ok(())
}

#[tokio::test]
async fn a_trace_that_is_not_to_be_recorded_is_not() -> anyhow::Result<()> {
    let mut carried = Vec::new();
    for route in Route::OURS {
        let mut chain = Chain::start(route).await;
        let mut headers = chain.call("00").await;
        let parent = headers.remove("traceparent").expect("a trace").concat();
        assert!(
            parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-00"),
            "over {route:?}: {parent}"
        );
        carried.push(headers);
        // Spans are exported in the order in which they end: after this one, the others would have been there.
        let driver = chain.deployment.driver().await?;
        driver.ping(1).await?;
        let recorded = chain.collector.wait_for(PROMPTLY, |received| {
            let pinged = |span: &&Span| {
                let func = span.attributes.get("func");
                func.is_some_and(|func| func == "ping") && span.parent.is_empty()
            };
            received.spans.iter().find(pinged)?;
            Some(received.spans.clone())
        });
        let recorded = recorded
            .await
            .unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));
        let ours = recorded.iter().find(|span| hex(&span.trace) == TRACE);
        assert_eq!(ours, None, "over {route:?}");
    } // The state of such a trace is not passed on, over NATS neither.
    assert!(
        carried.iter().all(|headers| headers == &carried[0]),
        "{carried:#?}"
    );
    Ok(())
}
