//! Callers that wait for room at a busy component, with `require`: the host has all else to do as
//! well, and no caller loses its patience before its time is over.

use std::time::{Duration, Instant};

use futures::future::join_all;
use inhost_testbed::{get_text, Guest, Link, CALLEE, CALLER, HTTP};

use crate::http::SERVER_FEATURE;
use crate::support::{calls, nats, on_routes, queued, until, Hosts as _, Route};

on_routes! { LOCAL:
    a_host_answers_at_once_while_a_hundred_callers_wait_for_room,
}

/// How many callers wait. One more has the only instance, and the host may have taken another one.
const WAITING: u32 = 100;

/// For how long the only instance is taken. It is longer than the ten seconds that the host library
/// gives an invocation.
const TAKEN: Duration = Duration::from_secs(11);

/// How long anything else may take meanwhile, of a few tries.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The shortest time that `what` took. Whoever needs a lock that is held would wait each time.
async fn shortest(what: impl AsyncFn()) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        what().await;
        shortest = shortest.min(start.elapsed());
    }
    shortest
}

async fn a_host_answers_at_once_while_a_hundred_callers_wait_for_room(
    route: Route,
) -> anyhow::Result<()> {
    let host = route
        .host()
        .args(SERVER_FEATURE)
        .env("WASMCLOUD_LOCAL_DISPATCH", "require")
        .args(["--local-queue-invocations", "1"]);
    let deployment = host.start_on(&nats().await).await;
    let host = deployment.host();
    for (guest, id, count) in [
        (Guest::Callee, CALLEE, 1),
        (Guest::Callee, "idle", 10),
        (Guest::Caller, CALLER, 2 * WAITING),
    ] {
        deployment.deploy(guest, id, count).await?;
    }
    let server = deployment.deploy_http(host).await?;
    for (source, target) in [(CALLER, CALLEE), (HTTP, "idle")] {
        deployment.link(source, target, "echo").await?;
    }
    let driver = deployment.driver().await?;
    let driver = driver.with_deadline(3 * TAKEN);
    let taken = tokio::spawn({
        let driver = driver.clone();
        async move { driver.call_wait(TAKEN.as_millis() as u32).await }
    });
    until("the call has not begun", async || calls(host).await.0 > 0).await;
    let waiting: Vec<_> = (0..WAITING)
        .map(|n| {
            let driver = driver.clone();
            tokio::spawn(async move { driver.ping(n).await })
        })
        .collect();
    until("the calls do not wait", async || {
        queued(host).await + 2 >= u64::from(WAITING)
    })
    .await;
    // One of those that wait has room in the queue.
    let full = host.status().await?["queue_full"].as_u64();
    assert!(full >= Some(u64::from(WAITING) - 3), "{full:?}");

    let control = deployment.control();
    let put = shortest(async || {
        let link = Link::new(CALLER, "idle", "inhost:demo", "echo");
        let put = control.link_put(&link.named("other")).await;
        put.expect("it is put");
    });
    let inventory = shortest(async || {
        control.inventory(host.id()).await.expect("an inventory");
    });
    let request = shortest(async || {
        let answer = get_text(server, "/ping?n=1").await.expect("an answer");
        assert_eq!(answer.trim(), "2");
    });
    let took = [put.await, inventory.await, request.await];
    assert!(
        took.iter().all(|took| *took < AT_ONCE),
        "over {route:?}, a link, an inventory and a request took {took:?}"
    );
    assert!(!taken.is_finished(), "the callee was free before");

    taken.await??;
    for (n, answer) in (0..).zip(join_all(waiting).await) {
        let answer = answer
            .expect("no panic")
            .expect("it has waited for its turn");
        assert_eq!(answer, n + 1);
    }
    let status = host.status().await?;
    assert_eq!(status["calls"]["refused"], 0, "{status}");
    Ok(())
}
