use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use async_nats::StatusCode;

use super::*;

const MIB: usize = 1024 * 1024;

fn target() -> Target {
    Target("default.callee.wrpc.0.0.1.a.run".into())
}

fn paths(paths: &[&[Option<usize>]]) -> Option<Paths> {
    Some(paths.iter().map(|path| (*path).into()).collect())
}

fn message(payload: impl Into<Bytes>) -> Message {
    Message {
        subject: "any".into(),
        reply: None,
        payload: payload.into(),
        headers: None,
        status: None,
        description: None,
        length: 0,
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits for the stream at `path`, and returns whether `then` has woken who waits.
fn wait_at(call: &Call, path: &[usize], then: impl FnOnce()) -> bool {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let polled = call.poll_next(path, &mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "{polled:?}");
    then();
    woken.0.load(Ordering::Relaxed) == 1
}

fn next(call: &Call, path: &[usize]) -> Poll<Result<Bytes, io::ErrorKind>> {
    let mut cx = Context::from_waker(Waker::noop());
    call.poll_next(path, &mut cx).map_err(|error| error.kind())
}

#[test]
fn a_message_wakes_its_reader_and_no_other() {
    let call = Call::caller(target(), paths(&[&[Some(0)]]), 0);
    assert!(call.take(&[0]) && !call.take(&[0]) && !call.take(&[1]));
    assert!(wait_at(&call, &[], || call.deliver(
        ".results",
        message("root"),
        0
    )));
    assert!(!wait_at(&call, &[0], || call.deliver(
        ".results",
        message("root"),
        0
    )));
    for _ in 0..2 {
        assert_eq!(next(&call, &[]), Poll::Ready(Ok("root".into())));
    }
    call.deliver(".results.0", message("nested"), 0);
    assert_eq!(next(&call, &[0]), Poll::Ready(Ok("nested".into())));
    // Not a stream of this end, not announced, and no path.
    for rest in [
        ".params",
        ".results.1",
        ".results.0.0",
        ".results.x",
        ".resultsx",
        ".",
    ] {
        call.deliver(rest, message("lost"), 0);
    }
    assert!(next(&call, &[]).is_pending() && next(&call, &[0]).is_pending());
}

#[test]
fn a_stream_stays_at_its_end_whatever_happens() {
    let call = Call::callee(target(), None, 0);
    call.deliver(".params", message("last"), 0);
    call.deliver(".params", message(""), 0);
    call.deliver(".params", message("late"), 0);
    call.fail(Failure::Closed);
    assert_eq!(next(&call, &[]), Poll::Ready(Ok("last".into())));
    for _ in 0..3 {
        assert_eq!(next(&call, &[]), Poll::Ready(Ok(Bytes::new())));
    }
}

#[test]
fn what_has_arrived_is_read_before_a_failure() {
    let call = Call::caller(target(), None, 0);
    assert!(wait_at(&call, &[], || call
        .fail(Failure::Lost(std::time::Duration::from_secs(10)))));
    let call = Call::caller(target(), None, 0);
    call.deliver(".results", message("half"), 0);
    call.fail(Failure::Closed);
    assert_eq!(next(&call, &[]), Poll::Ready(Ok("half".into())));
    let closed = io::ErrorKind::ConnectionAborted;
    assert_eq!(next(&call, &[]), Poll::Ready(Err(closed)));
}

#[test]
fn a_call_that_is_refused_is_refused_at_all_of_its_streams() {
    let call = Call::caller(target(), None, 0);
    let refused = Message {
        status: Some(StatusCode::NO_RESPONDERS),
        ..message("")
    };
    assert!(wait_at(&call, &[], || call.deliver("", refused, 0)));
    let kind = io::ErrorKind::NotConnected;
    assert_eq!(next(&call, &[]), Poll::Ready(Err(kind)));
    let slot = call.writer();
    let mut cx = Context::from_waker(Waker::noop());
    let answer = call.poll_answer(slot, &mut cx);
    assert_eq!(answer.map_err(|error| error.kind()), Poll::Ready(Err(kind)));
}

#[test]
fn too_much_that_no_one_reads_ends_the_call_and_frees_it() {
    let call = Call::caller(target(), None, 0);
    let part = Bytes::from(vec![0; MIB]);
    let deliver = || call.deliver(".results", message(part.clone()), 0);
    // What is read does not count.
    for _ in 0..1000 {
        deliver();
        assert!(matches!(next(&call, &[]), Poll::Ready(Ok(bytes)) if bytes.len() == MIB));
    }
    // All of a guest's memory may wait.
    for _ in 0..256 {
        deliver();
    }
    assert!(call.state().failure.is_none());
    for _ in 0..100 {
        deliver();
    }
    let kind = io::ErrorKind::OutOfMemory;
    assert_eq!(next(&call, &[]), Poll::Ready(Err(kind)));
    assert!(part.is_unique(), "what was not read is still held");
}

#[test]
fn readers_that_have_gone_hold_nothing() {
    let call = Call::caller(target(), paths(&[&[Some(0)], &[Some(1)]]), 0);
    assert!(call.take(&[0]));
    let part = Bytes::from(vec![0; MIB]);
    let deliver = |rest| call.deliver(rest, message(part.clone()), 0);
    deliver(".results.0");
    call.abandon(&[0]);
    deliver(".results.0");
    assert!(part.is_unique());
    assert_eq!(call.state().cost, 0);
    deliver(".results");
    deliver(".results.1");
    call.abandon_all();
    deliver(".results");
    deliver(".results.1");
    assert!(part.is_unique());
    assert_eq!(call.state().cost, 0);
}

#[test]
fn a_call_that_was_heard_of_since_an_interruption_goes_on() {
    let call = Call::caller(target(), None, 0);
    let interrupted = Failure::Interrupted(std::time::Duration::from_secs(60));
    call.deliver(".results", message("more"), 1);
    call.fail_if_of(0, &interrupted);
    assert!(call.state().failure.is_none());
    call.fail_if_of(1, &interrupted);
    assert_eq!(call.state().failure, Some(interrupted));
}

#[test]
fn a_call_that_was_answered_is_not_one_that_no_one_serves() {
    let answer = |status, reply: Option<&str>| Message {
        status,
        reply: reply.map(Subject::from),
        ..message("")
    };
    let call = Call::caller(target(), None, 0);
    call.deliver("", answer(None, Some("callee")), 0);
    call.deliver("", answer(Some(StatusCode::NO_RESPONDERS), None), 0);
    assert!(next(&call, &[]).is_pending());
    call.deliver("", answer(Some(StatusCode::TIMEOUT), None), 0);
    assert_eq!(
        next(&call, &[]),
        Poll::Ready(Err(io::ErrorKind::TimedOut)),
        "what else the server says of it counts"
    );
}
