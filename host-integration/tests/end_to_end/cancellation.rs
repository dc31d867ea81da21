//! A caller that goes away takes its call along.

use crate::support::{assert_calls, nats, on_routes, promptly, Hosts as _, Route};

on_routes! { LOCAL:
    a_callee_whose_caller_has_gone_gives_its_instance_back,
}

// Needs the runtime of `host-integration/wrpc-runtime-wasmtime`: the published one lets the callee run on. Over NATS,
// wRPC has no way to tell the callee.
async fn a_callee_whose_caller_has_gone_gives_its_instance_back(
    route: Route,
) -> anyhow::Result<()> {
    // What ends the caller. The callee is left alone by it while it waits, as only what computes is interrupted.
    // With the shortest time, a second, the host may interrupt a component that has just been started.
    let host = route.host().args(["--max-execution-time-ms", "2000"]);
    let deployment = host.start_on(&nats().await).await;
    deployment.deploy_pair_of(1, 10).await?;
    let driver = deployment.driver().await?;
    let ended = promptly("the caller waits beyond its time", driver.call_wait(60_000)).await;
    ended.expect_err("it cannot have been answered");
    assert_calls(route, deployment.host(), 1).await;
    let answer = promptly(
        "neither an answer nor the end of the caller's time",
        driver.ping(1),
    )
    .await;
    answer.unwrap_or_else(|error| panic!("the only instance is still taken: {error:#}"));
    Ok(())
}
