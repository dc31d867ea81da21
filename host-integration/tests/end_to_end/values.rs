//! Every shape of value comes back as it was sent, over NATS and over each backend.

use crate::support::{assert_calls, nats, on_routes, Hosts as _, Route};

on_routes! { OURS:
    a_chain_of_three_components_works_over_each_route,
}

#[tokio::test]
async fn every_shape_of_value_is_answered_alike_over_each_route() -> anyhow::Result<()> {
    let nats = nats().await;
    let mut answers = Vec::new();
    for route in Route::OURS {
        let deployment = route.start_pair_on(&nats).await;
        let driver = deployment.driver().await?;
        let shapes = driver.shapes().await?;
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
    Ok(())
}

async fn a_chain_of_three_components_works_over_each_route(route: Route) -> anyhow::Result<()> {
    use inhost_testbed::{Guest, CALLEE, CALLER};

    let deployment = route.start_on(&nats().await).await;
    for (guest, id) in [
        (Guest::Callee, CALLEE),
        (Guest::Middle, "middle"),
        (Guest::Caller, CALLER),
    ] {
        deployment.deploy(guest, id, 10).await?;
    }
    deployment.link(CALLER, "middle", "echo").await?;
    deployment.link("middle", CALLEE, "echo").await?;
    let driver = deployment.driver().await?;
    assert_eq!(driver.ping(41).await?, 42);
    let shapes = driver.shapes().await?;
    for (call, answer) in &shapes {
        assert!(
            answer.starts_with("equal: "),
            "{call} over {route:?}: {answer}"
        );
    }
    assert_calls(route, deployment.host(), 2 * (1 + shapes.len() as u64)).await;
    Ok(())
}
