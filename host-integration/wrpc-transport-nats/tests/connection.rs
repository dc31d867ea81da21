//! What calls see when the connection goes, and comes back.
#![allow(missing_docs)]

mod support;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use support::{
    call_echo, ours, payload, promptly, serve_echo, settle, until, Server, GROUP, INSTANCE,
    NO_PATHS,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wrpc_transport::{Invoke as _, Serve as _};
use wrpc_transport_nats::nats::{open_calls, CallFailed, Failure};

/// What is in the error at the root of `error`.
fn failure(error: &anyhow::Error) -> &CallFailed {
    let root = error.root_cause().downcast_ref::<io::Error>();
    let inner = root.and_then(io::Error::get_ref);
    inner
        .and_then(|inner| inner.downcast_ref())
        .unwrap_or_else(|| panic!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_work_again_after_the_server_was_killed_and_restarted() {
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let _callee = serve_echo(ours(&far, Some(GROUP)), None).await;
    settle(&far).await;
    let caller = ours(&near, None);
    call_echo(&caller, payload(10)).await.expect("before");
    for _ in 0..2 {
        server.kill();
        server.restart().await;
        // The callee may be back after the caller; then no one serves the function yet.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let call =
                tokio::time::timeout(Duration::from_secs(8), call_echo(&caller, payload(10)));
            match call.await {
                Ok(Ok(results)) => break assert!(results == payload(10)),
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
        }
    }
    // And not just once, from the same client or another.
    for _ in 0..100 {
        let results = promptly(call_echo(&ours(&near, None), payload(10))).await;
        assert!(results.expect("after") == payload(10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_flight_fails_when_the_connection_is_gone_for_ten_seconds() {
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let calls = ours(&far, None).serve(INSTANCE, "run", []).await;
    let mut calls = std::pin::pin!(calls.expect("serve"));
    settle(&far).await;
    let (mut outgoing, mut results) = ours(&near, None)
        .invoke(None, INSTANCE, "run", Bytes::from("in"), NO_PATHS)
        .await
        .expect("invoke");
    let (_, mut answer, mut incoming) = calls.next().await.expect("a call").expect("taken");
    outgoing.write_all(b"more").await.expect("parameters");
    answer.write_all(b"half").await.expect("results");
    let mut half = [0; 4];
    promptly(results.read_exact(&mut half))
        .await
        .expect("what was sent before");
    let mut arrived = [0; 6];
    promptly(incoming.read_exact(&mut arrived))
        .await
        .expect("what was sent before");

    let started = Instant::now();
    server.kill();
    for reader in [&mut results, &mut incoming] {
        let error = promptly(reader.read_u8()).await.expect_err("no connection");
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        let error = error.into();
        let failed = failure(&error);
        assert!(matches!(failed.failure(), Failure::Lost(_)), "{failed}");
        let text = failed.to_string();
        for part in [support::CALLEE, INSTANCE, "run", "may or may not have run"] {
            assert!(text.contains(part), "{text}");
        }
    }
    let took = started.elapsed();
    assert!(took > Duration::from_secs(9), "an interruption of {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_connection_fails_after_five_seconds_and_is_not_sent_later() {
    let server = Server::start().await;
    let (near, far) = (server.connect().await, server.connect().await);
    let calls = ours(&far, None).serve(INSTANCE, "echo", []).await;
    let mut calls = std::pin::pin!(calls.expect("serve"));
    server.kill();
    until("the client has not noticed", || {
        near.connection_state() != async_nats::connection::State::Connected
    })
    .await;
    let started = Instant::now();
    let error = promptly(call_echo(&ours(&near, None), "x")).await;
    let error = error.expect_err("no connection");
    assert!(started.elapsed() > Duration::from_secs(4));
    let failed = failure(&error);
    assert!(matches!(failed.failure(), Failure::NotSent(_)), "{failed}");
    assert!(failed.to_string().contains("nothing ran"), "{failed}");

    // A call that is made while it is down and sees it come back is made. The one before is not.
    let again = tokio::spawn({
        let caller = ours(&near, None);
        async move {
            loop {
                match call_echo(&caller, "y").await {
                    // This side was back before the other one, so the server knew of no one who serves it.
                    Err(error) if format!("{error:#}").contains("not connected") => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    called => return called,
                }
            }
        }
    });
    server.restart().await;
    let (_, mut answer, mut incoming) = promptly(calls.next())
        .await
        .expect("a call")
        .expect("taken");
    let mut params = Vec::new();
    promptly(incoming.read_to_end(&mut params))
        .await
        .expect("parameters");
    assert_eq!(params, b"y");
    answer.write_all(&params).await.expect("results");
    answer.shutdown().await.expect("the end");
    let results = promptly(again).await.expect("no panic").expect("echo");
    assert_eq!(results, b"y");
}

#[test]
fn a_runtime_that_shuts_down_ends_its_calls_and_leaves_the_connection_usable() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    };
    // The connection lives on a runtime of its own.
    let connection = runtime();
    let (server, near, far) = connection.block_on(async {
        let server = Server::start().await;
        let (near, far) = (server.connect().await, server.connect().await);
        (server, near, far)
    });
    let _callee = connection.block_on(async {
        let callee = serve_echo(ours(&far, Some(GROUP)), None).await;
        settle(&far).await;
        callee
    });
    let caller = ours(&near, None);
    let first = runtime();
    first
        .block_on(promptly(call_echo(&caller, payload(10))))
        .expect("on the first");
    // A call that no one answers, whose messages would be delivered on the first runtime.
    let mut results = first.block_on(async {
        let calls = ours(&far, None).serve(INSTANCE, "silent", []).await;
        std::mem::forget(calls.expect("serve"));
        settle(&far).await;
        let call = caller.invoke(None, INSTANCE, "silent", Bytes::new(), NO_PATHS);
        call.await.expect("invoke").1
    });
    first.shutdown_background();

    let second = runtime();
    second.block_on(promptly(async {
        let error = results.read_u8().await.expect_err("no one delivers");
        let error = error.into();
        assert_eq!(failure(&error).failure(), &Failure::Closed);
        let results = call_echo(&caller, payload(10)).await;
        assert!(results.expect("on the second") == payload(10));
        let results = call_echo(&ours(&near, None), payload(10)).await;
        assert!(results.expect("by another client") == payload(10));
    }));
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_inbox_is_left_when_the_last_user_is_dropped() {
    let server = Server::start().await;
    let nats = server.connect().await;
    let callee = serve_echo(ours(&nats, None), None).await;
    settle(&nats).await;
    call_echo(&ours(&nats, None), "x").await.expect("echo");
    assert!(Arc::strong_count(&nats) > 1);
    drop(callee);
    until("someone holds the connection", || {
        Arc::strong_count(&nats) == 1
    })
    .await;
    assert_eq!(open_calls(&nats), 0);
}
