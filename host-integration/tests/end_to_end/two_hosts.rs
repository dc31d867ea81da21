//! Two host processes in one lattice: what is not on this host is reached over NATS.

use inhost_testbed::{Guest, CALLEE, CALLER};

use crate::support::{add_host_with_callee, calls, nats, until_not_listed, Hosts as _, Route};

#[tokio::test]
async fn a_callee_on_another_host_is_reached_over_nats() {
    let nats = nats().await;
    for route in Route::OURS {
        let mut deployment = route.start_on(&nats).await;
        deployment
            .deploy(Guest::Caller, CALLER, 10)
            .await
            .expect("deployed");
        add_host_with_callee(&mut deployment, route).await;
        deployment
            .link(CALLER, CALLEE, "echo")
            .await
            .expect("linked");
        let driver = deployment.driver().await.expect("the caller");
        for n in 0..10 {
            assert_eq!(driver.ping(n).await.expect("an answer"), n + 1);
        }
        assert_eq!(calls(deployment.host()).await, (0, 10), "over {route:?}");
    }
}

#[tokio::test]
async fn a_callee_on_both_hosts_is_called_on_this_one() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let mut deployment = route.start_pair_on(&nats).await;
        add_host_with_callee(&mut deployment, route).await;
        let driver = deployment.driver().await.expect("the caller");
        for n in 0..20 {
            assert_eq!(driver.ping(n).await.expect("an answer"), n + 1);
        }
        assert_eq!(calls(deployment.host()).await, (20, 0), "over {route:?}");

        // Gone here, still there: the next call finds its way.
        let host = deployment.host().id().to_owned();
        let control = deployment.control();
        control
            .stop_component(&host, CALLEE)
            .await
            .expect("stopped");
        until_not_listed(deployment.host(), CALLEE).await;
        assert_eq!(driver.ping(1).await.expect("an answer"), 2);
        assert_eq!(calls(deployment.host()).await, (20, 1), "over {route:?}");
    }
}
