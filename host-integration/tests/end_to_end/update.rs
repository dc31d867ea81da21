//! A component is updated to a new version while it is called.
//!
//! On a stock host the old version goes on, and cannot be stopped any more: see `src/updates` of the host.

use std::time::Duration;

use inhost_testbed::{Guest, CALLEE};

use crate::callers::{version_over_nats, Callers};
use crate::routes::{nats, until_not_listed, Route, PROMPTLY};

const CALLERS: usize = 32;

#[tokio::test]
async fn after_an_update_no_call_reaches_the_old_version() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        let (control, host) = (deployment.control(), deployment.host());
        let callers = Callers::start(&deployment.driver().await.expect("the caller"), CALLERS);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let reference = Guest::CalleeV2.reference().expect("a reference");
        control
            .update(host.id(), &reference, CALLEE)
            .await
            .expect("updated");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answers = callers.end().await;
        answers.assert_changed(1, 2, &format!("over {route:?}"));

        // From elsewhere, too.
        let peer = deployment.peer(CALLEE).await.expect("a peer");
        for _ in 0..20 {
            let version = version_over_nats(&peer).await;
            assert_eq!(version.expect("an answer"), 2, "over NATS");
        }

        // The host has the number of instances that it had, and can stop what it runs.
        let settled = async {
            loop {
                let inventory = control.inventory(host.id()).await.expect("an inventory");
                let component = inventory.component(CALLEE).expect("it runs");
                if component.max_instances == inhost_testbed::DEFAULT_COUNT {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PROMPTLY, settled)
            .await
            .expect("the number of instances is as before");
        control
            .stop_component(host.id(), CALLEE)
            .await
            .expect("stopped");
        until_not_listed(host, CALLEE).await;
        let driver = deployment.driver().await.expect("the caller");
        driver
            .call_version()
            .await
            .expect_err("no version serves after a stop");
    }
}

/// What cannot be fetched changes nothing.
#[tokio::test]
async fn an_update_that_fails_leaves_the_old_version() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        let command = serde_json::json!({
            "host_id": deployment.host().id(),
            "component_id": CALLEE,
            "new_component_ref": "file:///nowhere/to/be/found.wasm",
        });
        let operation = format!("component.update.{}", deployment.host().id());
        deployment
            .control()
            .request(&operation, &command)
            .await
            .expect("acknowledged before it is tried");
        deployment
            .host()
            .wait_for_log("failed to update component", PROMPTLY)
            .await
            .expect("the host says so");
        let driver = deployment.driver().await.expect("the caller");
        for _ in 0..20 {
            assert_eq!(driver.call_version().await.expect("an answer"), 1);
        }
    }
}

/// wadm scales in this way, each time. It is an update only when the reference is another one, and takes effect when it is
/// nothing else.
#[tokio::test]
async fn a_component_that_is_scaled_may_be_updated_with_it() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        let (control, host) = (deployment.control(), deployment.host());
        let driver = deployment.driver().await.expect("the caller");
        let operation = format!("component.scale.{}", host.id());
        for (guest, count, version) in [(Guest::Callee, 7, 1), (Guest::CalleeV2, 7, 2)] {
            let reference = guest.reference().expect("a reference");
            let command = serde_json::json!({
                "host_id": host.id(),
                "component_id": CALLEE,
                "component_ref": reference,
                "count": count,
                "allow_update": true,
            });
            control
                .request(&operation, &command)
                .await
                .expect("accepted");
            let done = async {
                loop {
                    let inventory = control.inventory(host.id()).await.expect("an inventory");
                    let component = inventory.component(CALLEE).expect("it runs");
                    let scaled = component.max_instances == count;
                    let updated = component.image_ref == reference;
                    if scaled
                        && updated
                        && driver.call_version().await.expect("an answer") == version
                    {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(PROMPTLY, done)
                .await
                .unwrap_or_else(|_| panic!("over {route:?} there are not {count} of {version}"));
        }
    }
}
