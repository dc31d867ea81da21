//! Instances that serve more than one invocation, where that was asked for.

use std::path::Path;
use std::sync::Arc;

use inhost_testbed::{pings, Deployment, Driver, NatsServer};
use tempfile::TempDir;

use crate::support::{
    assert_calls, component, deploy_pair_with, nats, on_routes, Hosts as _, Route,
};

on_routes! { OURS:
    an_instance_serves_as_many_invocations_as_was_asked_for,
}

on_routes! { LOCAL:
    an_instance_that_trapped_serves_no_more,
}

/// A callee whose `ping` answers how often it was called in this instance. It traps when it is passed 0.
fn counting(folder: &Path) -> String {
    const PING: &str = "(if (i32.eqz (local.get 0)) (then unreachable))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.get $count)";
    let counting = pings(PING, "(global $count (mut i32) (i32.const 0))");
    component(folder, "counting.wasm", &counting)
}

/// The caller and the counting callee, on a host that was started with `arguments`.
struct Pair {
    deployment: Deployment,
    driver: Driver,
    _folder: TempDir,
}

impl Pair {
    async fn start(nats: &Arc<NatsServer>, route: Route, arguments: &[&str]) -> Self {
        let host = route.host().args(arguments.iter().copied());
        let deployment = host.start_on(nats).await;
        let folder = tempfile::tempdir().expect("a folder");
        let driver = deploy_pair_with(&deployment, &counting(folder.path())).await;
        Self {
            deployment,
            driver,
            _folder: folder,
        }
    }

    /// What `calls` calls answer.
    async fn count(&self, calls: usize) -> Vec<u32> {
        let mut answers = Vec::new();
        for _ in 0..calls {
            answers.push(self.driver.ping(1).await.expect("an answer"));
        }
        answers
    }
}

async fn an_instance_serves_as_many_invocations_as_was_asked_for(
    route: Route,
) -> anyhow::Result<()> {
    let pair = Pair::start(&nats().await, route, &["--reuse-instances", "callee=3"]).await;
    assert_eq!(pair.count(7).await, [1, 2, 3, 1, 2, 3, 1]);
    assert_calls(route, pair.deployment.host(), 7).await;
    Ok(())
}

#[tokio::test]
async fn a_component_that_was_not_named_has_a_new_instance_for_each_invocation() {
    let nats = nats().await;
    for arguments in [&[][..], &["--reuse-instances", "other=3"]] {
        let pair = Pair::start(&nats, Route::Duplex, arguments).await;
        assert_eq!(pair.count(3).await, [1, 1, 1], "{arguments:?}");
    }
}

async fn an_instance_that_trapped_serves_no_more(route: Route) -> anyhow::Result<()> {
    let pair = Pair::start(&nats().await, route, &["--reuse-instances", "callee=100"]).await;
    assert_eq!(pair.count(2).await, [1, 2]);
    let trapped = pair.driver.ping(0).await;
    trapped.expect_err("the callee traps, and its caller with it");
    assert_eq!(pair.count(2).await, [1, 2]);
    Ok(())
}
