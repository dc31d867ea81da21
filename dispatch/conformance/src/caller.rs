//! Cases for what a callee knows of its caller, and tells it.

use std::error::Error as _;
use std::sync::Arc;

use futures::StreamExt as _;
use inhost_dispatch::{Backend, CallError, Caller};
use tokio::io::AsyncWriteExt as _;
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{call_error, limit, read_all, Host};
use crate::Make;

/// The caller gets the callee's reason, as the source of an error that says which call it was.
pub async fn a_callee_says_why_it_failed<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (outgoing, incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    caller.failed("it divided by zero");
    caller.failed("and that is not all");
    drop((outgoing, incoming));
    let error = read_all(&mut results).await.expect_err("the callee failed");
    let error = call_error(&error);
    assert!(matches!(error, CallError::CalleeFailed { .. }), "{error}");
    let cause = error.source().expect("a cause").to_string();
    assert_eq!(cause, "it divided by zero");
    assert!(
        !error.to_string().contains("log"),
        "no need to look: {error}"
    );
}

/// A cause is of no use to a caller that has got its results.
pub async fn a_cause_does_not_spoil_finished_results<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (mut outgoing, _incoming)) = host.call("").await;
    outgoing.write_all(b"results").await.expect("write");
    outgoing.shutdown().await.expect("shutdown");
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    caller.failed("cleaning up failed");
    drop(outgoing);
    assert_eq!(read_all(&mut results).await.expect("results"), b"results");
}

/// Whichever stream the caller drops last, the callee is woken.
pub async fn a_callee_learns_that_its_caller_has_gone<B: Backend>(make: impl Make<B>) {
    for results_first in [true, false] {
        let host = Host::new(make(limit(64)));
        let ((params, results), (outgoing, _incoming)) = host.call("").await;
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        let mut gone = task::spawn(caller.gone());
        assert_pending!(gone.poll());
        if results_first {
            drop(results);
            assert_pending!(gone.poll());
            drop(params);
        } else {
            drop(params);
            assert_pending!(gone.poll());
            drop(results);
        }
        assert!(gone.is_woken());
        assert_ready!(gone.poll());
        assert_ready!(task::spawn(caller.gone()).poll(), "and it stays so");
    }
}

/// A caller that reads its results to the end and leaves has not gone too early.
pub async fn a_caller_that_has_its_results_is_not_gone<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, mut results), (mut outgoing, _incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    let mut gone = task::spawn(caller.gone());
    assert_pending!(gone.poll());
    outgoing.write_all(b"results").await.expect("write");
    outgoing.shutdown().await.expect("shutdown");
    assert_eq!(read_all(&mut results).await.expect("results"), b"results");
    drop((params, results));
    assert_pending!(gone.poll());
}

/// The caller of a function without results sends its parameters and leaves; the function runs all the same.
pub async fn a_call_whose_caller_wants_no_results_runs<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut served = host.serve().await;
    let (mut params, results) = host.invoke("one way", "parameters").await.expect("invoke");
    params.shutdown().await.expect("shutdown");
    drop((params, results));
    let (context, outgoing, mut incoming) = served.next().await.expect("an invocation");
    assert_eq!(context, "one way");
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    assert_pending!(task::spawn(caller.gone()).poll());
    assert_eq!(
        read_all(&mut incoming).await.expect("parameters"),
        b"parameters"
    );
}

/// A caller that waited for results and then left has gone, though its parameters were complete.
pub async fn a_caller_that_gave_up_waiting_is_gone<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((mut params, mut results), (outgoing, _incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    params.shutdown().await.expect("shutdown");
    let mut read = task::spawn(read_all(&mut results));
    assert_pending!(read.poll());
    drop(read);
    drop((params, results));
    assert_ready!(task::spawn(caller.gone()).poll());
}

/// Two threads that drop the two last streams at once: one of them tells the callee.
pub async fn streams_dropped_at_once_are_not_missed<B: Backend>(make: impl Make<B>) {
    for _ in 0..200 {
        let host = Host::new(make(limit(64)));
        let ((params, results), (outgoing, _incoming)) = host.call("").await;
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let other = Arc::clone(&barrier);
        let one = tokio::task::spawn_blocking(move || {
            other.wait();
            drop(params);
        });
        let two = tokio::task::spawn_blocking(move || {
            barrier.wait();
            drop(results);
        });
        caller.gone().await;
        one.await.expect("drop");
        two.await.expect("drop");
    }
}

/// The streams of a remote call, and other streams, have no caller that could be told.
pub async fn only_local_calls_have_callers<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, _results), (_outgoing, _incoming)) = host.call("").await;
    assert!(Caller::of(&params).is_none(), "that is the caller itself");
    assert!(Caller::of(&tokio::io::sink()).is_none());
}
