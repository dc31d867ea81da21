//! Streams of `wasi:io` in the parameters and results of calls between two components, each run as the host runs it.

mod ends;
mod feed;
mod flow;
mod guests;
mod hostile;
mod hosts;
mod limits;

use inhost_conformance::support::within_a_minute;

/// Runs a test that must not hang.
async fn soon<T>(test: impl std::future::Future<Output = anyhow::Result<T>>) {
    within_a_minute("a call with streams", async {
        test.await.map(drop).expect("the call");
    })
    .await;
}
