//! Cases for the way to the callee: the route, the queue of the endpoint, and what happens to calls that wait.

use std::io;
use std::num::NonZeroUsize;
use std::task::Poll;

use bytes::Bytes;
use futures::StreamExt as _;
use inhost_dispatch::{Backend, CallError, Mode, QueueLimits, Route};
use tokio::io::AsyncWriteExt as _;
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::{Index as _, Serve as _};

use crate::support::{call_error, limit, pattern, read_all, Host, FUNCTION, INSTANCE};
use crate::Make;

fn limits(invocations: usize, bytes: usize) -> QueueLimits {
    QueueLimits {
        invocations: NonZeroUsize::new(invocations).expect("not zero"),
        bytes,
    }
}

/// The remote transport answers, and its classification stays.
pub async fn a_function_that_no_one_serves_goes_to_the_remote<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let error = host
        .invoke("context", "params")
        .await
        .expect_err("no one serves it");
    let root = error
        .root_cause()
        .downcast_ref::<io::Error>()
        .expect("an I/O error");
    assert_eq!(root.kind(), io::ErrorKind::NotConnected);
    let expected = [("context".into(), Bytes::from_static(b"params"))];
    assert_eq!(host.remote.invoked(), expected);
    assert_eq!(host.local.calls().remote, 1);
}

/// The stock behaviour: nothing is registered, and nothing is looked up.
pub async fn mode_off_uses_the_remote_only<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Off, QueueLimits::default());
    host.remote.set_reachable();
    let mut served = host.serve().await;
    assert!(host.local.served().is_empty());
    let (params, results) = host.invoke("context", "").await.expect("invoke");
    assert_eq!(
        (params.route(), results.route()),
        (Route::Remote, Route::Remote)
    );
    assert_pending!(task::spawn(served.next()).poll());
    let calls = host.local.calls();
    assert_eq!((calls.local, calls.remote), (0, 1));
}

/// `prefer` does not queue without bound.
pub async fn a_full_queue_spills_over_to_the_remote<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Prefer, limits(2, 1000));
    host.remote.set_reachable();
    let mut served = host.serve().await;
    let _first = host.invoke("1", "").await.expect("invoke");
    let _second = host.invoke("2", "").await.expect("invoke");
    assert_eq!(host.local.served()[0].queued, 2);
    let third = host.invoke("3", "the third").await.expect("invoke");
    assert_eq!(third.0.route(), Route::Remote);
    let expected = [("3".into(), Bytes::from_static(b"the third"))];
    assert_eq!(host.remote.invoked(), expected);
    // Room again, and local again.
    let first = served.next().await.expect("an invocation");
    assert_eq!(first.0, "1");
    let fourth = host.invoke("4", "").await.expect("invoke");
    assert_eq!(fourth.0.route(), Route::Local);
    let calls = host.local.calls();
    assert_eq!((calls.local, calls.remote, calls.spilled), (3, 0, 1));
}

/// The bound is one of memory, too. One invocation larger than the bound still passes.
pub async fn parameter_bytes_fill_a_queue_too<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Prefer, limits(100, 10));
    host.remote.set_reachable();
    let mut served = host.serve().await;
    let first = host.invoke("", vec![0; 1000]).await.expect("invoke");
    assert_eq!(first.0.route(), Route::Local);
    let second = host.invoke("", vec![0; 1]).await.expect("invoke");
    assert_eq!(second.0.route(), Route::Remote);
    let _first = served.next().await.expect("an invocation");
    let third = host.invoke("", vec![0; 10]).await.expect("invoke");
    assert_eq!(third.0.route(), Route::Local);
}

/// The bound holds for what comes later as well: it waits until its call is taken.
pub async fn what_is_written_to_a_call_that_waits_counts_in_the_queue<B: Backend>(
    make: impl Make<B>,
) {
    const BYTES: usize = 1024;
    let host = Host::with(make(limit(64 * 1024)), Mode::Prefer, limits(1024, BYTES));
    host.remote.set_reachable();
    let mut served = host.serve().await;
    let chunk = pattern(600);
    let (mut held, mut calls) = (0, Vec::new());
    loop {
        let (mut params, results) = host.invoke("", "").await.expect("invoke");
        if params.route() != Route::Local {
            break;
        }
        let mut nested = params.index(&[0]).expect("a path");
        for stream in [&mut params, &mut nested] {
            while let Poll::Ready(written) = task::spawn(stream.write(&chunk)).poll() {
                held += written.expect("someone reads");
            }
        }
        calls.push((params, nested, results));
    }
    assert_eq!((held, calls.len()), (BYTES, 1));
    // It is let go on when it is taken, and leaves all of its room.
    let (mut params, mut nested, _results) = calls.remove(0);
    let mut waits = [
        task::spawn(params.write(&chunk)),
        task::spawn(nested.write(&chunk)),
    ];
    for wait in &mut waits {
        assert_pending!(wait.poll());
    }
    let _taken = served.next().await.expect("an invocation");
    for wait in &mut waits {
        assert!(wait.is_woken());
        assert_eq!(assert_ready!(wait.poll()).expect("someone reads"), 600);
    }
    let next = host.invoke("", vec![0; BYTES]).await.expect("invoke");
    assert_eq!(next.0.route(), Route::Local);
}

/// No one waits for it, so it does not run.
pub async fn a_queued_call_whose_caller_has_gone_is_skipped<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut served = host.serve().await;
    drop(host.invoke("gone", "").await.expect("invoke"));
    let _waiting = host.invoke("waiting", "").await.expect("invoke");
    let (context, ..) = served.next().await.expect("an invocation");
    assert_eq!(context, "waiting");
    // A caller that is done with its parameters still waits for its results.
    let (mut params, _results) = host.invoke("reading", "").await.expect("invoke");
    params.shutdown().await.expect("shutdown");
    drop(params);
    let (context, ..) = served.next().await.expect("an invocation");
    assert_eq!(context, "reading");
}

/// It takes up neither a place nor bytes any more, though the callee has not come to it.
pub async fn a_queued_call_whose_caller_has_gone_leaves_its_room<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Prefer, limits(2, 1000));
    host.remote.set_reachable();
    let _served = host.serve().await;
    let first = host.invoke("first", vec![0; 500]).await.expect("invoke");
    let second = host.invoke("second", vec![0; 500]).await.expect("invoke");
    let full = host.invoke("full", "").await.expect("invoke");
    assert_eq!(full.0.route(), Route::Remote);
    // Of one whose caller wants no results, the function runs.
    let (mut one_way, results) = second;
    one_way.shutdown().await.expect("shutdown");
    drop((one_way, results));
    assert_eq!(host.local.served()[0].queued, 2);
    drop(first);
    assert_eq!(host.local.served()[0].queued, 1);
    let next = host.invoke("next", vec![0; 500]).await.expect("invoke");
    assert_eq!(next.0.route(), Route::Local);
}

/// An update: what waited at the old endpoint is taken by the new one, and runs once.
pub async fn a_queued_call_moves_on_when_its_endpoint_goes<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let old = host.serve().await;
    let (mut params, mut results) = host.invoke("moved", "first, ").await.expect("invoke");
    let mut new = host.serve().await;
    params.write_all(b"then").await.expect("write");
    params.shutdown().await.expect("shutdown");
    drop(old);
    let (context, mut outgoing, mut incoming) = new.next().await.expect("an invocation");
    assert_eq!(context, "moved");
    assert_eq!(
        read_all(&mut incoming).await.expect("parameters"),
        b"first, then"
    );
    outgoing.shutdown().await.expect("shutdown");
    assert_eq!(read_all(&mut results).await.expect("results"), b"");
}

/// A stop: the caller gets an error at once, of the kind of a function that no one serves.
pub async fn a_queued_call_with_nowhere_to_go_fails_at_once<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let served = host.serve().await;
    let (_params, mut results) = host.invoke("", "").await.expect("invoke");
    let mut read = task::spawn(read_all(&mut results));
    assert_pending!(read.poll());
    drop(served);
    assert!(read.is_woken());
    let error = assert_ready!(read.poll()).expect_err("it was not taken");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    assert!(matches!(call_error(&error), CallError::NotAccepted { .. }));
    assert!(error.to_string().contains(FUNCTION), "{error}");
    assert!(host.local.served().is_empty());
}

/// With invocations waiting on both sides, neither side has to wait for the other to be empty.
pub async fn local_and_remote_invocations_take_turns<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut served = host.serve().await;
    let mut callers = Vec::new();
    for _ in 0..10 {
        host.remote.deliver("remote");
        callers.push(host.invoke("local", "").await.expect("invoke"));
    }
    let mut taken = Vec::new();
    for _ in 0..20 {
        taken.push(served.next().await.expect("an invocation").0);
    }
    for pair in taken.chunks(2) {
        assert_ne!(pair[0], pair[1], "{taken:?}");
    }
}

/// The host library asks for the next invocation for ever: when there can be none any more, it has to wait.
pub async fn a_served_function_waits_when_the_remote_has_ended<B: Backend>(make: impl Make<B>) {
    for mode in [Mode::Off, Mode::Prefer, Mode::Require] {
        let host = Host::with(make(limit(64)), mode, QueueLimits::default());
        let mut served = host.serve().await;
        host.remote.deliver("before");
        let before = served.next().await.expect("an invocation");
        assert_eq!(before.0, "before", "{mode}");
        let mut next = task::spawn(served.next());
        assert_pending!(next.poll(), "{mode}");
        host.remote.end();
        assert_pending!(next.poll(), "{mode}");
        if mode != Mode::Off {
            let _call = host.invoke("here", "").await.expect("invoke");
            let local = assert_ready!(next.poll()).expect("an invocation");
            assert_eq!(local.0, "here", "{mode}");
        }
    }
}

/// Two connections in one process, the same names on both: no call crosses.
pub async fn two_scopes_do_not_reach_each_other<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let neighbour = host.neighbour();
    let mut served = host.serve().await;
    assert!(neighbour.invoke("crossing", "").await.is_err());
    assert_pending!(task::spawn(served.next()).poll());
    let _one = host.invoke("at home", "").await.expect("invoke");
    assert_eq!(served.next().await.expect("an invocation").0, "at home");
}

/// A function is served on both sides or on none.
pub async fn a_remote_that_cannot_serve_leaves_nothing_registered<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    host.remote.set_broken();
    assert!(host.client().serve(INSTANCE, FUNCTION, []).await.is_err());
    assert!(host.local.served().is_empty());
}
