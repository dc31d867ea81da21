use std::io;
use std::task::{Context, Poll};

use ::loom::future::block_on;
use ::loom::{model, thread};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Empty};

use super::incoming::{Incoming, LocalIncoming};
use super::outgoing::{LocalOutgoing, Outgoing};
use super::*;
use crate::sync::stream::Streams;

type Out = Outgoing<Streams, Empty>;
type In = Incoming<Streams, Empty>;

/// Both sides of a call that the callee has taken.
struct Both {
    call: Arc<Call<Streams>>,
    params: Out,
    results: In,
    outgoing: Out,
    incoming: In,
}

/// The home of a call that was never queued.
struct NoQueue(Arc<Target>);

impl Home<Streams> for NoQueue {
    fn target(&self) -> &Arc<Target> {
        &self.0
    }

    fn patience(&self) -> Patience {
        Patience::default()
    }

    fn poll_grow(&self, _: &Room, _: usize, bytes: usize, _: &mut Context<'_>) -> Poll<usize> {
        Poll::Ready(bytes)
    }

    fn shrink(&self, _: &Room, _: usize) {}

    fn poll_within(&self, _: &Room, _: usize, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn give_up(&self, _: &Room) {}

    fn put_back(&self, _: LocalOutgoing<Streams>, _: LocalIncoming<Streams>) {}

    fn put_back_remote(&self, _: Box<dyn std::any::Any + Send>) {}
}

fn call() -> Arc<Call<Streams>> {
    let target = Target::new("component".into(), "instance", "function", Arc::default());
    let call = Call::new(Arc::new(NoQueue(Arc::new(target))), Streams, None, false);
    call.taken();
    call
}

fn both() -> Both {
    let call = call();
    let halves = |way| {
        (
            Out::local(LocalOutgoing::root(Arc::clone(&call), way)),
            In::local(LocalIncoming::root(Arc::clone(&call), way, Bytes::new())),
        )
    };
    let (params, incoming) = halves(Way::Params);
    let (outgoing, results) = halves(Way::Results);
    Both {
        params,
        results,
        outgoing,
        incoming,
        call,
    }
}

/// Waits for the end. loom finds a wake-up that is lost: then no thread can go on.
fn read_all(results: &mut In) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    block_on(results.read_to_end(&mut bytes)).map(|_| bytes)
}

#[test]
fn a_callee_that_finishes_while_the_caller_reads_has_finished() {
    model(|| {
        let Both {
            call,
            params: _params,
            mut results,
            mut outgoing,
            incoming,
        } = both();
        let callee = thread::spawn(move || {
            block_on(outgoing.write_all(b"w")).expect("someone reads");
            call.set_answer(Bytes::from_static(b"a"))
                .expect("someone reads");
            block_on(outgoing.shutdown()).expect("shutdown");
            drop((outgoing, incoming));
        });
        assert_eq!(read_all(&mut results).expect("results"), b"wa");
        callee.join().expect("the callee");
    });
}

#[test]
fn a_callee_that_drops_its_results_while_the_caller_reads_has_failed() {
    model(|| {
        let Both {
            call,
            params: _params,
            mut results,
            outgoing,
            incoming,
        } = both();
        let callee = thread::spawn(move || {
            call.set_cause("a cause".into());
            drop((outgoing, incoming));
        });
        let error = read_all(&mut results).expect_err("the callee failed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(
            error.to_string().ends_with(": a cause"),
            "its cause came before the end: {error}"
        );
        callee.join().expect("the callee");
    });
}

#[test]
fn a_callee_that_waits_learns_that_both_streams_are_dropped_at_once() {
    model(|| {
        let Both {
            call,
            params,
            results,
            outgoing: _outgoing,
            incoming: _incoming,
        } = both();
        let other = thread::spawn(move || drop(params));
        let one = thread::spawn(move || drop(results));
        block_on(call.until_caller_gone());
        assert!(call.caller_gone());
        other.join().expect("one half");
        one.join().expect("the other half");
    });
}

#[test]
fn a_caller_that_wants_no_results_never_looks_gone() {
    model(|| {
        let Both {
            call,
            mut params,
            results,
            outgoing: _outgoing,
            incoming: _incoming,
        } = both();
        let caller = thread::spawn(move || {
            block_on(params.shutdown()).expect("shutdown");
            drop((params, results));
        });
        assert!(!call.caller_gone());
        caller.join().expect("the caller");
        assert!(call.caller_has_no_streams() && !call.caller_gone());
    });
}

#[test]
fn a_caller_that_gives_up_waiting_for_results_is_noticed() {
    model(|| {
        let Both {
            call,
            mut params,
            mut results,
            outgoing: _outgoing,
            incoming: _incoming,
        } = both();
        let caller = thread::spawn(move || {
            block_on(params.shutdown()).expect("shutdown");
            let mut byte = [0];
            let mut read = tokio_test::task::spawn(results.read(&mut byte));
            assert!(read.poll().is_pending());
            drop(read);
            drop((params, results));
        });
        block_on(call.until_caller_gone());
        caller.join().expect("the caller");
    });
}

#[test]
fn a_callee_that_finishes_while_the_caller_leaves_leaves_no_one_waiting() {
    model(|| {
        let Both {
            call,
            params,
            results,
            mut outgoing,
            mut incoming,
        } = both();
        let left = Arc::downgrade(&call);
        let caller = thread::spawn(move || drop((params, results)));
        // Parameters end as the caller goes, and results have a reader or a broken pipe.
        assert_eq!(read_all(&mut incoming).expect("a clean end"), b"");
        let written = block_on(outgoing.write_all(b"w"));
        let answered = call.set_answer(Bytes::from_static(b"a"));
        for error in [written.err(), answered.err()].into_iter().flatten() {
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        block_on(outgoing.shutdown()).expect("shutdown");
        caller.join().expect("the caller");
        drop((outgoing, incoming, call));
        assert!(left.upgrade().is_none(), "nothing is left of the call");
    });
}

#[test]
fn the_last_handle_of_a_side_ends_its_paths_whoever_drops_it() {
    model(|| {
        let call = call();
        let writing = Handle::new(Arc::clone(&call), Way::Params, Side::Writing);
        let reading = Handle::new(Arc::clone(&call), Way::Params, Side::Reading);
        let other = writing.clone();
        let mut reader = reading.reader(&[0]).expect("the path is free");
        let one = thread::spawn(move || drop(writing));
        let other = thread::spawn(move || drop(other));
        let mut bytes = Vec::new();
        block_on(reader.read_to_end(&mut bytes)).expect("a clean end");
        one.join().expect("one");
        other.join().expect("the other");
    });
}
