//! Start, stop, and what the host says of itself.

use inhost_testbed::{Deployment, CALLEE};

use crate::routes::{nats, until_not_listed, Route, PROMPTLY};

#[tokio::test]
async fn the_log_says_which_backend_and_mode_are_on() {
    let nats = nats().await;
    for (route, expected) in [
        (Route::Nats, "in-host invocation is off"),
        (Route::Duplex, "duplex"),
        (Route::Mpsc, "mpsc"),
    ] {
        let deployment = route.start_on(&nats).await;
        let line = deployment
            .host()
            .wait_for_log("in-host invocation is", PROMPTLY)
            .await
            .expect("a line at start-up");
        assert!(line.contains(expected), "{line}");
    }
}

#[tokio::test]
async fn what_is_served_is_listed_until_the_component_stops() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        let host = deployment.host();
        let served = || async {
            let status = host.status().await.expect("the host lists what it serves");
            let endpoints = status["endpoints"].as_array().expect("a list").clone();
            let prefix = format!("{}.{CALLEE}", deployment.lattice());
            endpoints
                .into_iter()
                .filter(|endpoint| endpoint["prefix"] == prefix.as_str())
                .count()
        };
        assert!(served().await >= 10, "the callee's functions are listed");
        let control = deployment.control();
        control
            .stop_component(host.id(), CALLEE)
            .await
            .expect("stopped");
        until_not_listed(host, CALLEE).await;
    }
}

#[tokio::test]
async fn a_host_ends_in_order_when_it_is_asked_to() {
    let nats = nats().await;
    for route in Route::ALL {
        let deployment = route.start_pair_on(&nats).await;
        stops(deployment).await;
    }
}

async fn stops(deployment: Deployment) {
    tokio::time::timeout(2 * PROMPTLY, deployment.stop())
        .await
        .expect("the host ends soon")
        .expect("the host ends without a failure");
}
