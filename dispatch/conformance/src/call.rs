//! Cases for a whole call: root streams, and how each side learns how it went.

use std::future::pending;
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use futures::future::join_all;
use futures::StreamExt as _;
use inhost_dispatch::{Backend, CallError, Route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::Index as _;

use crate::support::{
    call_error, limit, pattern, read_all, Host, Taken, FUNCTION, INSTANCE, PREFIX,
};
use crate::Make;

/// A caller that sends half of its parameters and then nothing keeps its callee for a while only,
/// and learns why. One whose nested streams are slow is at work.
pub async fn a_callee_waits_for_parameters_only_for_so_long<B: Backend>(make: impl Make<B>) {
    const LIMIT: Duration = Duration::from_secs(3);
    tokio::time::pause();
    let host = Host::patient(make(limit(64)), LIMIT);
    for written in ["", "then"] {
        let ((mut params, _results), (_outgoing, mut incoming)) = host.call("first, ").await;
        let nested = params.index(&[0]).expect("a path");
        params.write_all(written.as_bytes()).await.expect("write");
        let mut nested_incoming = incoming.index(&[0]).expect("a path");
        let begun = Instant::now();
        let mut received = Vec::new();
        let error = incoming.read_to_end(&mut received).await;
        let error = error.expect_err("the rest does not come");
        assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
        assert_eq!(received, format!("first, {written}").as_bytes());
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(matches!(call_error(&error), CallError::ParamsLate { .. }));
        assert!(error.to_string().contains(FUNCTION), "{error}");
        let read = read_all(&mut nested_incoming);
        let waited = tokio::time::timeout(2 * LIMIT, read).await;
        waited.expect_err("it may take as long as it likes");
        drop(nested);
    }
}

/// A caller that sends more than its callee can hold is told so when it does, wherever the bytes come from. What nested
/// streams bring does not count.
pub async fn a_callee_takes_no_more_bytes_of_parameters_than_it_can_hold<B: Backend>(
    make: impl Make<B>,
) {
    const LIMIT: usize = 16;
    let host = Host::small(make(limit(64)), LIMIT);
    for (first, then) in [("sixteen bytes, s", "o"), ("", "sixteen bytes, so")] {
        let ((mut params, mut results), (outgoing, mut incoming)) = host.call(first).await;
        let nested = params.index(&[0]).expect("a path");
        params.write_all(then.as_bytes()).await.expect("write");
        let error = read_all(&mut incoming).await.expect_err("one too many");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let is_said = matches!(call_error(&error), CallError::ParamsTooLarge { .. });
        assert!(is_said && error.to_string().contains(FUNCTION), "{error}");
        assert!(
            error.to_string().contains("--max-linear-memory-bytes"),
            "{error}"
        );
        drop((nested, outgoing, incoming));
        let error = read_all(&mut results).await.expect_err("it did not run");
        assert!(error.to_string().contains(FUNCTION), "{error}");
    }
    let ((mut params, _results), (_outgoing, mut incoming)) = host.call("sixteen ").await;
    let mut nested = params.index(&[0]).expect("a path");
    let mut nested_incoming = incoming.index(&[0]).expect("a path");
    params.write_all(b"bytes, s").await.expect("write");
    params.shutdown().await.expect("shutdown");
    nested.write_all(&pattern(4 * LIMIT)).await.expect("write");
    nested.shutdown().await.expect("shutdown");
    let read = read_all(&mut incoming).await.expect("they fit");
    assert_eq!(read.len(), LIMIT);
    let read = read_all(&mut nested_incoming).await.expect("a stream");
    assert_eq!(read.len(), 4 * LIMIT);
}

/// The main path: context untouched, parameters from the invocation and from the stream, results back.
pub async fn a_call_carries_context_parameters_and_results<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut served = host.serve().await;
    let (mut params, mut results) = host.invoke("the context", "first, ").await.expect("invoke");
    assert_eq!(
        (params.route(), results.route()),
        (Route::Local, Route::Local)
    );
    params.write_all(b"then").await.expect("write");
    params.shutdown().await.expect("shutdown");

    let (context, mut outgoing, mut incoming) = served.next().await.expect("an invocation");
    assert_eq!(context, "the context");
    assert_eq!(
        read_all(&mut incoming).await.expect("parameters"),
        b"first, then"
    );
    outgoing.write_all(b"results").await.expect("write");
    outgoing.shutdown().await.expect("shutdown");

    assert_eq!(read_all(&mut results).await.expect("results"), b"results");
    assert_eq!(read_all(&mut results).await.expect("the end again"), b"");
    let calls = host.local.calls();
    assert_eq!((calls.local, calls.remote), (1, 0));
}

/// Neither side has to finish before the other goes on.
pub async fn parameters_and_results_stream_at_the_same_time<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(4)));
    let ((mut params, mut results), (mut outgoing, mut incoming)) = host.call("").await;
    for turn in 0..100_u8 {
        params.write_all(&[turn; 3]).await.expect("write");
        let mut bytes = [0; 3];
        incoming.read_exact(&mut bytes).await.expect("read");
        outgoing.write_all(&bytes).await.expect("write back");
        results.read_exact(&mut bytes).await.expect("read back");
        assert_eq!(bytes, [turn; 3]);
    }
}

/// A callee that drops its results, as it does when it traps, is told apart from one that finished.
pub async fn a_callee_that_ends_without_results_is_an_error_that_names_it<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), callee) = host.call("").await;
    drop(callee);
    for _ in 0..2 {
        let error = read_all(&mut results).await.expect_err("the callee failed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
        let text = error.to_string();
        for name in [PREFIX, INSTANCE, FUNCTION] {
            assert!(text.contains(name), "`{name}` is missing in: {text}");
        }
    }
}

/// What it wrote before it failed is read first.
pub async fn a_callee_that_fails_after_some_results_gives_them_first<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (mut outgoing, incoming)) = host.call("").await;
    outgoing.write_all(b"half of it").await.expect("write");
    drop((outgoing, incoming));
    let mut bytes = Vec::new();
    let error = results
        .read_to_end(&mut bytes)
        .await
        .expect_err("the callee failed");
    assert_eq!(bytes, b"half of it");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
}

/// A caller that waits for results does not go on waiting.
pub async fn a_caller_that_waits_learns_at_once_that_the_callee_failed<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), callee) = host.call("").await;
    let mut read = task::spawn(read_all(&mut results));
    assert_pending!(read.poll());
    drop(callee);
    assert!(read.is_woken());
    let error = assert_ready!(read.poll()).expect_err("the callee failed");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
}

/// However it ends: it panics, it is aborted, or it returns and drops what it has.
pub async fn a_callee_whose_task_ends_in_any_way_has_failed<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    for way in ["panic", "abort", "return"] {
        let ((_params, mut results), (mut outgoing, incoming)) = host.call("").await;
        let callee = tokio::spawn(async move {
            let _incoming = incoming;
            outgoing.write_all(b"half of it").await.expect("write");
            match way {
                // Not with `panic!`: that prints.
                "panic" => resume_unwind(Box::new(())),
                "abort" => pending().await,
                _ => {}
            }
        });
        let mut half = [0; 10];
        results.read_exact(&mut half).await.expect("read");
        assert_eq!(&half, b"half of it");
        if way == "abort" {
            callee.abort();
        }
        let error = read_all(&mut results).await.expect_err("the callee failed");
        assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
        assert_eq!(callee.await.is_ok(), way == "return");
    }
}

/// A callee that has shut its results down has finished, whatever becomes of it and of its other streams.
pub async fn a_callee_that_goes_after_shutdown_has_finished<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (mut outgoing, incoming)) = host.call("").await;
    let nested = outgoing.index(&[0]).expect("nested");
    outgoing.write_all(b"all").await.expect("write");
    outgoing.shutdown().await.expect("shutdown");
    drop((outgoing, incoming, nested));
    assert_eq!(read_all(&mut results).await.expect("results"), b"all");
}

/// Shutting down something else does not make results of nothing.
pub async fn a_callee_that_shuts_down_a_nested_result_only_has_failed<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((mut params, mut results), (outgoing, incoming)) = host.call("").await;
    let mut nested = outgoing.index(&[0]).expect("nested");
    nested.shutdown().await.expect("shutdown");
    params.shutdown().await.expect("shutdown");
    drop((outgoing, incoming, nested));
    let error = read_all(&mut results).await.expect_err("the callee failed");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
}

/// Parameters that are dropped end, as they do over NATS.
pub async fn a_caller_that_ends_its_parameters_by_dropping_them_is_a_clean_end<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((mut params, _results), (_outgoing, mut incoming)) = host.call("first, ").await;
    params.write_all(b"then").await.expect("write");
    drop(params);
    assert_eq!(
        read_all(&mut incoming).await.expect("parameters"),
        b"first, then"
    );
}

/// The side that is left learns that no one reads, and which call it was.
pub async fn a_callee_whose_caller_is_gone_gets_a_broken_pipe<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let (caller, (mut outgoing, mut incoming)) = host.call("").await;
    let mut read = task::spawn(read_all(&mut incoming));
    assert_pending!(read.poll());
    drop(caller);
    assert!(read.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("parameters end"), b"");
    drop(read);
    let error = outgoing.write_all(b"results").await.expect_err("write");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(matches!(call_error(&error), CallError::ReaderGone { .. }));
    assert!(error.to_string().contains(FUNCTION), "{error}");
}

/// The other way round: what a caller writes, when its callee has gone.
pub async fn a_caller_whose_callee_is_gone_gets_a_broken_pipe<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((mut params, _results), callee) = host.call("").await;
    params.write_all(b"read by no one").await.expect("write");
    drop(callee);
    let error = params.write_all(b"lost").await.expect_err("write");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(matches!(call_error(&error), CallError::ReaderGone { .. }));
    for name in [PREFIX, INSTANCE, FUNCTION] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// On the roots, in both directions: a side that waits for room does not go on waiting for one that is gone.
pub async fn a_side_that_waits_for_room_learns_that_the_other_is_gone<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(4)));
    for caller_leaves in [true, false] {
        let ((params, results), (outgoing, incoming)) = host.call("").await;
        let (mut writer, leaving) = match caller_leaves {
            true => (outgoing, (params, results, incoming)),
            false => (params, (outgoing, results, incoming)),
        };
        let mut write = task::spawn(writer.write_all(b"more than four"));
        assert_pending!(write.poll());
        drop(leaving);
        assert!(write.is_woken());
        let error = assert_ready!(write.poll()).expect_err("no one reads");
        assert!(matches!(call_error(&error), CallError::ReaderGone { .. }));
    }
}

/// Whatever state the call is in, reading and writing nothing is ready, takes nothing and fails at nothing.
pub async fn empty_io_on_a_call_returns_at_once<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(4)));
    let ((mut params, mut results), (mut outgoing, mut incoming)) = host.call("first").await;
    let nested = (
        params.index(&[0]).expect("writer"),
        results.index(&[0]).expect("reader"),
    );
    let (mut nested_params, mut nested_results) = nested;
    params.write_all(b"full").await.expect("write");
    for out in [&mut params, &mut outgoing, &mut nested_params] {
        assert_eq!(
            assert_ready!(task::spawn(out.write(b"")).poll()).expect("write"),
            0
        );
    }
    for incoming in [&mut results, &mut incoming, &mut nested_results] {
        assert_eq!(
            assert_ready!(task::spawn(incoming.read(&mut [])).poll()).expect("read"),
            0
        );
    }
    params.shutdown().await.expect("shutdown");
    assert_eq!(
        read_all(&mut incoming).await.expect("parameters"),
        b"firstfull"
    );
    drop((outgoing, incoming));
    // The callee has failed, and no one reads.
    assert_eq!(
        assert_ready!(task::spawn(results.read(&mut [])).poll()).expect("read"),
        0
    );
    assert_eq!(
        assert_ready!(task::spawn(nested_params.write(b"")).poll()).expect("write"),
        0
    );
    assert!(results.read(&mut [0]).await.is_err());
}

/// Each stream of a call has the backend's limit for itself. What came with the invocation does not count.
pub async fn each_stream_of_a_call_has_a_limit_of_its_own<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(10)));
    let ((params, _results), (outgoing, incoming)) = host.call(pattern(100)).await;
    let nested = params.index(&[0]).expect("writer");
    let never_asked_for = outgoing.index(&[0]).expect("writer");
    for mut out in [params, outgoing, nested, never_asked_for] {
        let written = assert_ready!(task::spawn(out.write(&[0; 100])).poll()).expect("write");
        assert_eq!(written, 10);
        assert_pending!(task::spawn(out.write(b"x")).poll());
    }
    drop(incoming);
}

/// Sends back what it gets, until it has no caller any more.
async fn echo<B: Backend>((_, mut outgoing, mut incoming): Taken<B>) {
    tokio::io::copy(&mut incoming, &mut outgoing)
        .await
        .expect("copy");
    outgoing.shutdown().await.expect("shutdown");
}

/// Calls `echo` with `sent`: the first part with the invocation, the rest over the stream.
async fn call_echo<B: Backend>(host: &Host<B>, sent: &[u8]) -> Vec<u8> {
    let (first, rest) = sent.split_at(sent.len() / 2);
    let (mut params, mut results) = host.invoke("", first.to_vec()).await.expect("invoke");
    let write = async {
        params.write_all(rest).await.expect("write");
        params.shutdown().await.expect("shutdown");
    };
    let (received, ()) = tokio::join!(read_all(&mut results), write);
    received.expect("results")
}

/// Nothing depends on a payload fitting a buffer.
pub async fn payloads_larger_than_every_buffer_pass<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1000)));
    let served = host.serve().await;
    let callee = tokio::spawn(served.for_each(echo));
    let sent = pattern(1 << 20);
    assert_eq!(call_echo(&host, &sent).await, sent);
    callee.abort();
}

/// Nor with many callers at once, all of them waiting for room.
pub async fn many_callers_with_payloads_larger_than_every_buffer_pass<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(100)));
    let served = host.serve().await;
    let callee = tokio::spawn(served.for_each_concurrent(None, echo));
    let sent = pattern(16 << 10);
    for received in join_all((0..64).map(|_| call_echo(&host, &sent))).await {
        assert_eq!(received, sent);
    }
    assert_eq!(host.local.calls().local, 64);
    callee.abort();
}

/// A read that is given up has taken no bytes.
pub async fn a_cancelled_read_loses_nothing<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (mut outgoing, _incoming)) = host.call("").await;
    for _ in 0..2 {
        assert_pending!(task::spawn(results.read(&mut [0; 8])).poll());
    }
    outgoing.write_all(b"onetwo").await.expect("write");
    outgoing.shutdown().await.expect("shutdown");
    assert_eq!(read_all(&mut results).await.expect("results"), b"onetwo");
}
