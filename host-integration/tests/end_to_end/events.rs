//! What a host announces while components come, are called and go.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use inhost_testbed::{settle, stock_host, Guest, Host, HostBuilder, Link, CALLEE, CALLER};
use serde_json::Value;

use crate::support::{nats, on_routes, promptly, Hosts as _, Route, PROMPTLY};

on_routes! { OURS:
    local_calls_do_not_change_what_a_host_announces,
}

/// The last thing that is done: its event comes after all others.
const LAST: &str = "the-end";

/// The events of a host by what they are about, each with its type and its data, in the order in which they came.
type Events = BTreeMap<String, Vec<(String, Value)>>;

/// Deploys, calls, scales and stops, and returns what the host announced.
async fn events(host: HostBuilder) -> Events {
    let nats = nats().await;
    let client = nats.client().await.expect("a connection");
    let announced = client.subscribe("wasmbus.evt.>").await;
    let mut announced = announced.expect("subscribed");
    settle(&client).await.expect("subscribed");
    let deployment = host.start_on(&nats).await;
    let id = deployment.host().id().to_owned();
    let control = deployment.control();

    deployment.deploy_pair().await.expect("deployed and linked");
    let driver = deployment.driver().await.expect("the caller");
    // Calls are not announced, whether they succeed or fail.
    let _ = tokio::time::timeout(PROMPTLY, driver.ping(1)).await;
    let _ = tokio::time::timeout(PROMPTLY, driver.call_trap("on purpose")).await;
    let callee = Guest::Callee.reference().expect("the callee");
    let scaled = control.scale(&id, &callee, CALLEE, 5).await;
    scaled.expect("scaled");
    let _ = tokio::time::timeout(PROMPTLY, driver.ping(1)).await;
    for component in [CALLEE, CALLER] {
        let stopped = control.stop_component(&id, component).await;
        stopped.expect("stopped");
    }
    let link = Link::new(CALLER, CALLEE, "inhost:demo", "echo");
    control.link_del(&link).await.expect("the link is removed");
    let put = control.config_put(LAST, &[("a", "b")]).await;
    put.expect("stored");

    let mut events = Events::new();
    let all = async {
        loop {
            let message = announced.next().await.expect("connected");
            let event: Value = serde_json::from_slice(&message.payload).expect("an event");
            let kind = event["type"].as_str().expect("a type").to_owned();
            let data = without(&id, event["data"].clone());
            let last = data["config_name"] == LAST;
            // Alive is a host at any time.
            if !kind.ends_with("host_heartbeat") {
                let about = data["component_id"].as_str().unwrap_or(&kind).to_owned();
                events.entry(about).or_default().push((kind, data));
            }
            if last {
                return;
            }
        }
    };
    promptly("the host does not announce the last thing", all).await;
    events
}

/// The data without what is another on each host: its id, its name, its key, how long it has been up.
fn without(host: &str, mut data: Value) -> Value {
    if let Some(fields) = data.as_object_mut() {
        for (name, value) in fields.iter_mut() {
            let own = ["friendly_name", "uptime_seconds", "id"].contains(&name.as_str());
            if own || value == host || name == "labels" {
                *value = "its own".into();
            }
        }
    }
    data
}

async fn local_calls_do_not_change_what_a_host_announces(route: Route) -> anyhow::Result<()> {
    let stock = tokio::task::spawn_blocking(stock_host).await;
    let stock = stock.expect("no panic").expect("there is a stock host");
    let expected = events(Host::stock(stock)).await;
    let scaled = |component: &str| {
        let events = expected[component].iter();
        let counts = events.map(|(kind, data)| {
            assert_eq!(kind, "com.wasmcloud.lattice.component_scaled");
            data["max_instances"].as_u64().expect("a number")
        });
        counts.collect::<Vec<_>>()
    };
    // The host announces a start twice.
    assert_eq!(scaled(CALLEE), [100, 100, 5, 0], "on a stock host");
    assert_eq!(scaled(CALLER), [100, 100, 0], "on a stock host");
    assert_eq!(events(route.host().lattice("default")).await, expected);
    Ok(())
}
