//! Cases for the modes: where a call may go, and what happens when it may not go there.

use std::io;
use std::num::NonZeroUsize;

use futures::StreamExt as _;
use inhost_dispatch::{Backend, CallError, Mode, Modes, QueueLimits, Route};
use tokio::io::AsyncWriteExt as _;
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{call_error, limit, read_all, Host, FUNCTION, INSTANCE, PREFIX};
use crate::Make;

fn room_for_one() -> QueueLimits {
    QueueLimits {
        invocations: NonZeroUsize::MIN,
        ..QueueLimits::default()
    }
}

/// The error is one of the kind of a function that no one serves, and says what to do. Nothing goes over the remote.
pub async fn require_fails_at_once_when_the_callee_is_not_here<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, QueueLimits::default());
    host.remote.set_reachable();
    let mut call = task::spawn(host.invoke("", "params"));
    let error = assert_ready!(call.poll()).expect_err("it is not served here");
    let error = error
        .downcast_ref::<io::Error>()
        .expect("an I/O error at the root");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    assert!(matches!(call_error(error), CallError::NotServedHere { .. }));
    for part in [PREFIX, INSTANCE, FUNCTION, "require", "prefer"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(host.remote.invoked(), []);
    let calls = host.local.calls();
    assert_eq!((calls.local, calls.remote, calls.refused), (0, 0, 1));
}

/// `require` does not spill over, and it does not refuse either.
pub async fn require_waits_when_the_queue_is_full<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    host.remote.set_reachable();
    let mut served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let mut second = task::spawn(host.invoke("second", "parameters"));
    let mut third = task::spawn(host.invoke("third", ""));
    assert_pending!(second.poll());
    assert_pending!(third.poll());
    assert_eq!(served.next().await.expect("an invocation").0, "first");
    assert!(second.is_woken());
    let _second = assert_ready!(second.poll()).expect("there is room");
    assert_pending!(third.poll());
    let (context, _, mut incoming) = served.next().await.expect("an invocation");
    assert_eq!(context, "second");
    let mut first = [0; 10];
    tokio::io::AsyncReadExt::read_exact(&mut incoming, &mut first)
        .await
        .expect("the parameters that waited");
    assert_eq!(&first, b"parameters");
    assert!(third.is_woken());
    let _third = assert_ready!(third.poll()).expect("there is room");
    assert_eq!(host.remote.invoked(), []);
}

/// A place in the queue that was meant for a caller who left goes to the next.
pub async fn a_caller_that_stops_waiting_for_room_takes_none<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let mut served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let mut leaves = task::spawn(host.invoke("leaves", ""));
    let mut stays = task::spawn(host.invoke("stays", ""));
    assert_pending!(leaves.poll());
    assert_pending!(stays.poll());
    let _taken = served.next().await.expect("an invocation");
    drop(leaves);
    assert!(stays.is_woken());
    let _stays = assert_ready!(stays.poll()).expect("there is room");
    assert_eq!(served.next().await.expect("an invocation").0, "stays");
}

/// It does not wait for a callee that has gone.
pub async fn a_caller_that_waits_for_room_learns_that_the_callee_is_gone<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let mut second = task::spawn(host.invoke("second", ""));
    assert_pending!(second.poll());
    drop(served);
    assert!(second.is_woken());
    let error = assert_ready!(second.poll()).expect_err("it is not served any more");
    assert!(CallError::find(error.as_ref()).is_some(), "{error:#}");
}

/// The mode of a target goes before that of the host.
pub async fn a_target_has_a_mode_of_its_own<B: Backend>(make: impl Make<B>) {
    for (target, expected) in [
        ("callee", Route::Remote),
        ("another", Route::Local),
        // Not a part of the name.
        ("allee", Route::Local),
    ] {
        let modes = Modes::new(Mode::Prefer).with(target, Mode::Off);
        let host = Host::with(make(limit(64)), modes, QueueLimits::default());
        host.remote.set_reachable();
        let _served = host.serve().await;
        let call = host.invoke("", "").await.expect("invoke");
        assert_eq!(call.0.route(), expected, "{target}");
    }
    let modes = Modes::new(Mode::Off).with("callee", Mode::Prefer);
    let host = Host::with(make(limit(64)), modes, QueueLimits::default());
    let _served = host.serve().await;
    let call = host.invoke("", "").await.expect("invoke");
    assert_eq!(call.0.route(), Route::Local);
}

/// A callee that let a call in and was stopped before it started has not run it.
pub async fn a_call_that_was_let_in_and_not_started_did_not_run<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    for (started, shut) in [(false, false), (true, false), (true, true)] {
        let ((_params, mut results), (mut outgoing, incoming)) = host.call("").await;
        let caller = inhost_dispatch::Caller::of(&outgoing).expect("a local call");
        caller.admitted();
        if started {
            caller.started();
        }
        if shut {
            outgoing.shutdown().await.expect("shutdown");
        }
        drop((outgoing, incoming));
        match (read_all(&mut results).await, started, shut) {
            (Ok(_), true, true) => {}
            (Err(error), started, false) => {
                let error = call_error(&error);
                match started {
                    false => assert!(matches!(error, CallError::NotAccepted { .. }), "{error}"),
                    true => assert!(matches!(error, CallError::CalleeFailed { .. }), "{error}"),
                }
            }
            (other, ..) => panic!("{started}, {shut}: {other:?}"),
        }
    }
}

/// The number of calls in flight goes back to zero, however they end.
pub async fn calls_in_flight_are_counted<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    assert_eq!(host.local.in_flight(), 0);
    let mut served = host.serve().await;
    let one = host.invoke("one", "").await.expect("invoke");
    let two = host.invoke("two", "").await.expect("invoke");
    assert_eq!(host.local.in_flight(), 2);
    let taken = served.next().await.expect("an invocation");
    drop(one);
    assert_eq!(host.local.in_flight(), 2);
    drop(taken);
    assert_eq!(host.local.in_flight(), 1);
    drop(served);
    drop(two);
    assert_eq!(host.local.in_flight(), 0);
}
