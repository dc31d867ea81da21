//! Many calls at once: none is lost, and none waits for another.
#![allow(missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{stream, StreamExt as _};
use support::{
    call_echo, ours, payload, promptly, serve_echo, settle, until, Server, GROUP, INSTANCE,
    NO_PATHS,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wrpc_transport::{Invoke as _, Serve as _};
use wrpc_transport_nats::nats::open_calls;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_thousand_calls_none_is_lost_and_nothing_stays_behind() {
    const CALLS: usize = 20_000;
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let _callee = serve_echo(ours(&far, Some(GROUP)), None).await;
    settle(&far).await;
    stream::iter(0..CALLS)
        .map(|i| {
            let near = Arc::clone(&near);
            tokio::spawn(async move {
                // As a host does: a client for each call.
                let params = i.to_string();
                let results = call_echo(&ours(&near, None), params.clone()).await;
                assert_eq!(results.expect("echo"), params.into_bytes());
            })
        })
        .buffer_unordered(64)
        .for_each(|call| async { promptly(async { call.expect("a call") }).await })
        .await;
    until("calls are still open", || {
        open_calls(&near) == 0 && open_calls(&far) == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_in_no_ones_way_and_loses_nothing() {
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let caller = ours(&near, None);
    let _callee = serve_echo(ours(&far, None), None).await;
    let callee = ours(&far, None);
    let slow = callee.serve(INSTANCE, "slow", []).await.expect("serve");
    let mut slow = std::pin::pin!(slow);
    settle(&far).await;

    // Two calls whose parameters and results are many messages that no one reads.
    let (mut outgoing, mut results) = caller
        .invoke(None, INSTANCE, "slow", Bytes::new(), NO_PATHS)
        .await
        .expect("invoke");
    let (_, mut answer, mut incoming) = slow.next().await.expect("a call").expect("taken");
    for _ in 0..1000 {
        outgoing.write_all(b"parameter").await.expect("write");
        answer.write_all(b"result").await.expect("write");
    }
    outgoing.shutdown().await.expect("the end");
    answer.shutdown().await.expect("the end");

    for _ in 0..100 {
        let results = promptly(call_echo(&caller, payload(2000))).await;
        assert!(results.expect("a neighbour") == payload(2000));
    }
    let mut bytes = Vec::new();
    promptly(incoming.read_to_end(&mut bytes))
        .await
        .expect("parameters");
    assert_eq!(bytes, b"parameter".repeat(1000));
    bytes.clear();
    promptly(results.read_to_end(&mut bytes))
        .await
        .expect("results");
    assert_eq!(bytes, b"result".repeat(1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_at_a_path_that_any_index_fits_is_delivered() {
    use wrpc_transport::Index as _;
    let server = Server::start().await;
    let nats = server.connect().await;
    let any: [Box<[Option<usize>]>; 1] = [Box::new([Some(0), None])];
    let calls = ours(&nats, None).serve(INSTANCE, "run", any.to_vec()).await;
    let mut calls = std::pin::pin!(calls.expect("serve"));
    settle(&nats).await;
    let (mut outgoing, _results) = ours(&nats, None)
        .invoke(None, INSTANCE, "run", Bytes::new(), NO_PATHS)
        .await
        .expect("invoke");
    let mut seventh = outgoing.index(&[0, 7]).expect("the nested parameters");
    let (_, _answer, incoming) = calls.next().await.expect("a call").expect("taken");
    promptly(async {
        seventh.write_all(b"seven").await.expect("write");
        seventh.shutdown().await.expect("the end");
        outgoing.shutdown().await.expect("the end");
    })
    .await;
    let mut bytes = Vec::new();
    let mut incoming = incoming.index(&[0, 7]).expect("the nested parameters");
    promptly(incoming.read_to_end(&mut bytes))
        .await
        .expect("read");
    assert_eq!(bytes, b"seven");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_stream_that_is_dropped_before_the_answer_is_ended_by_it() {
    use wrpc_transport::Index as _;
    let server = Server::start().await;
    let nats = server.connect().await;
    let paths: [Box<[Option<usize>]>; 1] = [Box::new([Some(0)])];
    let calls = ours(&nats, None)
        .serve(INSTANCE, "run", paths.to_vec())
        .await;
    let mut calls = std::pin::pin!(calls.expect("serve"));
    settle(&nats).await;
    let (outgoing, results) = ours(&nats, None)
        .invoke(None, INSTANCE, "run", Bytes::from("first"), NO_PATHS)
        .await
        .expect("invoke");
    drop(outgoing.index(&[0]).expect("the nested parameters"));
    drop((outgoing, results));
    let (_, _answer, mut incoming) = calls.next().await.expect("a call").expect("taken");
    let mut nested = incoming.index(&[0]).expect("the nested parameters");
    let mut bytes = Vec::new();
    promptly(incoming.read_to_end(&mut bytes))
        .await
        .expect("an end");
    assert_eq!(bytes, b"first");
    promptly(nested.read_to_end(&mut bytes))
        .await
        .expect("an end");
    assert_eq!(bytes, b"first");
}

/// How upstream fares under the same load, to compare by hand: `cargo test ... -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is about upstream, and fails as often as not"]
async fn upstream_loses_calls() {
    const CALLS: usize = 20_000;
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let _callee = serve_echo(support::stock(&far, Some(GROUP)).await, None).await;
    settle(&far).await;
    let lost = stream::iter(0..CALLS)
        .map(|i| {
            let near = Arc::clone(&near);
            tokio::spawn(async move {
                let caller = support::stock(&near, None).await;
                let call = call_echo(&caller, i.to_string());
                tokio::time::timeout(Duration::from_secs(5), call).await
            })
        })
        .buffer_unordered(64)
        .filter(|call| {
            let lost = !matches!(call, Ok(Ok(Ok(_))));
            async move { lost }
        })
        .count()
        .await;
    assert_eq!(lost, 0, "of {CALLS} calls");
}
