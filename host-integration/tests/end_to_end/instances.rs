//! `max_instances`: how many callees run at once, who is next, and that no one waits for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inhost_testbed::{
    Deployment, Driver, Load, NatsServer, Peer, Workload, CALLEE, DEFAULT_COUNT, ECHO,
};
use tokio::task::JoinSet;

use crate::support::{
    calls, held_tally, nats, on_routes, promptly, until, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    no_more_than_max_instances_run_and_the_others_follow_in_order,
}

on_routes! { LOCAL:
    with_one_instance_calls_run_in_the_order_in_which_they_were_made,
    calls_over_nats_get_their_turn_while_local_callers_keep_the_callee_busy,
    local_calls_get_their_turn_while_callers_over_nats_keep_the_callee_busy,
}

/// Several hundred calls, of which many go over NATS, on a busy machine.
const ALL_OF_THEM: Duration = Duration::from_secs(30);

/// The pair, with at most `instances` callees at once.
async fn start(nats: &Arc<NatsServer>, route: Route, instances: u32) -> (Deployment, Driver) {
    let deployment = route.start_on(nats).await;
    let deployed = deployment.deploy_pair_of(instances, DEFAULT_COUNT).await;
    deployed.expect("deployed and linked");
    let driver = deployment.driver().await.expect("the caller");
    (deployment, driver)
}

async fn no_more_than_max_instances_run_and_the_others_follow_in_order(
    route: Route,
) -> anyhow::Result<()> {
    const INSTANCES: usize = 3;
    const CALLERS: u64 = 12;
    let (deployment, driver) = start(&nats().await, route, INSTANCES as u32).await;
    let tally = held_tally(&deployment).await;
    let mut callers = JoinSet::new();
    for id in 0..CALLERS {
        let driver = driver.clone();
        callers.spawn(async move { (id, driver.call_count(id).await) });
        // In memory it can be seen when a call is queued, so the order is known.
        until(&format!("call {id} is not made"), async || {
            route == Route::Nats || calls(deployment.host()).await.0 > id
        })
        .await;
    }
    for done in 0..CALLERS as usize {
        let expected = (INSTANCES + done).min(CALLERS as usize);
        let arrived = tally.wait_for(expected, PROMPTLY).await;
        arrived.unwrap_or_else(|error| panic!("after {done}: {error:#}"));
        // What runs now waits in the tally, and nothing else may run.
        assert_eq!(tally.arrived().len(), expected);
        tally.release().expect("a call waits");
    }
    assert_eq!(tally.peak(), INSTANCES);
    while let Some(answer) = callers.join_next().await {
        let (id, answer) = answer.expect("no panic");
        assert_eq!(answer.expect("an answer"), id);
    }
    let mut arrived = tally.arrived();
    if route != Route::Nats {
        // Those that run at once overtake each other on the way to the tally.
        let overtaking = |(place, id): (usize, &u64)| place.abs_diff(*id as usize) < INSTANCES;
        assert!(
            arrived.iter().enumerate().all(overtaking),
            "callees ran in this order: {arrived:?}"
        );
    }
    arrived.sort_unstable();
    assert_eq!(arrived, Vec::from_iter(0..CALLERS));
    Ok(())
}

async fn with_one_instance_calls_run_in_the_order_in_which_they_were_made(
    route: Route,
) -> anyhow::Result<()> {
    const CALLERS: u64 = 8;
    let (deployment, driver) = start(&nats().await, route, 1).await;
    let tally = held_tally(&deployment).await;
    let mut callers = JoinSet::new();
    for id in 0..CALLERS {
        let driver = driver.clone();
        callers.spawn(async move { driver.call_count(id).await });
        until(&format!("call {id} is not made"), async || {
            calls(deployment.host()).await.0 > id
        })
        .await;
    }
    for id in 0..CALLERS {
        let arrived = tally.wait_for(id as usize + 1, PROMPTLY).await;
        arrived.unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(tally.release(), Some(id));
    }
    for answer in callers.join_all().await {
        answer.expect("an answer");
    }
    assert_eq!(tally.peak(), 1);
    Ok(())
}

/// Checks that a load goes on without a failure, and returns how many calls have been answered.
async fn goes_on<T: Send + 'static>(load: &Load<T>) -> u64 {
    load.answers(1).await;
    assert_eq!(load.failed(), 0, "a call failed");
    load.answered()
}

/// `ping` of the callee by a peer elsewhere in the lattice.
async fn ping_over_nats(callee: &Peer, n: u32) -> anyhow::Result<()> {
    let (answer,): (u32,) = callee.call(ECHO, "ping", (n,)).await?;
    anyhow::ensure!(answer == n + 1, "ping({n}) is {answer}");
    Ok(())
}

async fn calls_over_nats_get_their_turn_while_local_callers_keep_the_callee_busy(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route, 1).await;
    let callee = deployment.peer(CALLEE).await?;
    // Each caller goes on without a pause within a call of the driver.
    let flood = Load::start(8, move |_| {
        let driver = driver.clone();
        async move { driver.run(Workload::Ping, 0, 50).await }
    });
    goes_on(&flood).await;
    let (before, _) = calls(deployment.host()).await;
    let remote = async {
        for n in 0..50 {
            ping_over_nats(&callee, n).await.expect("an answer");
        }
    };
    let remote = tokio::time::timeout(ALL_OF_THEM, remote).await;
    remote.unwrap_or_else(|_| panic!("calls over NATS starve"));
    let (local, _) = calls(deployment.host()).await;
    assert!(local > before, "{local}");
    goes_on(&flood).await;
    Ok(())
}

async fn local_calls_get_their_turn_while_callers_over_nats_keep_the_callee_busy(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route, 1).await;
    let callee = deployment.peer(CALLEE).await?;
    let flood = Load::start(8, move |_| {
        let callee = callee.clone();
        async move { ping_over_nats(&callee, 1).await }
    });
    let before = goes_on(&flood).await;
    let local = driver.run(Workload::Ping, 0, 200);
    let local = tokio::time::timeout(ALL_OF_THEM, local).await;
    let local = local.unwrap_or_else(|_| panic!("local calls starve"));
    assert_eq!(local.expect("all calls succeed").len(), 200);
    assert!(goes_on(&flood).await > before);
    assert_eq!(calls(deployment.host()).await, (200, 0));
    Ok(())
}

#[tokio::test]
async fn a_callee_that_waits_leaves_its_instance_when_its_time_is_over() -> anyhow::Result<()> {
    let nats = nats().await;
    for route in Route::OURS {
        let host = route.host().args(["--max-execution-time-ms", "1000"]);
        let deployment = host.start_on(&nats).await;
        deployment.deploy_pair_of(1, 10).await?;
        // The host cannot learn whether this caller, which is elsewhere, is still there.
        let peer = deployment.peer(CALLEE).await?;
        loop {
            let begun = Instant::now();
            let wait = peer.call::<_, (u32,)>(ECHO, "wait", (60_000_u32,));
            let wait = promptly("it does not end", wait).await;
            wait.expect_err("its time is over");
            // Else upstream's client has lost it (see guarantees.md, "Calls over NATS").
            if begun.elapsed() >= Duration::from_secs(1) {
                break;
            }
        }
        let driver = deployment.driver().await?;
        let answered = async { while driver.ping(1).await.is_err() {} };
        promptly(format!("over {route:?} the instance is not free"), answered).await;
    }
    Ok(())
}
