//! A function without results: its caller may go on before it has run, but run it does.

use std::time::Duration;

use futures::future::join_all;
use inhost_testbed::{Deployment, Guest, NatsServer, Tally, CALLEE};
use tokio::task::JoinSet;

use crate::support::load::Pair;
use crate::support::{calls, nats, promptly, queued, until, Hosts as _, Route, PROMPTLY};

/// Calls that run one after another, each with a call of the tally over NATS inside.
const ALL_OF_THEM: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_call_without_results_is_carried_out_over_each_route() {
    let nats = nats().await;
    for route in Route::OURS {
        let Pair { deployment, tally } = Pair::start(&nats, route.host(), 10).await;
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
        let Pair { deployment, tally } = Pair::start(&nats, host, 1).await;
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

/// How many calls wait at the callee.
const WAITING: u64 = 20;

/// Calls without results whose callers have gone on, and that wait at the callee: its only instance
/// is taken for a while.
async fn waiting(nats: &std::sync::Arc<NatsServer>, route: Route) -> (Deployment, Tally) {
    let Pair { deployment, tally } = Pair::start(nats, route.host(), 1).await;
    let driver = deployment.driver().await.expect("the caller");
    let taken = driver.clone();
    tokio::spawn(async move { taken.call_wait(3000).await });
    until("the call has not begun", async || {
        calls(deployment.host()).await.0 > 0
    })
    .await;
    for id in 0..WAITING {
        driver.call_note(id).await.expect("the caller goes on");
    }
    (deployment, tally)
}

#[tokio::test]
async fn calls_without_results_that_wait_when_their_callee_is_scaled_are_carried_out_once() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let (deployment, tally) = waiting(&nats, route).await;
        let callee = Guest::Callee.reference().expect("the callee");
        let control = deployment.control();
        for count in [2, 3] {
            let scaled = control.scale(deployment.host().id(), &callee, CALLEE, count);
            scaled.await.expect("scaled");
        }
        tally
            .wait_for_total(WAITING, ALL_OF_THEM)
            .await
            .unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));
        assert!(tally.repeated().is_empty(), "over {route:?}");
        let status = deployment.host().status().await.expect("a listing");
        assert_eq!(lost(&status), 0, "over {route:?}: {status}");
    }
}

#[tokio::test]
async fn calls_without_results_that_no_one_is_left_to_carry_out_are_counted_and_named_once() {
    const NAMED: &str = "their callers do not learn of it";
    let nats = nats().await;
    for route in Route::LOCAL {
        let (deployment, tally) = waiting(&nats, route).await;
        let host = deployment.host();
        let stopped = deployment.control().stop_component(host.id(), CALLEE).await;
        stopped.expect("stopped");
        let line = host.wait_for_log(NAMED, PROMPTLY).await.expect("a warning");
        for part in ["WARN", CALLEE, "note", "calls=20"] {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
        let lines = host.log_lines();
        let named = lines.iter().filter(|line| line.contains(NAMED));
        assert_eq!(named.count(), 1, "over {route:?}");
        let status = host.status().await.expect("a listing");
        assert_eq!(lost(&status), WAITING, "over {route:?}: {status}");
        assert_eq!(tally.total(), 0, "over {route:?}");
    }
}

/// With `require` and a full queue, callers wait for room.
#[tokio::test]
async fn callers_without_results_that_wait_for_room_learn_that_their_callee_is_stopped() {
    const ROOM: [&str; 2] = ["--local-dispatch=require", "--local-queue-invocations=4"];
    let nats = nats().await;
    for route in Route::LOCAL {
        let host = route
            .host()
            .args(ROOM)
            .args(["--local-dispatch-target=tally=prefer"]);
        let Pair { deployment, tally } = Pair::start(&nats, host, 1).await;
        let (host, driver) = (deployment.host(), deployment.driver().await);
        let driver = driver.expect("the caller");
        let taken = driver.clone();
        tokio::spawn(async move { taken.call_wait(3000).await });
        until("the call has not begun", async || calls(host).await.0 > 0).await;
        let mut notes = JoinSet::new();
        for id in 0..WAITING {
            let driver = driver.clone();
            notes.spawn(async move { driver.call_note(id).await });
        }
        // One more has been taken, and waits for the instance.
        until("they do not wait", async || {
            queued(host).await == WAITING - 1
        })
        .await;
        let stopped = deployment.control().stop_component(host.id(), CALLEE).await;
        stopped.expect("stopped");
        let told = promptly("a caller waits", notes.join_all()).await;
        let told = told.iter().filter(|it| it.is_err()).count() as u64;
        let status = host.status().await.expect("a listing");
        // Those that were in the queue or taken have been told that all is well.
        assert_eq!(
            (told, lost(&status)),
            (WAITING - 5, 5),
            "over {route:?}: {status}"
        );
        assert_eq!(tally.total(), 0, "over {route:?}");
    }
}

/// How many calls were lost, of all functions.
fn lost(status: &serde_json::Value) -> u64 {
    let functions = status["functions"].as_array().expect("a list");
    let lost = functions.iter().map(|it| it["failures"]["lost"].as_u64());
    lost.map(|lost| lost.expect("a number")).sum()
}
