//! Ours and the published crate's understand each other, whoever calls.
#![allow(missing_docs)]

mod support;

use std::io;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use support::{
    call_echo, ours, payload, promptly, serve_echo, settle, stock, until, upstream_may_lose_calls,
    Server, GROUP, INSTANCE, NO_PATHS,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wrpc_transport::{Index as _, Invoke, Serve};
use wrpc_transport_nats::nats::open_calls;

/// What is wrong when a test does not end.
const OPEN: &str = "calls are still open";

/// Runs a test for ours with ours, ours with upstream's, and upstream's with ours. Afterwards nothing of ours is open.
///
/// Upstream's loses a call now and then, so a test with it on one side may be tried again.
macro_rules! both_ways {
    ($($name:ident => $test:ident;)*) => { $(mod $name {
        use super::*;

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn ours_calls_ours() {
            let server = Server::start().await;
            let (caller, callee) = (server.connect().await, server.connect().await);
            promptly($test(ours(&caller, None), ours(&callee, Some(GROUP)), &callee)).await;
            until(OPEN, || open_calls(&caller) + open_calls(&callee) == 0).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn ours_calls_upstream() {
            upstream_may_lose_calls(|| async {
                let server = Server::start().await;
                let (caller, callee) = (server.connect().await, server.connect().await);
                $test(ours(&caller, None), stock(&callee, Some(GROUP)).await, &callee).await;
                until(OPEN, || open_calls(&caller) == 0).await;
            }).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn upstream_calls_ours() {
            upstream_may_lose_calls(|| async {
                let server = Server::start().await;
                let (caller, callee) = (server.connect().await, server.connect().await);
                $test(stock(&caller, None).await, ours(&callee, Some(GROUP)), &callee).await;
                until(OPEN, || open_calls(&callee) == 0).await;
            }).await;
        }
    })* };
}

both_ways! {
    parameters_and_results_of_any_size_arrive => any_size;
    a_stream_at_a_path_arrives_beside_the_root => nested;
    headers_arrive => headers;
    no_one_serving_is_not_connected => no_responders;
    a_callee_that_is_dropped_ends_its_results => callee_dropped;
}

type Cx = Option<HeaderMap>;
type Nats = Arc<async_nats::Client>;

async fn any_size<I: Invoke<Context = Cx>, S: Serve<Context = Cx> + 'static>(
    caller: I,
    callee: S,
    nats: &Nats,
) {
    let _callee = serve_echo(callee, None).await;
    settle(nats).await;
    // 1 MiB is the largest message, and some of it goes to the subject of the answer.
    let mib = 1 << 20;
    for len in [
        0,
        1,
        1000,
        mib - 100,
        mib - 1,
        mib,
        mib + 1,
        3 * mib + 7,
        16 * mib,
    ] {
        let params = payload(len);
        let results = call_echo(&caller, params.clone()).await.expect("echo");
        assert!(results == params, "{len} bytes are not what came back");
    }
}

async fn nested<I: Invoke<Context = Cx>, S: Serve<Context = Cx> + 'static>(
    caller: I,
    callee: S,
    nats: &Nats,
) {
    const PATH: &[usize] = &[0, 3];
    let _callee = serve_echo(callee, Some(PATH)).await;
    settle(nats).await;
    let paths = [[Some(0), Some(3)]];
    // Enough for many messages at the root, so that the path has to wait for neither.
    let (mut root, mut results) = caller
        .invoke(None, INSTANCE, "echo", payload(2 << 20), paths)
        .await
        .expect("invoke");
    let mut deep = root.index(PATH).expect("the nested parameters");
    let mut deep_results = results.index(PATH).expect("the nested results");
    let write = async {
        root.shutdown().await.expect("the end of the root");
        for part in payload(2 << 20).chunks(100_000) {
            deep.write_all(part).await.expect("nested parameters");
        }
        deep.shutdown().await.expect("the end of the path");
    };
    let read = async {
        let (mut at_root, mut at_path) = (Vec::new(), Vec::new());
        results.read_to_end(&mut at_root).await.expect("results");
        deep_results
            .read_to_end(&mut at_path)
            .await
            .expect("nested");
        (at_root, at_path)
    };
    let ((), (at_root, at_path)) = tokio::join!(write, read);
    assert!(at_root == payload(2 << 20) && at_path == payload(2 << 20));

    // A path that was not announced, or was opened before, is an error and no wait.
    for path in [&[1][..], PATH] {
        let mut other = results.index(path).expect("a stream without bytes");
        let error = other.read_u8().await.expect_err("no such stream");
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{path:?}: {error}");
    }
}

async fn headers<I: Invoke<Context = Cx>, S: Serve<Context = Cx> + 'static>(
    caller: I,
    callee: S,
    nats: &Nats,
) {
    let calls = callee.serve(INSTANCE, "run", []).await.expect("serve");
    let mut calls = std::pin::pin!(calls);
    settle(nats).await;
    let mut sent = HeaderMap::new();
    sent.insert("source-id", "caller");
    sent.append("twice", "a");
    sent.append("twice", "b");
    // The longer the headers, the less of the parameters fits beside them.
    sent.insert("long", "x".repeat(5000).as_str());
    let params = payload((1 << 20) + 1);
    let (mut outgoing, mut results) = caller
        .invoke(
            Some(sent.clone()),
            INSTANCE,
            "run",
            params.clone(),
            NO_PATHS,
        )
        .await
        .expect("invoke");
    let (context, mut answer, mut incoming) = calls.next().await.expect("a call").expect("taken");
    assert_eq!(context, Some(sent));
    let mut bytes = Vec::new();
    let (end, read) = tokio::join!(outgoing.shutdown(), incoming.read_to_end(&mut bytes));
    end.and(read.map(drop)).expect("parameters");
    assert!(bytes == params);
    answer.shutdown().await.expect("the end of the results");
    assert_eq!(results.read(&mut [0]).await.expect("no results"), 0);
}

async fn no_responders<I: Invoke<Context = Cx>, S: Serve<Context = Cx> + 'static>(
    caller: I,
    _: S,
    _: &Nats,
) {
    let (mut outgoing, _results) = caller
        .invoke(None, INSTANCE, "echo", Bytes::new(), NO_PATHS)
        .await
        .expect("the call is sent");
    let error = outgoing.shutdown().await.expect_err("no one is there");
    // What the host looks at: the root cause.
    let error = anyhow::Error::from(error).context("outer");
    let root = error.root_cause().downcast_ref::<io::Error>();
    let kind = root.expect("an I/O error").kind();
    assert_eq!(kind, io::ErrorKind::NotConnected, "{error:#}");
    let text = format!("{error:#}");
    assert!(text.contains("not connected"), "{text}");
}

async fn callee_dropped<I: Invoke<Context = Cx>, S: Serve<Context = Cx> + 'static>(
    caller: I,
    callee: S,
    nats: &Nats,
) {
    let calls = callee.serve(INSTANCE, "run", []).await.expect("serve");
    let mut calls = std::pin::pin!(calls);
    settle(nats).await;
    let (mut outgoing, mut results) = caller
        .invoke(None, INSTANCE, "run", Bytes::new(), NO_PATHS)
        .await
        .expect("invoke");
    let (_, mut answer, _) = calls.next().await.expect("a call").expect("taken");
    outgoing
        .shutdown()
        .await
        .expect("the end of the parameters");
    answer.write_all(b"half").await.expect("results");
    drop(answer);
    let mut bytes = Vec::new();
    results.read_to_end(&mut bytes).await.expect("an end");
    assert_eq!(bytes, b"half");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_dropped_disturbs_no_later_call() {
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let _callee = serve_echo(ours(&far, Some(GROUP)), None).await;
    settle(&far).await;
    promptly(drop_calls(ours(&near, None))).await;
    until(OPEN, || open_calls(&near) + open_calls(&far) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_dropped_disturbs_no_later_call_to_upstream() {
    upstream_may_lose_calls(|| async {
        let server = Server::start().await;
        let (near, far) = (server.connect().await, server.connect().await);
        let _callee = serve_echo(stock(&far, Some(GROUP)).await, None).await;
        settle(&far).await;
        drop_calls(ours(&near, None)).await;
        until(OPEN, || open_calls(&near) == 0).await;
    })
    .await;
}

/// Upstream tells a callee nothing when it is dropped before the answer, so the callee's end stays open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_upstream_that_is_dropped_disturbs_no_later_call() {
    upstream_may_lose_calls(|| async {
        let server = Server::start().await;
        let (near, far) = (server.connect().await, server.connect().await);
        let _callee = serve_echo(ours(&far, Some(GROUP)), None).await;
        settle(&far).await;
        drop_calls(stock(&near, None).await).await;
    })
    .await;
}

async fn drop_calls<I: Invoke<Context = Cx>>(caller: I) {
    for size in [0, 1, 2 << 20] {
        for _ in 0..20 {
            let (outgoing, results) = caller
                .invoke(None, INSTANCE, "echo", payload(size), NO_PATHS)
                .await
                .expect("invoke");
            drop((outgoing, results));
        }
        let results = call_echo(&caller, payload(3)).await.expect("a later call");
        assert!(results == payload(3));
    }
}

#[tokio::test]
async fn a_version_that_no_one_serves_is_an_error_that_names_those_that_are_served_here() {
    let server = Server::start().await;
    let nats = server.connect().await;
    let _callee = serve_echo(ours(&nats, Some(GROUP)), None).await;
    let other = INSTANCE.replace("1.0.0", "2.0.0");
    let caller = ours(&nats, None);
    let call = async {
        let invoked = caller.invoke(None, &other, "echo", Bytes::new(), NO_PATHS);
        let (_params, mut results) = invoked.await?;
        results.read_to_end(&mut Vec::new()).await?;
        anyhow::Ok(())
    };
    let error = promptly(call).await.expect_err("no one serves it");
    let error = format!("{error:#}");
    for part in [&*other, "no one serves the function", INSTANCE] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}
