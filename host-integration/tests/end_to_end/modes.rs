//! Where calls may go, for a host and for single components.

use std::time::{Duration, Instant};

use inhost_testbed::{Guest, Host, Link, CALLEE, CALLER};

use crate::support::{add_host_with_callee, calls, nats, on_routes, Hosts as _, Route, PROMPTLY};

on_routes! { LOCAL:
    require_carries_calls_in_memory,
    require_names_what_was_asked_for_and_what_the_component_serves,
    require_fails_at_once_when_the_callee_runs_on_another_host_only,
    a_component_has_a_mode_of_its_own_by_flag_and_by_variable,
}

async fn counted(host: &Host, route: &str) -> u64 {
    let status = host.status().await.expect("the host lists its calls");
    status["calls"][route].as_u64().expect("a number of calls")
}

async fn require_carries_calls_in_memory(route: Route) -> anyhow::Result<()> {
    let host = route.host().args(["--local-dispatch", "require"]);
    let (deployment, driver) = host.pair().await?;
    assert_eq!(driver.ping(1).await?, 2);
    assert_eq!(calls(deployment.host()).await, (1, 0));
    Ok(())
}

async fn require_names_what_was_asked_for_and_what_the_component_serves(
    route: Route,
) -> anyhow::Result<()> {
    let host = route.host().args(["--local-dispatch", "require"]);
    let deployment = host.start_pair_on(&nats().await).await;
    // One link for both interfaces: a second one for the package would replace the first.
    let mut link = Link::new(CALLER, CALLEE, "inhost:demo", "echo");
    link.interfaces.push("absent".into());
    deployment.control().link_put(&link).await?;
    let driver = deployment.driver().await?;
    driver.call_absent().await.expect_err("no one serves it");
    let host = deployment.host();
    let line = host.wait_for_log("here it serves `inhost:demo/echo@0.1.0`", PROMPTLY);
    let line = line.await.expect("what is served is in the log");
    assert!(
        line.contains("`inhost:demo/absent@0.1.0.nothing`"),
        "{line}"
    );
    Ok(())
}

async fn require_fails_at_once_when_the_callee_runs_on_another_host_only(
    route: Route,
) -> anyhow::Result<()> {
    let host = route
        .host()
        .args(["--local-dispatch-target", "callee=require"]);
    let mut deployment = host.start_on(&nats().await).await;
    deployment.deploy(Guest::Caller, CALLER, 10).await?;
    add_host_with_callee(&mut deployment, route).await;
    deployment.link(CALLER, CALLEE, "echo").await?;
    let driver = deployment.driver().await?;
    let start = Instant::now();
    driver.ping(1).await.expect_err("it is not on this host");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    let host = deployment.host();
    assert_eq!(counted(host, "refused").await, 1);
    assert_eq!(calls(host).await, (0, 0));
    let line = host
        .wait_for_log("is not served on this host", PROMPTLY)
        .await
        .expect("the log says why");
    for part in ["inhost:demo/echo@0.1.0.ping", CALLEE, "prefer"] {
        assert!(line.contains(part), "`{part}` is missing in: {line}");
    }
    Ok(())
}

async fn a_component_has_a_mode_of_its_own_by_flag_and_by_variable(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    for by_variable in [false, true] {
        let host = match by_variable {
            false => route
                .host()
                .args(["--local-dispatch-target", "unused=require"])
                .args(["--local-dispatch-target", "callee=off"]),
            true => route.host().env(
                "WASMCLOUD_LOCAL_DISPATCH_TARGETS",
                "unused=require,callee=off",
            ),
        };
        let deployment = host.start_pair_on(&nats).await;
        let driver = deployment.driver().await?;
        assert_eq!(driver.ping(1).await?, 2);
        assert_eq!(calls(deployment.host()).await, (0, 1));
        let status = deployment.host().status().await?;
        assert_eq!(status["targets"]["callee"], "off");
    }
    Ok(())
}
