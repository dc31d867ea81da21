//! Start, stop, and what the host says of itself.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use inhost_testbed::{
    reference, write_spinning_handler, Deployment, Handler, HostBuilder, Link, NatsServer, CALLEE,
    CALLER,
};

use crate::errors::spinning;
use crate::support::{
    deploy_pair_with, nats, on_routes, until, until_not_listed, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    a_host_ends_in_order_when_it_is_asked_to,
    a_host_ends_in_order_while_a_guest_computes,
}

on_routes! { LOCAL:
    what_is_served_is_listed_until_the_component_stops,
}

#[tokio::test]
async fn the_log_says_which_backend_and_mode_are_on() {
    let nats = nats().await;
    for (route, expected) in [
        (Route::Nats, "in-host invocation is off"),
        (Route::Duplex, "duplex"),
        (Route::Mpsc, "mpsc"),
    ] {
        let deployment = route.start_on(&nats).await;
        let line = deployment
            .host()
            .wait_for_log("in-host invocation is", PROMPTLY)
            .await
            .expect("a line at start-up");
        assert!(line.contains(expected), "{line}");
    }
}

async fn what_is_served_is_listed_until_the_component_stops(route: Route) -> anyhow::Result<()> {
    let deployment = route.start_pair_on(&nats().await).await;
    let host = deployment.host();
    let served = || async {
        let status = host.status().await.expect("the host lists what it serves");
        let endpoints = status["endpoints"].as_array().expect("a list").clone();
        let prefix = format!("{}.{CALLEE}", deployment.lattice());
        endpoints
            .into_iter()
            .filter(|endpoint| endpoint["prefix"] == prefix.as_str())
            .count()
    };
    assert!(served().await >= 10, "the callee's functions are listed");
    let control = deployment.control();
    control.stop_component(host.id(), CALLEE).await?;
    until_not_listed(host, CALLEE).await;
    Ok(())
}

async fn a_host_ends_in_order_when_it_is_asked_to(route: Route) -> anyhow::Result<()> {
    let deployment = route.start_pair_on(&nats().await).await;
    stops(deployment).await;
    Ok(())
}

/// Else a host waits for its calls.
const NO_TIME_FOR_CALLS: [&str; 2] = ["--drain-seconds", "0"];

/// A host on which a guest computes without end.
async fn start_computing(nats: &Arc<NatsServer>, host: HostBuilder) -> Deployment {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = host.start_on(nats).await;
    let driver = deploy_pair_with(&deployment, &spinning(folder.path())).await;
    computes(&deployment, driver.ping(1)).await;
    deployment
}

/// Waits until a guest computes, which is what `call` has it do without end.
async fn computes(deployment: &Deployment, call: impl Future<Output: Debug>) {
    let used = || deployment.host().usage().cpu_time().expect("it is told");
    let enough = used() + Duration::from_millis(300);
    tokio::select! {
        answer = call => panic!("it computes without end, and answers {answer:?}"),
        () = until("nothing computes", async || used() >= enough) => {}
    }
}

async fn a_host_ends_in_order_while_a_guest_computes(route: Route) -> anyhow::Result<()> {
    // The only one is shared by the guest and the host.
    let host = route.host().env("TOKIO_WORKER_THREADS", "1");
    let host = host.args(NO_TIME_FOR_CALLS);
    stops(start_computing(&nats().await, host).await).await;
    Ok(())
}

#[tokio::test]
async fn a_host_ends_though_a_guest_that_the_host_library_runs_keeps_all_its_threads(
) -> anyhow::Result<()> {
    let nats = nats().await;
    let host = Route::Duplex
        .host()
        .env("TOKIO_WORKER_THREADS", "1")
        .args(NO_TIME_FOR_CALLS);
    let folder = tempfile::tempdir()?;
    let deployment = host.start_on(&nats).await;
    let files = Handler::MESSAGING.write_to(folder.path(), "messaging");
    let [caller, _] = files.expect("written");
    let callee = write_spinning_handler(folder.path()).expect("written");
    for (file, id) in [(caller, CALLER), (callee, CALLEE)] {
        let file = reference(&file).expect("a reference");
        let deployed = deployment.deploy_on(deployment.host(), &file, id, 10);
        deployed.await?;
    }
    let (package, interface) = Handler::MESSAGING.link;
    let link = Link::new(CALLER, CALLEE, package, interface);
    deployment.control().link_put(&link).await?;
    let caller = deployment.peer(CALLER).await?;
    computes(
        &deployment,
        caller.call::<_, (bool,)>(Handler::CALL, "call", (1_u64,)),
    )
    .await;
    // It cannot do so in order: its own tasks do not get on.
    let stopped = deployment.stop().await;
    let error = stopped.expect_err("not in order").to_string();
    assert!(error.contains("did not shut down within 10s"), "{error}");
    Ok(())
}

async fn stops(deployment: Deployment) {
    tokio::time::timeout(2 * PROMPTLY, deployment.stop())
        .await
        .expect("the host ends soon")
        .expect("the host ends without a failure");
}
