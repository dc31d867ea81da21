//! A function without results: its caller may go on before it has run, but run it does.

use std::time::Duration;

use futures::future::join_all;
use inhost_testbed::{Deployment, Guest, HostBuilder, NatsServer, Tally, CALLEE, CALLER};

use crate::routes::{calls, nats, Route, PROMPTLY};

/// Calls that run one after another, each with a call of the tally over NATS inside.
const ALL_OF_THEM: Duration = Duration::from_secs(30);

/// The pair, with at most `instances` callees at once, and the tally that the callee counts at.
async fn start(
    nats: &std::sync::Arc<NatsServer>,
    host: HostBuilder,
    instances: u32,
) -> (Deployment, Tally) {
    let deployment = Deployment::start_on(nats.clone(), host)
        .await
        .expect("the host starts");
    for (guest, id, count) in [
        (Guest::Callee, CALLEE, instances),
        (Guest::Caller, CALLER, inhost_testbed::DEFAULT_COUNT),
    ] {
        deployment.deploy(guest, id, count).await.expect("deployed");
    }
    for (source, target, interface) in [(CALLER, CALLEE, "echo"), (CALLEE, "tally", "tally")] {
        let linked = deployment.link(source, target, interface).await;
        linked.expect("linked");
    }
    let tally = Tally::serve(deployment.client(), deployment.lattice(), "tally").await;
    (deployment, tally.expect("the tally is served"))
}

#[tokio::test]
async fn a_call_without_results_is_carried_out_over_each_route() {
    let nats = nats().await;
    for route in Route::ALL {
        let (deployment, tally) = start(&nats, route.host(), 10).await;
        let driver = deployment.driver().await.expect("the caller");
        for id in 0..20 {
            driver.call_note(id).await.expect("the caller goes on");
            tally
                .wait_for_total(id + 1, PROMPTLY)
                .await
                .unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));
        }
        assert!(tally.repeated().is_empty(), "over {route:?}");
    }
}

#[tokio::test]
async fn calls_without_results_wait_for_an_instance_and_are_all_carried_out_once() {
    let nats = nats().await;
    for route in Route::LOCAL {
        // The tally is called over NATS, where an answer is lost now and then. Such a call then keeps the only instance
        // for this long, and was counted all the same.
        let host = route.host().args(["--max-execution-time-ms", "5000"]);
        let (deployment, tally) = start(&nats, host, 1).await;
        let driver = deployment.driver().await.expect("the caller");
        for went_on in join_all((0..64).map(|id| driver.call_note(id))).await {
            went_on.expect("the caller goes on");
        }
        tally
            .wait_for_total(64, ALL_OF_THEM)
            .await
            .unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));
        assert!(tally.repeated().is_empty(), "over {route:?}");
        // The second number is that of the calls of the tally.
        assert_eq!(calls(deployment.host()).await, (64, 64), "over {route:?}");
    }
}
