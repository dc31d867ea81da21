//! A component is updated to a new version while it is called.
//!
//! On a stock host the old version goes on, and cannot be stopped any more: see `src/updates` of the host.

use std::time::Duration;

use inhost_testbed::{Deployment, Driver, Guest, CALLEE, DEFAULT_COUNT};

use crate::support::callers::{version_over_nats, Callers};
use crate::support::rounds::rounds;
use crate::support::{component, nats, until, until_not_listed, Hosts as _, Route, PROMPTLY};

const CALLERS: usize = 32;

/// How many callers there are where calls are compared.
const MANY: usize = 64;

/// How many calls are answered before and after a command that is looked at.
const CALLS: u64 = 200;

/// By how much the longest call of an update may be longer than that of a scale. Both are the
/// longest of some thousand calls on a machine that does something else, too. What it is there to
/// find is a call that is held, which takes seconds.
const PAUSE: Duration = Duration::from_millis(250);

#[tokio::test]
async fn after_an_update_no_call_reaches_the_old_version() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        let (control, host) = (deployment.control(), deployment.host());
        let callers = Callers::start(&deployment.driver().await.expect("the caller"), CALLERS);
        callers.answers(CALLS).await;
        let reference = Guest::CalleeV2.reference().expect("a reference");
        control
            .update(host.id(), &reference, CALLEE)
            .await
            .expect("updated");
        callers.answered_by(2).await;
        callers.answers(CALLS).await;
        let answers = callers.end().await;
        answers.assert_changed(1, 2, &format!("over {route:?}"));

        // From elsewhere, too.
        let peer = deployment.peer(CALLEE).await.expect("a peer");
        for _ in 0..20 {
            let version = version_over_nats(&peer).await;
            assert_eq!(version.expect("an answer"), 2, "over NATS");
        }

        // The host has the number of instances that it had, and can stop what it runs.
        until("the number of instances is not as before", async || {
            let inventory = control.inventory(host.id()).await.expect("an inventory");
            let component = inventory.component(CALLEE).expect("it runs");
            component.max_instances == DEFAULT_COUNT
        })
        .await;
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

/// A scale and an update of the callee under the same load, in turn, and the longest call during each.
///
/// While the host takes an update it compiles an image, and while it takes a scale it does not. So
/// that the load is the same one, an image is compiled during the scale, too: that of a component
/// which no one calls.
async fn scales_and_updates(driver: &Driver, deployment: &Deployment, what: &str) -> [Duration; 2] {
    const OTHER: &str = "other";
    let (control, host) = (deployment.control(), deployment.host());
    let guests = [Guest::Callee, Guest::CalleeV2];
    let references = guests.map(|it| it.reference().expect("a reference"));
    deployment
        .deploy(Guest::Callee, OTHER, 1)
        .await
        .expect("deployed");
    let mut longest = [Duration::ZERO; 2];
    for round in 0..rounds(2) {
        let (old, new) = (round % 2, (round + 1) % 2);
        let versions = [old, new].map(|it| it as u32 + 1);

        let callers = Callers::start(driver, MANY);
        callers.answers(CALLS).await;
        let count = DEFAULT_COUNT + 1 + round as u32 % 2;
        let (scaled, updated) = tokio::join!(
            control.scale(host.id(), &references[old], CALLEE, count),
            control.update(host.id(), &references[new], OTHER),
        );
        scaled.and(updated).expect("both are done");
        callers.answers(CALLS).await;
        let answers = callers.end().await;
        answers.assert_all_of(versions[0], what);
        longest[0] = longest[0].max(answers.longest());

        let callers = Callers::start(driver, MANY);
        callers.answers(CALLS).await;
        let updated = control.update(host.id(), &references[new], CALLEE).await;
        updated.expect("updated");
        callers.answered_by(versions[1]).await;
        callers.answers(CALLS).await;
        let answers = callers.end().await;
        answers.assert_changed(versions[0], versions[1], what);
        longest[1] = longest[1].max(answers.longest());
    }
    longest
}

/// With the mode of the callee, as only a host that carries calls in memory for someone makes an update take effect.
#[tokio::test]
async fn in_each_mode_an_update_under_many_callers_takes_no_call_longer_than_a_scale() {
    let nats = nats().await;
    for mode in ["prefer", "require", "off"] {
        let host = Route::Duplex.host().lattice(mode);
        let host = host.arg(format!("--local-dispatch-target={CALLEE}={mode}"));
        let deployment = host.start_pair_on(&nats).await;
        let driver = deployment.driver().await.expect("the caller");
        let [scale, update] = scales_and_updates(&driver, &deployment, mode).await;
        assert!(
            update <= scale + PAUSE,
            "{mode}: a call took {update:?} during an update, and {scale:?} during a scale"
        );
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

/// There is nothing to put in its place, here or on a stock host. It goes on until it is stopped or updated.
#[tokio::test]
async fn an_update_to_what_exports_nothing_leaves_the_old_version() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        let (control, host) = (deployment.control(), deployment.host());
        let folder = tempfile::tempdir().expect("a folder");
        let nothing = component(folder.path(), "nothing.wasm", "(component)");
        let updated = control.update(host.id(), &nothing, CALLEE).await;
        updated.expect("updated");
        until("it is not on record", async || {
            let inventory = control.inventory(host.id()).await.expect("an inventory");
            let component = inventory.component(CALLEE).expect("it runs");
            component.image_ref == nothing
        })
        .await;
        let driver = deployment.driver().await.expect("the caller");
        let callers = Callers::start(&driver, CALLERS);
        callers.answers(20 * CALLS).await;
        let answers = callers.end().await;
        answers.assert_all_of(1, &format!("over {route:?}"));
        let new = Guest::CalleeV2.reference().expect("a reference");
        let updated = control.update(host.id(), &new, CALLEE).await;
        updated.expect("updated");
        until("the new version does not serve", async || {
            driver.call_version().await.expect("an answer") == 2
        })
        .await;
        let stopped = control.stop_component(host.id(), CALLEE).await;
        stopped.expect("stopped");
        until_not_listed(host, CALLEE).await;
        let answered = driver.call_version().await;
        answered.expect_err("no version serves after a stop");
    }
}

/// wadm scales in this way, each time. It is an update only when the reference is another one, and
/// takes effect when it is nothing else.
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
            let what = format!("over {route:?} there are not {count} of {version}");
            until(&what, async || {
                let inventory = control.inventory(host.id()).await.expect("an inventory");
                let component = inventory.component(CALLEE).expect("it runs");
                let scaled = component.max_instances == count;
                let updated = component.image_ref == reference;
                scaled && updated && driver.call_version().await.expect("an answer") == version
            })
            .await;
        }
    }
}
