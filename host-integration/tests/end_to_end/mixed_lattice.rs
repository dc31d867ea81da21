//! Our host and a stock host in one lattice: what one encodes, the other one reads.
//!
//! The stock host is a program of its own, made of published crates. `cargo xtask test` builds it and says where it is;
//! else it is built here, which takes some minutes the first time.

use std::time::Duration;

use futures::future::join_all;
use inhost_testbed::{
    stock_host, Deployment, Driver, Guest, Host, HostBuilder, Workload, CALLEE, CALLER,
};

use crate::support::{calls, nats, Hosts as _, Route};

/// A debug build of the stock host takes seconds for a large value.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often something is tried over NATS. Upstream's transport loses a call now and then (see
/// guarantees.md, "Calls over NATS"): it hangs, or ends without results.
const ATTEMPTS: usize = 5;

/// The stock host.
pub(crate) async fn stock() -> HostBuilder {
    let binary = tokio::task::spawn_blocking(stock_host).await;
    let binary = binary.expect("no panic").expect("there is a stock host");
    Host::stock(binary).lattice("mixed")
}

/// The caller on one host, the callee on another, linked.
async fn start_pair(caller: HostBuilder, callee: HostBuilder) -> (Deployment, Driver) {
    let mut deployment = caller.start_on(&nats().await).await;
    let second = deployment
        .add_host(callee)
        .await
        .expect("the callee's host starts");
    for (host, guest, id) in [(second, Guest::Callee, CALLEE), (0, Guest::Caller, CALLER)] {
        let component = guest.reference().expect("the component");
        deployment
            .deploy_on(&deployment.hosts()[host], &component, id, 10)
            .await
            .expect("deployed");
    }
    deployment
        .link(CALLER, CALLEE, "echo")
        .await
        .expect("linked");
    let driver = deployment.driver().await.expect("the caller");
    (deployment, driver.with_deadline(DEADLINE))
}

/// What a single host answers to every shape of value.
async fn expected_shapes() -> Vec<(String, String)> {
    let deployment = Route::Duplex.start_pair_on(&nats().await).await;
    let driver = deployment.driver().await.expect("the caller");
    driver.shapes().await.expect("all calls succeed")
}

/// Makes calls over NATS until all of them are answered.
async fn tried<T>(what: &str, calls: impl AsyncFn() -> anyhow::Result<T>) -> T {
    let mut attempt = 1;
    loop {
        match calls().await {
            Ok(answer) => return answer,
            Err(error) if attempt == ATTEMPTS => panic!("{what}, tried {attempt} times: {error:?}"),
            Err(_) => attempt += 1,
        }
    }
}

/// Checks that values of every shape and of every size go there and back.
async fn works(driver: &Driver) {
    let shapes = tried("shapes", async || driver.shapes().await).await;
    assert_eq!(shapes, expected_shapes().await);
    for (workload, size) in [
        (Workload::Echo, 1 << 20),
        (Workload::Strings, 1_000),
        (Workload::Record, 0),
    ] {
        let what = format!("{workload:?}");
        tried(&what, async || driver.run(workload, size, 1).await).await;
    }
}

#[tokio::test]
async fn a_component_here_calls_one_on_a_stock_host() {
    let (deployment, driver) = start_pair(Route::Duplex.host(), stock().await).await;
    works(&driver).await;
    let (local, remote) = calls(deployment.host()).await;
    assert!(local == 0 && remote > 0, "{local} local, {remote} remote");
}

#[tokio::test]
async fn a_component_on_a_stock_host_calls_one_here() {
    let (deployment, driver) = start_pair(stock().await, Route::Duplex.host()).await;
    works(&driver).await;
    let ours = &deployment.hosts()[1];
    assert_eq!(
        calls(ours).await,
        (0, 0),
        "the callee's host makes no calls"
    );
}

#[tokio::test]
async fn a_call_that_fails_on_the_other_host_fails_for_the_caller() -> anyhow::Result<()> {
    for ours_calls in [true, false] {
        let (ours, stock) = (Route::Duplex.host(), stock().await);
        let (_deployment, driver) = match ours_calls {
            true => start_pair(ours, stock).await,
            false => start_pair(stock, ours).await,
        };
        let calls = [driver.call_trap("on purpose"), driver.call_trap("again")];
        for answer in join_all(calls).await {
            answer.expect_err("the callee traps");
        }
        assert_eq!(driver.ping(1).await?, 2);
    }
    Ok(())
}
