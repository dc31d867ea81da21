//! A function without results that takes a stream: its caller goes on when the stream is sent, and
//! all of it comes, once.

use std::net::SocketAddr;
use std::sync::Arc;

use inhost_testbed::{
    Deployment, Guest, HeldTally, HostBuilder, NatsServer, Tally, Upload, CALLEE, HTTP,
};

use crate::support::{
    calls, nats, on_routes, promptly, queued, until, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    a_stream_whose_caller_has_gone_on_comes_whole_and_once,
}

on_routes! { LOCAL:
    a_callee_learns_that_a_stream_was_cut_off_and_leaves_its_instance,
    streams_that_wait_when_their_callee_is_scaled_come_whole_and_once,
    a_callee_whose_sender_dies_elsewhere_learns_of_it_before_its_own_time_is_over,
    a_sender_that_waits_for_more_learns_that_the_end_of_the_host_has_ended_its_callee,
}

/// In bytes, from nothing to many times what a transport holds of a stream.
const SIZES: [u64; 6] = [0, 1, 1_000, 64 * 1024, 1_000_000, 8 << 20];

/// Less than a transport holds of a stream.
const SMALL: u64 = 1_000;

/// A host that passes requests on as streams, to a callee with so many instances, and where requests are taken.
async fn start(nats: &Arc<NatsServer>, route: Route, instances: u32) -> (Deployment, SocketAddr) {
    start_on(nats, route.host(), instances).await
}

async fn start_on(
    nats: &Arc<NatsServer>,
    host: HostBuilder,
    instances: u32,
) -> (Deployment, SocketAddr) {
    let host = host.args(Deployment::HTTP_SERVER);
    let deployment = host.start_on(nats).await;
    let deployed = deployment.deploy(Guest::Streamer, CALLEE, instances).await;
    deployed.expect("deployed");
    let front = Guest::Streamer.reference().expect("the component");
    let server = deployment.deploy_http_as(deployment.host(), &front).await;
    let server = server.expect("the server listens");
    for (source, target, interface) in [(HTTP, CALLEE, "pipe"), (CALLEE, "tally", "tally")] {
        let linked = deployment.link(source, target, interface).await;
        linked.expect("linked");
    }
    (deployment, server)
}

async fn tally(deployment: &Deployment) -> Tally {
    let tally = Tally::serve(deployment.client(), deployment.lattice(), "tally").await;
    tally.expect("the tally is served")
}

async fn a_stream_whose_caller_has_gone_on_comes_whole_and_once(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, server) = start(&nats().await, route, 10).await;
    let tally = tally(&deployment).await;
    for (id, size) in (1..).zip(SIZES) {
        let sent = promptly(format!("{size} bytes hang"), Upload::send(server, id, size)).await;
        sent.expect("the caller goes on");
    }
    // Each tells that it begins, and how it ends.
    let told = 2 * SIZES.len() as u64;
    let all = tally.wait_for_total(told, PROMPTLY).await;
    all.unwrap_or_else(|error| panic!("{error:#}"));
    for id in 1..=SIZES.len() as u64 {
        assert_eq!(tally.count(id | Upload::WHOLE), 1, "{id} over {route:?}");
    }
    let counted = match route.is_local() {
        false => (0, told + told / 2),
        true => (told / 2, told),
    };
    assert_eq!(calls(deployment.host()).await, counted);
    Ok(())
}

async fn a_callee_learns_that_a_stream_was_cut_off_and_leaves_its_instance(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, server) = start(&nats().await, route, 1).await;
    let tally = tally(&deployment).await;
    for (id, size) in [(1, SMALL), (2, 8 << 20)] {
        let half = Upload::begin(server, id, size, size / 2).await;
        let half = half.expect("it is taken");
        until("it is not begun", async || {
            tally.count(id | Upload::BEGUN) == 1
        })
        .await;
        drop(half);
        until("the callee does not learn of it", async || {
            tally.count(id | Upload::CUT) == 1
        })
        .await;
    }
    // The only instance is free.
    let next = promptly("it is not begun", Upload::send(server, 3, SMALL)).await;
    next.expect("the caller goes on");
    until("the next one does not come", async || tally.count(3) == 1).await;
    assert_eq!(tally.total(), 6);
    Ok(())
}

async fn a_callee_whose_sender_dies_elsewhere_learns_of_it_before_its_own_time_is_over(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    let host = route.host().args(["--max-execution-time-ms=1000"]);
    let mut deployment = host.start_on(&nats).await;
    deployment.deploy(Guest::Streamer, CALLEE, 1).await?;
    let sender = route.host().args(Deployment::HTTP_SERVER);
    let sender = deployment.add_host(sender).await?;
    let front = Guest::Streamer.reference()?;
    let server = deployment.deploy_http_as(&deployment.hosts()[sender], &front);
    let server = server.await?;
    deployment.link(HTTP, CALLEE, "pipe").await?;
    deployment.link(CALLEE, "tally", "tally").await?;
    let tally = tally(&deployment).await;
    let _half = Upload::begin(server, 1, SMALL, SMALL / 2).await?;
    until("it is not begun", async || {
        tally.count(1 | Upload::BEGUN) == 1
    })
    .await;
    // It is killed.
    drop(deployment.take_host(sender));
    until("the callee does not learn of it", async || {
        tally.count(1 | Upload::CUT) == 1
    })
    .await;
    Ok(())
}

async fn a_sender_that_waits_for_more_learns_that_the_end_of_the_host_has_ended_its_callee(
    route: Route,
) -> anyhow::Result<()> {
    let host = route.host().args(["--drain-seconds=1"]);
    let (mut deployment, server) = start_on(&nats().await, host, 1).await;
    let tally = tally(&deployment).await;
    let half = Upload::begin(server, 1, 8 << 20, SMALL).await?;
    until("it is not begun", async || {
        tally.count(1 | Upload::BEGUN) == 1
    })
    .await;
    let mut host = deployment.take_host(0);
    host.ask_to_stop();
    let answered = promptly("there is no answer", half.answered()).await;
    answered.expect_err("most of it was not sent");
    assert_eq!(host.ends(2 * PROMPTLY).await?, 0);
    Ok(())
}

async fn streams_that_wait_when_their_callee_is_scaled_come_whole_and_once(
    route: Route,
) -> anyhow::Result<()> {
    const WAITING: u64 = 8;
    let (deployment, server) = start(&nats().await, route, 1).await;
    let tally = HeldTally::serve(deployment.client(), deployment.lattice(), "tally").await?;
    for id in 0..=WAITING {
        let sent = Upload::send(server, id, SMALL).await;
        sent.expect("the caller goes on");
    }
    let begun = tally.wait_for(1, PROMPTLY).await;
    begun.expect("the first one is begun");
    // One has been taken, and waits for the instance.
    let host = deployment.host();
    until("they do not wait", async || {
        queued(host).await == WAITING - 1
    })
    .await;
    let callee = Guest::Streamer.reference()?;
    deployment
        .control()
        .scale(host.id(), &callee, CALLEE, 2)
        .await?;
    let told = 2 * (WAITING as usize + 1);
    until("not all of them come", async || {
        tally.release();
        tally.arrived().len() == told
    })
    .await;
    let mut arrived = tally.arrived();
    arrived.sort_unstable();
    let whole = (0..=WAITING).map(|id| id | Upload::WHOLE);
    let expected: Vec<_> = whole
        .chain((0..=WAITING).map(|id| id | Upload::BEGUN))
        .collect();
    assert_eq!(arrived, expected);
    Ok(())
}
