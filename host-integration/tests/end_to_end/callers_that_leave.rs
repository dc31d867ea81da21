//! Calls that wait at a callee when their callers go away: they are skipped, and nothing of them is left.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use inhost_testbed::{Driver, NatsServer, CALLEE, CALLER, ECHO};
use tokio::task::JoinHandle;

use crate::support::load::Pair;
use crate::support::{calls, nats, on_routes, promptly, queued, until, Hosts as _, Route};

on_routes! { LOCAL:
    calls_that_wait_are_skipped_when_the_time_of_their_callers_is_over,
    a_call_that_waits_for_an_instance_does_not_begin_when_its_caller_has_gone,
    calls_that_wait_are_answered_when_their_caller_is_stopped,
}

/// How long a caller may run.
const EXECUTION: Duration = Duration::from_secs(2);

/// For how long the only instance of the callee would be taken. Its time is over two seconds after
/// that of the callers that have begun when it had.
const TAKEN: Duration = Duration::from_secs(60);

/// How many calls wait.
const WAITING: u64 = 12;

/// The callee, whose only instance is taken, and its caller.
struct Taken {
    pair: Pair,
    /// The test itself has taken the instance, over NATS: the callee does not learn when its time is over.
    by: JoinHandle<anyhow::Result<(u32,)>>,
    /// The count that the host has accepted, and for which it waits for an instance.
    accepted: u64,
}

async fn start(nats: &Arc<NatsServer>, route: Route) -> Taken {
    let host = route
        .host()
        .arg(format!("--max-execution-time-ms={}", EXECUTION.as_millis()))
        .arg(format!("--local-queue-invocations={WAITING}"));
    let pair = Pair::start(nats, host, 1).await;
    let peer = pair.deployment.peer(CALLEE).await.expect("a peer");
    let driver = pair.deployment.driver().await.expect("the caller");
    let by =
        tokio::spawn(async move { peer.call(ECHO, "wait", (TAKEN.as_millis() as u32,)).await });
    // The instance is taken once a call is not answered any more.
    let mut accepted = 1000;
    let soon = Duration::from_millis(250);
    while let Ok(answer) = tokio::time::timeout(soon, driver.call_count(accepted)).await {
        assert_eq!(answer.expect("an answer"), 1);
        assert!(!by.is_finished(), "the test did not take the instance");
        accepted += 1;
    }
    assert_eq!(pair.tally.count(accepted), 0, "it has run");
    Taken { pair, by, accepted }
}

/// Waits until so many calls wait at the callee. The host itself holds one more, for which it waits for an instance.
async fn until_queued(pair: &Pair, waiting: u64) {
    let host = pair.deployment.host();
    until("the calls do not wait", async || {
        queued(host).await + 2 >= waiting
    })
    .await;
}

/// Calls in tasks of their own.
fn calls_of<T: Send + 'static, F>(
    driver: &Driver,
    call: impl Fn(Driver, u64) -> F,
) -> Vec<JoinHandle<anyhow::Result<T>>>
where
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    (0..WAITING)
        .map(|id| tokio::spawn(call(driver.clone(), id)))
        .collect()
}

async fn calls_that_wait_are_skipped_when_the_time_of_their_callers_is_over(
    route: Route,
) -> anyhow::Result<()> {
    let Taken { pair, by, accepted } = start(&nats().await, route).await;
    let before = pair.tally.total();
    let host = pair.deployment.host();
    let driver = pair.deployment.driver().await?;
    let waiting = calls_of(
        &driver,
        |driver, id| async move { driver.call_count(id).await },
    );
    until_queued(&pair, WAITING).await;
    for answer in join_all(waiting).await {
        answer
            .expect("no panic")
            .expect_err("its time is over before the callee is free");
    }
    assert!(!by.is_finished(), "the callee was free before");
    by.await?.expect_err("its time is over, too");
    // Its end comes a moment before its instance is free and the queue is gone through.
    until("what waited is still queued", async || {
        queued(host).await == 0
    })
    .await;

    // The next call is served at once, and it is the only one that ran.
    let answer = promptly("the instance is not free", driver.call_count(WAITING)).await;
    assert_eq!(answer.expect("an answer"), 1);
    // The one that the host had accepted before is the subject of the next test.
    let ran = pair.tally.total() - before - pair.tally.count(accepted);
    assert_eq!(ran, 1);
    assert_eq!(queued(host).await, 0);

    // Nothing is left of what waited: the queue has room for as many again.
    let waiting = calls_of(
        &driver,
        |driver, id| async move { driver.ping(id as u32).await },
    );
    for answer in join_all(waiting).await {
        answer.expect("no panic").expect("an answer");
    }
    let status = host.status().await?;
    assert_eq!(status["calls"]["spilled"], 0, "{status}");
    Ok(())
}

async fn a_call_that_waits_for_an_instance_does_not_begin_when_its_caller_has_gone(
    route: Route,
) -> anyhow::Result<()> {
    let Taken { pair, by, accepted } = start(&nats().await, route).await;
    by.await?.expect_err("its time is over, too");
    let driver = pair.deployment.driver().await?;
    assert_eq!(driver.call_count(1).await?, 1);
    assert_eq!(pair.tally.count(accepted), 0, "it ran");
    Ok(())
}

async fn calls_that_wait_are_answered_when_their_caller_is_stopped(
    route: Route,
) -> anyhow::Result<()> {
    // As on a stock host: stopping a component lets what it does come to its end.
    let pair = Pair::start(&nats().await, route.host(), 1).await;
    let (deployment, host) = (&pair.deployment, pair.deployment.host());
    let driver = deployment.driver().await?;
    let taken = tokio::spawn({
        let driver = driver.clone();
        async move { driver.call_wait(1000).await }
    });
    until("the call has not begun", async || calls(host).await.0 > 0).await;
    let waiting = calls_of(
        &driver,
        |driver, id| async move { driver.ping(id as u32).await },
    );
    until_queued(&pair, WAITING).await;
    deployment
        .control()
        .stop_component(host.id(), CALLER)
        .await?;
    until("the caller is still served", async || {
        let served = deployment.served(CALLER).await;
        served.expect("the server answers") == 0
    })
    .await;
    driver.ping(1).await.expect_err("the caller is stopped");
    for (id, answer) in (0..).zip(join_all(waiting).await) {
        let answer = answer.expect("no panic").expect("an answer");
        assert_eq!(answer, id + 1);
    }
    taken.await??;
    assert_eq!(queued(host).await, 0);
    Ok(())
}
