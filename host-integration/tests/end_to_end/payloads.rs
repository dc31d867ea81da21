//! Payloads of every size pass, whatever fits a buffer.

use std::time::Duration;

use futures::future::join_all;
use inhost_testbed::{Guest, Workload, CALLEE, CALLER};
use tokio::task::JoinSet;

use crate::support::{assert_calls, calls, nats, on_routes, queued, until, Hosts as _, Route};

on_routes! { LOCAL:
    payloads_up_to_16_mib_are_echoed_over_each_backend,
    payloads_larger_than_every_buffer_never_hang_with_one_caller_or_64,
    a_queue_that_is_full_spills_over_and_no_call_is_lost,
}

async fn payloads_up_to_16_mib_are_echoed_over_each_backend(route: Route) -> anyhow::Result<()> {
    let deployment = route.start_pair_on(&nats().await).await;
    // A debug build takes its time to turn 16 MiB into one value a byte, four times over.
    let driver = deployment.driver().await?;
    let driver = driver.with_deadline(Duration::from_secs(300));
    for bytes in [0, 1, 1 << 16, 1 << 20, 1 << 24] {
        driver
            .run(Workload::Echo, bytes, 1)
            .await
            .unwrap_or_else(|error| panic!("{bytes} bytes over {route:?}: {error:?}"));
    }
    assert_calls(route, deployment.host(), 5).await;
    Ok(())
}

async fn payloads_larger_than_every_buffer_never_hang_with_one_caller_or_64(
    route: Route,
) -> anyhow::Result<()> {
    let host = route.host().args(["--local-buffer-bytes", "100"]);
    let deployment = host.start_pair_on(&nats().await).await;
    for callers in [1, 64] {
        let runs = (0..callers).map(|_| deployment.driver_run(Workload::Echo, 20_000, 2));
        for run in join_all(runs).await {
            run.unwrap_or_else(|error| panic!("{callers} callers over {route:?}: {error:?}"));
        }
    }
    assert_calls(route, deployment.host(), 2 + 128).await;
    Ok(())
}

async fn a_queue_that_is_full_spills_over_and_no_call_is_lost(route: Route) -> anyhow::Result<()> {
    let host = route.host().args(["--local-queue-invocations", "1"]);
    let deployment = host.start_on(&nats().await).await;
    // One instance at a time.
    deployment.deploy(Guest::Callee, CALLEE, 1).await?;
    deployment.deploy(Guest::Caller, CALLER, 10).await?;
    deployment.link(CALLER, CALLEE, "echo").await?;
    let driver = deployment.driver().await?;
    let mut answers = JoinSet::new();
    let mut start = |ms| {
        let driver = driver.clone();
        answers.spawn(async move { (ms, driver.call_wait(ms).await) });
    };
    // The first call runs, the second has been taken and waits for its turn, the third waits in the queue.
    for (made, waiting, ms) in [(1, 0, 2000), (2, 0, 1), (3, 1, 1)] {
        start(ms);
        let host = deployment.host();
        until(&format!("call {made} is not where it waits"), async || {
            calls(host).await.0 == made && queued(host).await == waiting
        })
        .await;
    }
    // What comes then goes over NATS, to this same host.
    for _ in 0..3 {
        start(1);
    }
    while let Some(ended) = answers.join_next().await {
        let (ms, answer) = ended.expect("it does not panic");
        assert_eq!(answer.expect("every call is answered"), ms);
    }
    let (local, remote) = calls(deployment.host()).await;
    assert_eq!(local + remote, 6);
    assert!(local >= 3 && remote >= 1, "{local} local, {remote} remote");
    Ok(())
}
