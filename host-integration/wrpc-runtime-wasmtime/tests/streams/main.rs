//! Streams of `wasi:io` in the parameters and results of calls between two components, each run as the host runs it.

mod ends;
mod feed;
mod flow;
mod guests;
mod hostile;
mod hosts;
mod limits;

use hosts::Pair;
use inhost_conformance::support::within_a_minute;

/// Runs a test that must not hang with a caller and a callee.
async fn soon(test: impl AsyncFnOnce(Pair) -> anyhow::Result<()>) {
    within_a_minute("a call with streams", async {
        let pair = Pair::new().await.expect("caller and callee");
        test(pair).await.expect("the call");
    })
    .await;
}
