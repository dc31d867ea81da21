//! The nats-server dies, comes back, or stands still: calls within a host go on, calls to another host fail until it is
//! back, and then work again. No host is started anew for it.
//!
//! Requests come over HTTP, so nothing but the calls of components needs NATS.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use inhost_testbed::{get_text_within, Deployment, Guest, Load, CALLEE, HTTP};

use crate::support::load::{load, may_be_lost, Calls};
use crate::support::{calls, nats, on_routes, Hosts as _, Route};

on_routes! { LOCAL:
    calls_within_a_host_go_on_without_nats_and_those_to_another_work_again_after_it_is_back,
    a_nats_server_that_stands_still_holds_up_only_the_calls_to_another_host,
    components_can_be_started_and_linked_after_the_nats_server_was_away,
}

/// How long a call may take that needs no NATS, on a machine that does much else. One that needs it
/// takes [`EXECUTION`].
const LIMIT: Duration = Duration::from_secs(4);

/// How long a component may run, which is what bounds a call to another host: the message waits in the client until it
/// has a connection again.
const EXECUTION: Duration = Duration::from_secs(5);

/// How long a request may take whose calls go to another host.
const REMOTE_LIMIT: Duration = Duration::from_secs(8);

/// How long it may take until remote calls work again.
const RECOVERY: Duration = Duration::from_secs(30);

/// How long the server stands still.
const STANDSTILL: Duration = Duration::from_secs(3);

/// Two hosts, each with an HTTP guest, which calls the middle, which calls the callee. These two are on the first host.
struct Hosts {
    deployment: Deployment,
    /// Requests that stay on the first host.
    local: SocketAddr,
    /// Requests that arrive on the second host and need the first one.
    remote: SocketAddr,
}

async fn start(route: Route) -> Hosts {
    let host = || {
        route
            .host()
            .args(Deployment::HTTP_SERVER)
            .arg(format!("--max-execution-time-ms={}", EXECUTION.as_millis()))
    };
    let mut deployment = host().start_on(&nats().await).await;
    let second = deployment.add_host(host()).await.expect("a second host");
    for (guest, id) in [(Guest::Callee, CALLEE), (Guest::Middle, "middle")] {
        let deployed = deployment.deploy(guest, id, 100).await;
        deployed.expect("deployed");
    }
    for (source, target) in [("middle", CALLEE), (HTTP, "middle")] {
        let linked = deployment.link(source, target, "echo").await;
        linked.expect("linked");
    }
    let hosts = deployment.hosts();
    let local = deployment.deploy_http(&hosts[0]).await;
    let remote = deployment.deploy_http(&hosts[second]).await;
    Hosts {
        local: local.expect("an HTTP server"),
        remote: remote.expect("an HTTP server"),
        deployment,
    }
}

async fn ping(address: SocketAddr, n: u64, deadline: Duration) -> anyhow::Result<()> {
    let answer = get_text_within(deadline, address, &format!("/ping?n={n}")).await?;
    anyhow::ensure!(answer.trim() == (n + 1).to_string(), "{answer} for {n}");
    Ok(())
}

/// Clients that ask the first host.
fn local_load(hosts: &Hosts) -> Load<()> {
    let address = hosts.local;
    load(move |id| ping(address, id, REMOTE_LIMIT))
}

/// Both hosts, once the second one reaches the first, and clients that ask the first.
async fn start_with_load(route: Route) -> (Hosts, Load<()>) {
    let hosts = start(route).await;
    until_remote_works(&hosts).await;
    let load = local_load(&hosts);
    load.answers(200).await;
    (hosts, load)
}

/// Checks that the requests within the first host were all answered in time, and that their calls stayed there: two for
/// each request.
async fn assert_undisturbed(hosts: &Hosts, load: Load<()>) {
    let ended = Calls::of(load).await;
    assert_eq!(ended.failed().count(), 0, "{:?}", ended.reasons());
    ended.assert_took_at_most(LIMIT, 0, "within the host");
    let (local, remote) = calls(hosts.deployment.host()).await;
    // The calls from the other host are answered here, and go on to the callee here.
    assert!(local >= 2 * ended.0.len() as u64, "{local} local calls");
    assert_eq!(remote, 0, "calls over NATS");
}

/// Asks the second host until it answers.
async fn until_remote_works(hosts: &Hosts) {
    let start = Instant::now();
    let mut failed = Vec::new();
    while let Err(error) = ping(hosts.remote, 1, REMOTE_LIMIT).await {
        failed.push(format!("{:?}: {error:#}", start.elapsed()));
        assert!(start.elapsed() < RECOVERY, "{failed:#?}");
    }
    let mut lost = 0;
    for n in 0..20 {
        lost += usize::from(ping(hosts.remote, n, REMOTE_LIMIT).await.is_err());
    }
    assert!(lost <= may_be_lost(20), "{lost} of 20 calls fail");
}

async fn calls_within_a_host_go_on_without_nats_and_those_to_another_work_again_after_it_is_back(
    route: Route,
) -> anyhow::Result<()> {
    let (hosts, load) = start_with_load(route).await;
    let nats = hosts.deployment.nats().clone();
    nats.kill();
    load.answers(400).await;
    let start = Instant::now();
    let answer = ping(hosts.remote, 1, 2 * REMOTE_LIMIT).await;
    answer.expect_err("there is no way to the other host");
    assert!(start.elapsed() < REMOTE_LIMIT, "it hangs");
    load.answers(200).await;

    nats.restart().await?;
    until_remote_works(&hosts).await;
    load.answers(200).await;
    assert_undisturbed(&hosts, load).await;
    Ok(())
}

async fn a_nats_server_that_stands_still_holds_up_only_the_calls_to_another_host(
    route: Route,
) -> anyhow::Result<()> {
    let (hosts, load) = start_with_load(route).await;
    let nats = hosts.deployment.nats().clone();
    nats.pause().await?;
    let start = Instant::now();
    let remote = tokio::spawn(ping(hosts.remote, 1, REMOTE_LIMIT));
    while start.elapsed() < STANDSTILL {
        load.answers(100).await;
    }
    assert!(!remote.is_finished(), "nothing moves");
    nats.resume().await?;
    // It may be answered now, or its time may be over.
    let _answer = remote.await?;
    until_remote_works(&hosts).await;
    assert_undisturbed(&hosts, load).await;
    Ok(())
}

async fn components_can_be_started_and_linked_after_the_nats_server_was_away(
    route: Route,
) -> anyhow::Result<()> {
    let deployment = route.start_on(&nats().await).await;
    deployment.nats().kill();
    deployment.nats().restart().await?;
    let work = async {
        // The control interface answers once the host has connected again.
        while deployment
            .control()
            .ping()
            .await
            .is_ok_and(|hosts| hosts.is_empty())
        {}
        deployment.deploy_pair().await.expect("deployed and linked");
        let driver = deployment.driver().await.expect("the caller");
        assert_eq!(driver.ping(1).await.expect("an answer"), 2);
    };
    tokio::time::timeout(RECOVERY, work)
        .await
        .unwrap_or_else(|_| panic!("the host does not recover"));
    Ok(())
}
