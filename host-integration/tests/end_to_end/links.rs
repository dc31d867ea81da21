//! Links decide where a call goes, as on a stock host.

use inhost_testbed::{Guest, Link, CALLER};

use crate::support::{assert_calls, nats, Hosts as _, Route};

#[tokio::test]
async fn a_named_link_leads_to_its_own_target() {
    let nats = nats().await;
    for route in Route::OURS {
        let deployment = route.start_on(&nats).await;
        for (guest, id) in [(Guest::Callee, "other"), (Guest::Caller, CALLER)] {
            deployment.deploy(guest, id, 10).await.expect("deployed");
        }
        let link = Link::new(CALLER, "other", "inhost:demo", "echo").named("by-name");
        deployment.control().link_put(&link).await.expect("linked");
        // The default link leads nowhere, so an answer can only come by the other.
        deployment
            .link(CALLER, "nobody", "echo")
            .await
            .expect("linked");
        let driver = deployment.driver().await.expect("the caller");
        let answer = driver.ping_via("by-name", 41).await.expect("an answer");
        assert_eq!(answer, Ok(42));
        assert_calls(route, deployment.host(), 1).await;
        assert!(driver.ping(41).await.is_err());
        let refused = driver.ping_via("unknown", 41).await.expect("an answer");
        assert!(refused.expect_err("no such link").contains("unknown"));
    }
}

#[tokio::test]
async fn a_link_that_is_moved_takes_the_calls_along() {
    let nats = nats().await;
    for route in Route::OURS {
        let deployment = route.start_pair_on(&nats).await;
        let driver = deployment.driver().await.expect("the caller");
        assert_eq!(driver.ping(1).await.expect("an answer"), 2);
        let link = Link::new(CALLER, inhost_testbed::CALLEE, "inhost:demo", "echo");
        deployment.control().link_del(&link).await.expect("removed");
        assert!(driver.ping(1).await.is_err(), "there is no link any more");
        deployment
            .control()
            .link_put(&link)
            .await
            .expect("put back");
        assert_eq!(driver.ping(1).await.expect("an answer"), 2);
    }
}
