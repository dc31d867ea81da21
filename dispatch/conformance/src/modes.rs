//! Cases for the modes: where a call may go, and what happens when it may not go there.

use std::io;
use std::num::NonZeroUsize;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use inhost_dispatch::{Backend, CallError, Caller, Mode, Modes, QueueLimits, Route};
use tokio::io::AsyncWriteExt as _;
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::{Invoke as _, Serve as _};

use crate::support::{call_error, limit, read_all, Host, In, Out, FUNCTION, INSTANCE, PREFIX};
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

    // Another version is here, on this connection: the error names it.
    let newer = format!("{INSTANCE}.1");
    let paths: [Box<[Option<usize>]>; 0] = [];
    let client = host.client();
    let _served = client.serve(&newer, FUNCTION, paths.clone()).await;
    let neighbour = host.neighbour();
    let elsewhere = neighbour.client();
    let _elsewhere = elsewhere.serve("test:elsewhere/it", FUNCTION, paths).await;
    let error = host
        .invoke("", "params")
        .await
        .expect_err("another version");
    let error = format!("{error:#}");
    for part in [INSTANCE, &format!("here it serves `{newer}`. Build")] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.contains("test:elsewhere"), "{error}");
}

/// Calls that are made with `require` while the queue is full. Making one never waits.
async fn waiting<B: Backend, const N: usize>(
    host: &Host<B>,
    names: [&str; N],
) -> [(Out<B>, In<B>); N] {
    let mut calls = Vec::new();
    for name in names {
        let mut call = task::spawn(host.invoke(name, name.to_owned()));
        calls.push(assert_ready!(call.poll(), "it waits in `invoke`").expect("invoke"));
    }
    let Ok(calls) = calls.try_into() else {
        unreachable!("there are as many");
    };
    calls
}

/// `require` does not spill over, and it does not refuse either. The caller waits at the streams of
/// its call, and not while it makes it: who makes it may hold locks, and has little time.
pub async fn require_waits_when_the_queue_is_full<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    host.remote.set_reachable();
    let mut served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let [(mut second, _s), (mut third, _t), (mut fourth, _f)] =
        waiting(&host, ["second", "third", "fourth"]).await;
    let mut second = task::spawn(second.shutdown());
    let mut third = task::spawn(third.write_all(b", and more"));
    let mut fourth = task::spawn(fourth.flush());
    for waits in [second.poll(), third.poll(), fourth.poll()] {
        assert_pending!(waits);
    }
    let status = host.local.served();
    assert_eq!(status[0].queued, 4, "they are seen to wait");
    assert_eq!(served.next().await.expect("an invocation").0, "first");
    assert!(second.is_woken() && !third.is_woken() && !fourth.is_woken());
    assert_ready!(second.poll()).expect("there is room");
    let (context, _outgoing, mut incoming) = served.next().await.expect("an invocation");
    assert_eq!(context, "second");
    assert_eq!(
        read_all(&mut incoming).await.expect("what waited"),
        b"second"
    );
    assert!(third.is_woken() && !fourth.is_woken());
    assert_ready!(third.poll()).expect("there is room");
    assert_eq!(served.next().await.expect("an invocation").0, "third");
    assert!(fourth.is_woken());
    assert_ready!(fourth.poll()).expect("there is room");
    assert_eq!(host.remote.invoked(), []);
    assert_eq!(host.local.calls().local, 4);
}

/// First come, first served: who comes later does not overtake those that wait, however many come.
pub async fn who_waits_for_room_is_served_in_turn<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let mut served = host.serve().await;
    let mut calls = vec![host.invoke("0", "").await.expect("invoke")];
    for next in 1..=1000 {
        let waits = host.invoke(&next.to_string(), "").await;
        calls.push(waits.expect("invoke"));
        if next % 10 == 0 {
            let taken = served.next().await.expect("an invocation");
            assert_eq!(taken.0, (next / 10 - 1).to_string());
        }
    }
}

/// One that is light is let in when there is room for it, though a heavy one came before it. The
/// heavy one is served first.
pub async fn a_light_call_is_let_in_past_a_heavy_one<B: Backend>(make: impl Make<B>) {
    let limits = QueueLimits {
        bytes: 10,
        ..QueueLimits::default()
    };
    let host = Host::with(make(limit(64)), Mode::Require, limits);
    let mut served = host.serve().await;
    let [_a, _b] = waiting(&host, ["aaaaa", "bbbbb"]).await;
    let [(mut heavy, _h), (mut light, _l)] = waiting(&host, ["heavyheavy", "l"]).await;
    let mut heavy = task::spawn(heavy.shutdown());
    let mut light = task::spawn(light.shutdown());
    assert_pending!(heavy.poll());
    assert_pending!(light.poll());
    assert_eq!(served.next().await.expect("an invocation").0, "aaaaa");
    assert!(light.is_woken() && !heavy.is_woken());
    assert_ready!(light.poll()).expect("there is room");
    for expected in ["bbbbb", "heavyheavy", "l"] {
        assert_eq!(served.next().await.expect("an invocation").0, expected);
    }
    assert_ready!(heavy.poll()).expect("it was taken");
}

/// What waits for room at a version of the component is let in by the next one, in the same order.
pub async fn who_waits_for_room_moves_on_to_the_next_version<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let old = host.serve().await;
    let mut new = host.serve().await;
    let [_first, (mut second, _s), _third] = waiting(&host, ["1", "2", "3"]).await;
    let mut second = task::spawn(second.shutdown());
    assert_pending!(second.poll());
    drop(old);
    assert_pending!(second.poll());
    for expected in ["1", "2", "3"] {
        assert_eq!(new.next().await.expect("an invocation").0, expected);
    }
    assert!(second.is_woken());
    assert_ready!(second.poll()).expect("there is room");
}

/// A call whose caller gives up while it waits for room is not run, though it has no results: not all of it was sent.
pub async fn a_caller_that_gives_up_while_it_waits_for_room_has_gone<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let mut served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let [(mut params, results), _third] = waiting(&host, ["second", "third"]).await;
    assert_pending!(task::spawn(params.shutdown()).poll());
    drop((params, results));
    for expected in ["first", "third"] {
        assert_eq!(served.next().await.expect("an invocation").0, expected);
    }
}

/// A place in the queue that was meant for a caller who left goes to the next.
pub async fn a_caller_that_stops_waiting_for_room_takes_none<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let mut served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let [leaves, (mut stays, _s)] = waiting(&host, ["leaves", "stays"]).await;
    let mut stays = task::spawn(stays.shutdown());
    assert_pending!(stays.poll());
    drop(leaves);
    let _taken = served.next().await.expect("an invocation");
    assert_eq!(served.next().await.expect("an invocation").0, "stays");
    assert!(stays.is_woken());
    assert_ready!(stays.poll()).expect("there is room");
}

/// It does not wait for a callee that has gone.
pub async fn a_caller_that_waits_for_room_learns_that_the_callee_is_gone<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::with(make(limit(64)), Mode::Require, room_for_one());
    let served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let [(mut params, mut results)] = waiting(&host, ["second"]).await;
    let mut params = task::spawn(params.shutdown());
    let mut results = task::spawn(read_all(&mut results));
    assert_pending!(params.poll());
    assert_pending!(results.poll());
    drop(served);
    assert!(params.is_woken() && results.is_woken());
    assert_ready!(params.poll()).expect("there is nothing to send");
    let error = assert_ready!(results.poll()).expect_err("it is not served any more");
    assert!(matches!(call_error(&error), CallError::NotAccepted { .. }));
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
        let caller = Caller::of(&outgoing).expect("a local call");
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

/// A callee that stops while a call waits for its turn gives it back: whoever comes next runs it,
/// before all others, also when its caller has left because it wants no results.
pub async fn a_call_that_is_put_back_is_run_by_whoever_comes_next<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Prefer, room_for_one());
    let mut old = host.serve().await;
    let (mut params, mut results) = host.invoke("first", "para").await.expect("invoke");
    let (mut one_way, no_results) = {
        let (context, outgoing, incoming) = old.next().await.expect("an invocation");
        assert_eq!(context, "first");
        Caller::of(&outgoing).expect("a local call").admitted();
        let later = host.invoke("later", "").await.expect("invoke");
        inhost_dispatch::put_back(outgoing, incoming);
        later
    };
    params.write_all(b"meters").await.expect("someone reads");
    params.shutdown().await.expect("shutdown");
    one_way.shutdown().await.expect("shutdown");
    drop((one_way, no_results));
    let mut new = host.serve().await;
    drop(old);
    let (_, mut outgoing, mut incoming) = new.next().await.expect("an invocation");
    assert_eq!(
        read_all(&mut incoming).await.expect("parameters"),
        b"parameters"
    );
    outgoing.shutdown().await.expect("shutdown");
    read_all(&mut results).await.expect("it ran");
    let (context, outgoing, incoming) = new.next().await.expect("an invocation");
    assert_eq!(context, "later");
    inhost_dispatch::put_back(outgoing, incoming);
    let (_, outgoing, incoming) = new.next().await.expect("the call without results");

    // Where nobody comes next, a caller that waits is told.
    let (_params, mut results) = host.invoke("waits", "").await.expect("invoke");
    let taken = new.next().await.expect("an invocation");
    drop(new);
    Caller::of(&taken.1).expect("a local call").admitted();
    inhost_dispatch::put_back(taken.1, taken.2);
    let error = read_all(&mut results).await.expect_err("it did not run");
    assert!(matches!(call_error(&error), CallError::NotAccepted { .. }));
    inhost_dispatch::put_back(outgoing, incoming);
    assert_eq!(host.local.counted()[0].failures.lost, 1);
}

/// A callee that has said that it starts finds no room: its caller gets the reason, and can make the call again.
pub async fn a_call_that_there_is_no_room_for_did_not_run<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (outgoing, incoming)) = host.call("").await;
    refuse(&outgoing);
    drop((outgoing, incoming));
    let error = read_all(&mut results).await.expect_err("there is no room");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    let CallError::NoRoom { cause, .. } = call_error(&error) else {
        panic!("{error}");
    };
    assert_eq!(&**cause, "no room: 3 of 3 in use");
    let text = error.to_string();
    for part in [PREFIX, FUNCTION, "no room: 3 of 3 in use", "did not run"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }

    // It can be made again elsewhere, while another host is known to serve the component.
    let mut served = host.serve().await;
    for is_known in [false, true] {
        host.local.set_served_elsewhere(PREFIX, is_known);
        let (_params, mut results) = host.invoke("", "").await.expect("invoke");
        let (_, outgoing, incoming) = served.next().await.expect("an invocation");
        refuse(&outgoing);
        drop((outgoing, incoming));
        let error = read_all(&mut results).await.expect_err("there is no room");
        let CallError::NoRoom {
            served_elsewhere, ..
        } = call_error(&error)
        else {
            panic!("{error}");
        };
        assert_eq!(*served_elsewhere, is_known);
        let before = host.local.calls();
        let again = inhost_dispatch::elsewhere(host.invoke("again", "")).await;
        let calls = host.local.calls();
        assert_eq!(calls.spilled - before.spilled, u64::from(is_known));
        assert_eq!(calls.local - before.local, u64::from(!is_known));
        if !is_known {
            drop((again.expect("invoke"), served.next().await));
        }
    }
    assert_eq!(host.remote.invoked(), [("again".into(), Bytes::new())]);
    host.local.set_served_elsewhere(PREFIX, false);

    // One of whom nobody could be told is counted.
    let (mut params, results) = host.invoke("", "").await.expect("invoke");
    params.shutdown().await.expect("shut down");
    drop((params, results));
    let (_, outgoing, incoming) = served.next().await.expect("an invocation");
    refuse(&outgoing);
    drop((outgoing, incoming));
    assert_eq!(host.local.counted()[0].failures.lost, 1);
}

fn refuse<B: Backend>(outgoing: &Out<B>) {
    let caller = Caller::of(outgoing).expect("a local call has a caller");
    caller.admitted();
    caller.started();
    let cause = anyhow::anyhow!("3 of 3 in use").context("no room");
    caller.refused(cause.as_ref());
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

/// Whoever makes it, and whatever the mode was when its client was made. What is served is served all the same.
pub async fn a_mode_that_is_changed_holds_for_the_next_call<B: Backend>(make: impl Make<B>) {
    let host = Host::steerable(make(limit(1024)), Mode::Off);
    host.remote.set_reachable();
    let mut served = host.serve().await;
    let client = host.client();
    let paths: [&[Option<usize>]; 0] = [];
    let call = async || {
        let call = client.invoke("".into(), INSTANCE, FUNCTION, "".into(), paths);
        call.await.expect("the call starts").0.route()
    };
    assert_eq!(call().await, Route::Remote);
    for (target, mode, expected) in [
        (None, Some(Mode::Prefer), Route::Local),
        (Some("callee"), Some(Mode::Off), Route::Remote),
        (Some("another"), Some(Mode::Require), Route::Remote),
        (Some("callee"), None, Route::Local),
        (None, Some(Mode::Off), Route::Remote),
        (None, Some(Mode::Require), Route::Local),
    ] {
        assert!(host.local.set_mode(target, mode));
        assert_eq!(call().await, expected, "{target:?}: {mode:?}");
    }
    assert_eq!(host.local.modes().of(PREFIX), Mode::Require);
    assert_eq!(host.local.generations().len(), 1);
    // Those callers are gone.
    assert!(served.next().now_or_never().is_none());

    let other = Host::new(make(limit(1024)));
    assert!(!other.local.set_mode(None, Some(Mode::Off)));
    assert_eq!(other.local.modes().of(PREFIX), Mode::Prefer);
}
