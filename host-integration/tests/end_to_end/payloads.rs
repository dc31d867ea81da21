//! Payloads of every size pass, whatever fits a buffer.

use std::time::Duration;

use futures::future::join_all;
use inhost_testbed::Workload;

use crate::routes::{assert_calls, nats, Route};

#[tokio::test]
async fn payloads_up_to_16_mib_are_echoed_over_each_backend() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = route.start_pair_on(&nats).await;
        // A debug build takes its time to turn 16 MiB into one value a byte, four times over.
        let driver = deployment.driver().await.expect("the caller");
        let driver = driver.with_deadline(Duration::from_secs(300));
        for bytes in [0, 1, 1 << 16, 1 << 20, 1 << 24] {
            driver
                .run(Workload::Echo, bytes, 1)
                .await
                .unwrap_or_else(|error| panic!("{bytes} bytes over {route:?}: {error:?}"));
        }
        assert_calls(route, deployment.host(), 5).await;
    }
}

#[tokio::test]
async fn payloads_larger_than_every_buffer_never_hang_with_one_caller_or_64() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let host = route.host().args(["--local-buffer-bytes", "100"]);
        let deployment = inhost_testbed::Deployment::start_on(nats.clone(), host)
            .await
            .expect("the host starts");
        deployment.deploy_pair().await.expect("deployed and linked");
        for callers in [1, 64] {
            let runs = (0..callers).map(|_| deployment.driver_run(Workload::Echo, 20_000, 2));
            for run in join_all(runs).await {
                run.unwrap_or_else(|error| panic!("{callers} callers over {route:?}: {error:?}"));
            }
        }
        assert_calls(route, deployment.host(), 2 + 128).await;
    }
}

#[tokio::test]
async fn a_queue_that_is_full_spills_over_and_no_call_is_lost() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let host = route.host().args(["--local-queue-invocations", "1"]);
        let deployment = inhost_testbed::Deployment::start_on(nats.clone(), host)
            .await
            .expect("the host starts");
        deployment.deploy_pair().await.expect("deployed and linked");
        let runs = (0..32).map(|_| deployment.driver_run(Workload::Ping, 0, 50));
        for run in join_all(runs).await {
            run.expect("every call is answered");
        }
        let (local, remote) = crate::routes::calls(deployment.host()).await;
        assert_eq!(local + remote, 32 * 50);
        assert!(local > 0, "no call was local over {route:?}");
    }
}
