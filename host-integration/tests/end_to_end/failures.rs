//! Calls that fail do so at once, with an error that says what happened, and leave the rest alone.

use std::fmt::Debug;
use std::future::Future;

use inhost_testbed::{Deployment, Link, CALLEE, CALLER};

use crate::support::{entries, nats, on_routes, tally, until, Hosts as _, Route, PROMPTLY};

on_routes! { OURS:
    a_trap_reaches_the_caller_at_once,
    a_missing_link_is_an_error_that_names_it,
    a_missing_function_is_an_error_of_the_stock_class,
    a_component_that_was_never_started_is_an_error_at_once,
    a_call_runs_exactly_once,
    a_call_may_take_its_time,
}

on_routes! { LOCAL:
    the_caller_s_error_has_the_reason_of_a_trap,
}

/// Awaits a call that must fail, and soon.
async fn fails<T: Debug>(what: &str, call: impl Future<Output = anyhow::Result<T>>) {
    match tokio::time::timeout(PROMPTLY, call).await {
        Ok(Err(_)) => {}
        Ok(Ok(answer)) => panic!("{what} was answered: {answer:?}"),
        Err(_) => panic!("{what} hangs"),
    }
}

/// Checks that the pair still works.
async fn still_works(deployment: &Deployment) {
    let driver = deployment.driver().await.expect("the caller");
    assert_eq!(driver.ping(1).await.expect("an answer"), 2);
}

async fn a_trap_reaches_the_caller_at_once(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = route.pair().await?;
    fails("a call that traps", driver.call_trap("on purpose")).await;
    if route != Route::Nats {
        // Over NATS the caller is left with a value that cannot be decoded. Here it learns the reason.
        let log = deployment.host().log();
        let line = log
            .wait_for("ended without finishing its results", PROMPTLY)
            .await
            .expect("the failure is in the log");
        for name in [CALLEE, "inhost:demo/echo@0.1.0", "trap"] {
            assert!(line.contains(name), "`{name}` is missing in: {line}");
        }
    }
    still_works(&deployment).await;
    Ok(())
}

// Needs the runtime of `host-integration/wrpc-runtime-wasmtime`: with the published one the reason
// stays with the callee.
async fn the_caller_s_error_has_the_reason_of_a_trap(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = route.pair().await?;
    fails("a call that traps", driver.call_trap("on purpose")).await;
    let what = "the caller does not learn the reason";
    until(what, async || {
        let lines = deployment.host().log_lines();
        let learned = entries(&lines).any(|entry| {
            entry.contains("`inhost:demo/echo@0.1.0.trap` of component")
                && entry.contains("unreachable")
        });
        learned
    })
    .await;
    Ok(())
}

async fn a_missing_link_is_an_error_that_names_it(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = route.pair().await?;
    fails("a call without a link", driver.call_unlinked()).await;
    let log = deployment.host().log();
    log.wait_for("inhost:demo/unlinked", PROMPTLY)
        .await
        .expect("the interface is in the log");
    still_works(&deployment).await;
    Ok(())
}

async fn a_missing_function_is_an_error_of_the_stock_class(route: Route) -> anyhow::Result<()> {
    let deployment = route.start_pair_on(&nats().await).await;
    // One link for both interfaces: a second one for the package would replace the first.
    let mut link = Link::new(CALLER, CALLEE, "inhost:demo", "echo");
    link.interfaces.push("absent".into());
    deployment.control().link_put(&link).await?;
    let driver = deployment.driver().await?;
    fails(
        "a call of a function that is not exported",
        driver.call_absent(),
    )
    .await;
    let log = deployment.host().log();
    // What `io::ErrorKind::NotConnected` says of itself.
    log.wait_for("not connected", PROMPTLY)
        .await
        .expect("the class of the error is in the log");
    still_works(&deployment).await;
    Ok(())
}

async fn a_component_that_was_never_started_is_an_error_at_once(
    route: Route,
) -> anyhow::Result<()> {
    let deployment = route.start_on(&nats().await).await;
    let caller = inhost_testbed::Guest::Caller;
    deployment.deploy(caller, CALLER, 1).await?;
    deployment.link(CALLER, "nobody", "echo").await?;
    let driver = deployment.driver().await?;
    fails("a call of no one", driver.ping(1)).await;
    Ok(())
}

async fn a_call_runs_exactly_once(route: Route) -> anyhow::Result<()> {
    let deployment = route.start_pair_on(&nats().await).await;
    let tally = tally(&deployment).await;
    let driver = deployment.driver().await?;
    for id in 0..20 {
        assert_eq!(driver.call_count(id).await?, 1);
    }
    assert_eq!(tally.total(), 20);
    assert!(tally.repeated().is_empty());
    Ok(())
}

async fn a_call_may_take_its_time(route: Route) -> anyhow::Result<()> {
    let (_deployment, driver) = route.pair().await?;
    assert_eq!(driver.call_wait(300).await?, 300);
    Ok(())
}
