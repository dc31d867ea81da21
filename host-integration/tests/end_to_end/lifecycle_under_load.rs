//! Components, links and hosts come and go while they are called by many. Every call ends soon, and runs at most once.

use std::net::SocketAddr;
use std::time::Duration;

use inhost_testbed::{
    get_text_within, Deployment, Guest, Host, HostBuilder, Link, Load, CALLEE, CALLER, HTTP,
};

use crate::support::load::{load, Calls, Pair};
use crate::support::{calls, nats, on_routes, until_not_listed, Hosts as _, Route, PROMPTLY};

on_routes! { OURS:
    a_link_that_is_removed_and_put_back_under_load_leaves_no_call_behind,
    a_host_that_is_stopped_under_load_ends_in_order_and_leaves_no_request_behind,
}

on_routes! { LOCAL:
    a_callee_that_is_stopped_under_load_leaves_no_call_behind,
    a_callee_that_is_scaled_under_load_answers_what_it_has_not_begun,
    a_callee_that_is_scaled_under_load_runs_no_call_twice,
}

/// How long a call may take, with the test's own way over NATS and back, on a machine that does something else too.
const LIMIT: Duration = Duration::from_secs(2);

/// When a call without an answer is given up: so much later than [`LIMIT`] that the two are told apart.
const GIVE_UP: Duration = Duration::from_secs(6);

/// How many instances of the callee may run at once: fewer than there are callers, so that some calls wait.
const INSTANCES: u32 = 10;

fn host(route: Route) -> HostBuilder {
    route
        .host()
        // A call whose answer is lost over NATS keeps an instance for this long.
        .args(["--max-execution-time-ms", "5000"])
}

/// Lets calls be answered until none of them is left over from before, checks that no further one fails, and ends the
/// load.
async fn works_again(load: Load<()>) -> Calls {
    load.answers(200).await;
    let failed = load.failed();
    load.answers(200).await;
    // A call whose answer is lost over NATS may be given up just now.
    assert!(load.failed() <= failed + 4, "calls still fail");
    Calls::of(load).await
}

async fn a_callee_that_is_stopped_under_load_leaves_no_call_behind(
    route: Route,
) -> anyhow::Result<()> {
    let pair = Pair::start(&nats().await, host(route), INSTANCES).await;
    let (deployment, host) = (&pair.deployment, pair.deployment.host());
    let load = pair.pings_and_counts(GIVE_UP).await;
    for _ in 0..3 {
        load.answers(100).await;
        deployment
            .control()
            .stop_component(host.id(), CALLEE)
            .await?;
        until_not_listed(host, CALLEE).await;
        load.failures(100).await;
        deployment.deploy(Guest::Callee, CALLEE, INSTANCES).await?;
    }
    let ended = works_again(load).await;
    // While there is no callee here, calls go over NATS to see whether there is one elsewhere.
    let (_local, remote) = calls(host).await;
    ended.assert_took_at_most(LIMIT, remote as usize, &format!("over {route:?}"));
    ended.assert_carried_out_once(&pair.tally, &format!("over {route:?}"));
    pair.assert_reasons_are_clear();
    Ok(())
}

async fn a_callee_that_is_scaled_under_load_answers_what_it_has_not_begun(
    route: Route,
) -> anyhow::Result<()> {
    let pair = Pair::start(&nats().await, host(route), INSTANCES).await;
    let (deployment, host) = (&pair.deployment, pair.deployment.host());
    let callee = Guest::Callee.reference()?;
    let load = pair.pings(GIVE_UP).await;
    let mut scaled = 0;
    for _ in 0..3 {
        for count in [1, INSTANCES] {
            load.answers(100).await;
            let control = deployment.control();
            control.scale(host.id(), &callee, CALLEE, count).await?;
            scaled += 1;
        }
    }
    let ended = works_again(load).await;
    // What waits in the queue moves to the new one. The host itself holds one call for which it waits for an
    // instance, and drops it.
    let failed = ended.failed().count();
    assert!(
        failed <= scaled,
        "over {route:?}, scaled {scaled} times, {failed} calls failed: {:?}",
        ended.reasons()
    );
    ended.assert_took_at_most(LIMIT, 0, &format!("over {route:?}"));
    Ok(())
}

async fn a_callee_that_is_scaled_under_load_runs_no_call_twice(route: Route) -> anyhow::Result<()> {
    let pair = Pair::start(&nats().await, host(route), INSTANCES).await;
    let (deployment, host) = (&pair.deployment, pair.deployment.host());
    let callee = Guest::Callee.reference()?;
    let load = pair.pings_and_counts(GIVE_UP).await;
    // Some are always left: one whose count is not answered over NATS is taken for a while.
    for count in [INSTANCES / 2, INSTANCES, INSTANCES / 2, INSTANCES] {
        load.answers(100).await;
        let control = deployment.control();
        control.scale(host.id(), &callee, CALLEE, count).await?;
    }
    let ended = works_again(load).await;
    ended.assert_took_at_most(LIMIT, ended.counted(), &format!("over {route:?}"));
    ended.assert_carried_out_once(&pair.tally, &format!("over {route:?}"));
    Ok(())
}

async fn a_link_that_is_removed_and_put_back_under_load_leaves_no_call_behind(
    route: Route,
) -> anyhow::Result<()> {
    let pair = Pair::start(&nats().await, host(route), INSTANCES).await;
    let control = pair.deployment.control();
    let link = Link::new(CALLER, CALLEE, "inhost:demo", "echo");
    let load = pair.pings_and_counts(GIVE_UP).await;
    for _ in 0..3 {
        load.answers(100).await;
        control.link_del(&link).await?;
        load.failures(100).await;
        control.link_put(&link).await?;
    }
    let ended = works_again(load).await;
    let (_local, remote) = calls(pair.deployment.host()).await;
    ended.assert_took_at_most(LIMIT, remote as usize, &format!("over {route:?}"));
    ended.assert_carried_out_once(&pair.tally, &format!("over {route:?}"));
    Ok(())
}

/// The HTTP guest and what it calls. A client over HTTP learns of a host's end, which over NATS it does not.
async fn deploy_http(deployment: &Deployment, host: &Host) -> SocketAddr {
    let callee = Guest::Callee.reference().expect("the callee");
    let deployed = deployment.deploy_on(host, &callee, CALLEE, INSTANCES).await;
    deployed.expect("deployed");
    deployment.link(HTTP, CALLEE, "echo").await.expect("linked");
    deployment.deploy_http(host).await.expect("the server runs")
}

/// Clients that ask for a `ping`.
fn http_load(address: SocketAddr) -> Load<()> {
    load(move |id| async move {
        let answer = get_text_within(GIVE_UP, address, &format!("/ping?n={id}")).await?;
        anyhow::ensure!(answer.trim() == (id + 1).to_string(), "{answer} for {id}");
        Ok(())
    })
}

async fn a_host_that_is_stopped_under_load_ends_in_order_and_leaves_no_request_behind(
    route: Route,
) -> anyhow::Result<()> {
    // Requests go on to come, and with them calls, for as long as the host lets calls come to their end.
    let host = || {
        let host = host(route).args(Deployment::HTTP_SERVER);
        host.args(["--drain-seconds", "1"])
    };
    let mut deployment = host().start_on(&nats().await).await;
    let address = deploy_http(&deployment, deployment.host()).await;
    let load = http_load(address);
    load.answers(200).await;
    let (local, remote) = calls(deployment.host()).await;
    assert!(local > 0 || route == Route::Nats, "{local} local calls");
    let stopped = tokio::time::timeout(2 * PROMPTLY, deployment.take_host(0).stop()).await;
    stopped
        .unwrap_or_else(|_| panic!("the host does not end soon"))
        .expect("the host ends without a failure");
    load.failures(100).await;
    let ended = Calls::of(load).await;
    // A call may be ended at the end of the time that calls get, which takes up to a second.
    let limit = LIMIT + Duration::from_secs(2);
    ended.assert_took_at_most(limit, remote as usize, &format!("over {route:?}"));

    // Another host takes its place.
    let number = deployment.add_host(host()).await?;
    let address = deploy_http(&deployment, &deployment.hosts()[number]).await;
    let ended = works_again(http_load(address)).await;
    if route != Route::Nats {
        assert_eq!(ended.failed().count(), 0, "{:?}", ended.reasons());
    }
    Ok(())
}
