//! Every shape of value comes back as it was sent, over NATS and over each backend.

use crate::support::{assert_calls, nats, Hosts as _, Route};

#[tokio::test]
async fn every_shape_of_value_is_answered_alike_over_each_route() {
    let nats = nats().await;
    let mut answers = Vec::new();
    for route in Route::OURS {
        let deployment = route.start_pair_on(&nats).await;
        let driver = deployment.driver().await.expect("the caller");
        let shapes = driver.shapes().await.expect("all calls succeed");
        assert!(shapes.len() >= 70, "only {} calls", shapes.len());
        for (call, answer) in &shapes {
            assert!(
                answer.starts_with("equal: "),
                "{call} over {route:?}: {answer}"
            );
        }
        assert_calls(route, deployment.host(), shapes.len() as u64).await;
        answers.push(shapes);
    }
    assert_eq!(answers[0], answers[1], "NATS and duplex answer alike");
    assert_eq!(answers[0], answers[2], "NATS and mpsc answer alike");
}

#[tokio::test]
async fn a_chain_of_three_components_works_over_each_route() {
    use inhost_testbed::{Guest, CALLEE, CALLER};

    let nats = nats().await;
    for route in Route::OURS {
        let deployment = route.start_on(&nats).await;
        for (guest, id) in [
            (Guest::Callee, CALLEE),
            (Guest::Middle, "middle"),
            (Guest::Caller, CALLER),
        ] {
            deployment.deploy(guest, id, 10).await.expect("deployed");
        }
        deployment
            .link(CALLER, "middle", "echo")
            .await
            .expect("linked");
        deployment
            .link("middle", CALLEE, "echo")
            .await
            .expect("linked");
        let driver = deployment.driver().await.expect("the caller");
        assert_eq!(driver.ping(41).await.expect("an answer"), 42);
        let shapes = driver.shapes().await.expect("all calls succeed");
        for (call, answer) in &shapes {
            assert!(
                answer.starts_with("equal: "),
                "{call} over {route:?}: {answer}"
            );
        }
        assert_calls(route, deployment.host(), 2 * (1 + shapes.len() as u64)).await;
    }
}
