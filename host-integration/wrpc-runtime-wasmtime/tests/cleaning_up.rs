//! Callers and callees with a stream between them, and the end of their time. Tests of their own:
//! whether guests take turns is chosen once in a process.

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "streams/feed.rs"]
mod feed;
#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "streams/guests.rs"]
mod guests;
#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "streams/hosts.rs"]
mod hosts;

use std::time::Duration;

use inhost_conformance::support::within_a_minute;
use wrpc_runtime_wasmtime::in_ticks;

use hosts::Pair;

/// The least that there is.
const LIMIT: Duration = Duration::from_secs(1);

/// It has waited for as long as its caller, and what it has seen of the time is in the first ticks
/// that it gets to see: so it must not be taken for one that has computed until then.
#[tokio::test]
async fn a_callee_that_waited_until_the_time_of_its_caller_was_over_cleans_up() {
    within_a_minute("a call with a stream", async {
        let mut pair = Pair::with_limit(LIMIT).await.expect("caller and callee");
        let (param, stream) = pair.param().expect("a stream");
        pair.release();
        param.chunk("a");
        let called = pair.call_for("ingest", &[stream], &mut []).await;
        let error = format!("{:#}", called.expect_err("the stream does not end"));
        assert!(error.contains("timed out"), "{error}");
        pair.ended().await.expect("it goes on to its end");
        for chunk in ["a", "cut"] {
            assert_eq!(pair.seen.try_recv().expect("it has read"), chunk);
        }
    })
    .await;
}

#[tokio::test]
async fn a_sender_without_results_that_waits_for_more_learns_that_the_time_of_its_callee_is_over() {
    within_a_minute("a call with a stream", async {
        let mut pair = Pair::with_limit(LIMIT).await.expect("caller and callee");
        pair.set_timeout(in_ticks(60 * LIMIT));
        let (param, stream) = pair.param().expect("a stream");
        param.chunk("a");
        // It waits, and reads nothing.
        let called = pair.call_for("ingest", &[stream], &mut []).await;
        let error = format!("{:#}", called.expect_err("it was not read"));
        assert!(error.contains("maximum execution time"), "{error}");
        pair.ended().await.expect_err("it was ended");
    })
    .await;
}
