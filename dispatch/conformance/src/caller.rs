//! Cases for what a callee knows of its caller, and tells it.

use std::io;
use std::sync::Arc;

use anyhow::anyhow;
use bytes::Bytes;
use futures::StreamExt as _;
use inhost_dispatch::{with_types, Backend, CallError, Caller, Reader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::Index as _;

use crate::support::{call_error, limit, pattern, read_all, reader, Host, FUNCTION};
use crate::Make;

/// The caller gets the callee's reason, in an error that says which call it was.
pub async fn a_callee_says_why_it_failed<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (outgoing, incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    let cause = anyhow::anyhow!("it divided by zero").context("it trapped");
    caller.failed(cause.as_ref());
    caller.failed(&io::Error::other("and that is not all"));
    drop((outgoing, incoming));
    let error = read_all(&mut results).await.expect_err("the callee failed");
    let CallError::CalleeFailed { cause, .. } = call_error(&error) else {
        panic!("{error}");
    };
    let whole = "it trapped: it divided by zero";
    assert_eq!(cause.as_deref(), Some(whole));
    let text = error.to_string();
    assert!(text.ends_with(whole) && text.contains(FUNCTION), "{text}");
    assert!(!text.contains("log"), "no need to look: {text}");
}

/// A callee that ran and failed because something that *it* called is not there: who asks for the root of the error, as
/// the host library does, must not find that this function is not there, and call another one in its place.
pub async fn a_callee_that_ran_is_not_taken_for_one_that_is_not_there<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let client = host.client();
    let mut served = host.serve_function(&client, FUNCTION).await;
    // What such a call ends with: over the remote, when it has left this host, and in memory, when it was stopped.
    let absent = host.invoke_function("absent", "", "").await;
    let absent = absent.expect_err("no one serves it");
    let stopped = {
        let stopping = host.serve_function(&client, "stopping").await;
        let (_params, mut results) = host
            .invoke_function("stopping", "", "")
            .await
            .expect("invoke");
        drop(stopping);
        read_all(&mut results).await.expect_err("it was stopped")
    };
    for inner in [absent, stopped.into()] {
        assert!(is_not_there(&inner), "{inner:#}");
        let reason = format!("{inner:#}");
        let (_params, mut results) = host.invoke("", "").await.expect("invoke");
        let (_, outgoing, incoming) = served.next().await.expect("an invocation");
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        caller.started();
        caller.failed(inner.context("it trapped").as_ref());
        drop((outgoing, incoming));
        let error = read_all(&mut results).await.expect_err("the callee failed");
        assert!(matches!(
            CallError::find(&error),
            Some(CallError::CalleeFailed { .. })
        ));
        let error = anyhow::Error::new(error).context("failed to receive results");
        assert!(!is_not_there(&error), "{error:#}");
        // Nothing of what is known is lost.
        assert!(format!("{error:#}").contains(&reason), "{error:#}");
    }
}

/// As the host library classifies errors.
fn is_not_there(error: &anyhow::Error) -> bool {
    let root = error.root_cause().downcast_ref::<io::Error>();
    root.is_some_and(|error| error.kind() == io::ErrorKind::NotConnected)
}

/// A cause is of no use to a caller that has got its results.
pub async fn a_cause_does_not_spoil_finished_results<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (mut outgoing, _incoming)) = host.call("").await;
    outgoing.write_all(b"results").await.expect("write");
    outgoing.shutdown().await.expect("shutdown");
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    caller.failed(&io::Error::other("cleaning up failed"));
    drop(outgoing);
    assert_eq!(read_all(&mut results).await.expect("results"), b"results");
}

/// A call that ran does not become one that did not, and one that finished stays finished.
pub async fn what_a_callee_says_too_late_changes_nothing<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (outgoing, incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    caller.started();
    caller.admitted();
    drop((outgoing, incoming));
    let error = read_all(&mut results).await.expect_err("the callee failed");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));

    let ((_params, mut results), (mut outgoing, _incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    outgoing.shutdown().await.expect("shutdown");
    caller.admitted();
    caller.started();
    assert_eq!(read_all(&mut results).await.expect("results"), b"");
}

/// What is handed over in one piece comes after what was written, to a reader that reads as ever.
pub async fn an_answer_is_read_after_what_was_written<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (mut outgoing, _incoming)) = host.call("").await;
    let callee = async {
        outgoing.write_all(b"written, ").await.expect("write");
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        // Far beyond the limit of the stream, and nothing waits.
        caller
            .answer(pattern(10_000).into())
            .expect("someone reads");
        outgoing.shutdown().await.expect("shutdown");
    };
    let (results, ()) = tokio::join!(read_all(&mut results), callee);
    let results = results.expect("results");
    assert_eq!(results[..9], *b"written, ");
    assert_eq!(results[9..], pattern(10_000));
}

/// Nothing is copied: what is read is the same memory.
pub async fn one_piece_passes_as_it_is<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let sent = Bytes::from(pattern(1000));
    let ((_params, mut results), (mut outgoing, mut incoming)) = host.call(sent.clone()).await;
    let piece = reader(&mut incoming).next_piece().await;
    assert_eq!(piece.expect("parameters").as_ptr(), sent.as_ptr());

    let answer = Bytes::from(pattern(2000));
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    caller.answer(answer.clone()).expect("someone reads");
    outgoing.shutdown().await.expect("shutdown");
    let piece = reader(&mut results).next_piece().await;
    assert_eq!(piece.expect("results").as_ptr(), answer.as_ptr());
    let end = reader(&mut results).next_piece().await;
    assert!(end.expect("the end").is_empty());
}

/// Pieces of what was written, and the end.
pub async fn what_was_written_comes_in_pieces_too<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((mut params, results), (outgoing, mut incoming)) = host.call("first").await;
    params.write_all(b"second").await.expect("write");
    params.shutdown().await.expect("shutdown");
    for expected in ["first", "second", ""] {
        let piece = reader(&mut incoming).next_piece().await;
        assert_eq!(piece.expect("parameters"), expected);
    }
    drop((outgoing, results));
    assert!(Reader::of(&mut tokio::io::empty()).is_none());
}

/// An answer counts when the callee has finished, and not before.
pub async fn an_answer_of_a_callee_that_fails_is_no_result<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (outgoing, incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    caller.answer("results".into()).expect("someone reads");
    drop((outgoing, incoming));
    let mut bytes = Vec::new();
    let error = results.read_to_end(&mut bytes).await;
    let error = error.expect_err("it did not finish");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
    assert_eq!(bytes, b"");
}

/// As a write to a stream that no one reads.
pub async fn an_answer_to_no_one_is_a_broken_pipe<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, results), (outgoing, _incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    drop(results);
    let error = caller.answer("results".into()).expect_err("no one reads");
    assert!(matches!(call_error(&error), CallError::ReaderGone { .. }));
}

/// And not that the callee wants no more: whoever sends a stream may take that for a success. Also
/// where there are no results.
pub async fn who_writes_to_a_callee_that_was_cut_off_hears_that_it_failed<B: Backend>(
    make: impl Make<B>,
) {
    for (is_cut_off, is_complete) in [(true, false), (true, true), (false, false)] {
        let host = Host::new(make(limit(64)));
        let ((mut params, _results), (mut outgoing, incoming)) = host.call("").await;
        let mut nested = params.index(&[0]).expect("a path");
        let read = incoming.index(&[0]).expect("a path");
        nested.write_all(b"some").await.expect("there is room");
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        caller.started();
        if is_complete {
            outgoing.shutdown().await.expect("shutdown");
        }
        if is_cut_off {
            caller.cut_off(anyhow!("its time is over").as_ref());
        }
        drop((read, incoming, outgoing));
        for writer in [&mut nested, &mut params] {
            let error = writer.write_all(&[0; 128]).await;
            let error = error.expect_err("no one reads");
            let failed = matches!(call_error(&error), CallError::CalleeFailed { .. });
            assert_eq!(failed, is_cut_off && !is_complete, "{error}");
            assert_eq!(error.to_string().contains("its time is over"), failed);
        }
    }
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
    for way in ["read", "piece", "path"] {
        let host = Host::new(make(limit(64)));
        let ((mut params, mut results), (outgoing, _incoming)) = host.call("").await;
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        params.shutdown().await.expect("shutdown");
        match way {
            "read" => assert!(task::spawn(read_all(&mut results)).poll().is_pending()),
            "piece" => {
                let mut reader = reader(&mut results);
                assert!(task::spawn(reader.next_piece()).poll().is_pending());
            }
            _ => drop(results.index(&[0]).expect("reader")),
        }
        drop((params, results));
        assert!(task::spawn(caller.gone()).poll().is_ready(), "{way}");
    }
}

/// Who wants to know only when its callee is done, while it sends a stream, asks for nothing: its
/// call runs when it has left.
pub async fn a_caller_that_waits_for_the_end_wants_no_results<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((mut params, mut results), (mut outgoing, incoming)) = host.call("").await;
    let caller = Caller::of(&outgoing).expect("a local call has a caller");
    let mut nested = params.index(&[0]).expect("a path");
    let mut reading = reader(&mut results);
    let mut ended = task::spawn(reading.until_ended());
    assert_pending!(ended.poll());
    drop(ended);
    nested.write_all(b"the stream").await.expect("write");
    nested.shutdown().await.expect("shutdown");
    params.shutdown().await.expect("shutdown");
    drop((params, nested, results));
    assert_pending!(task::spawn(caller.gone()).poll());
    let mut nested = incoming.index(&[0]).expect("a path");
    assert_eq!(read_all(&mut nested).await.expect("all"), b"the stream");

    let ((_params, mut results), (_outgoing, _incoming)) = {
        outgoing.shutdown().await.expect("shutdown");
        host.call("").await
    };
    let mut reading = reader(&mut results);
    let mut ended = task::spawn(reading.until_ended());
    assert_pending!(ended.poll());
    drop(_outgoing);
    assert!(ended.is_woken());
    assert_ready!(ended.poll()).expect_err("it has failed");
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

/// The types that the caller has go along with a call that it makes with them, and with no other.
pub async fn a_callee_learns_the_types_that_its_caller_has<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut served = host.serve().await;
    let typed = with_types(Arc::new(7_u32), host.invoke("typed", ""));
    let _typed = typed.await.expect("invoke");
    let _untyped = host.invoke("untyped", "").await.expect("invoke");
    for (context, types) in [("typed", Some(7)), ("untyped", None)] {
        let (taken, outgoing, _incoming) = served.next().await.expect("an invocation");
        assert_eq!(taken, context);
        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        let theirs = caller
            .types()
            .and_then(|types| types.downcast::<u32>().ok());
        assert_eq!(theirs.as_deref().copied(), types);
    }
}

/// Each side believes the other one that a piece is whole and of certain types, if it says so, and of no other types.
pub async fn a_side_says_that_what_it_sends_is_whole<B: Backend>(make: impl Make<B>) {
    let [types, others] = [7_u32, 7].map(Arc::new);
    let host = Host::new(make(limit(64)));
    let mut served = host.serve().await;
    for (typed, whole) in [
        (true, Some(&types)),
        (true, Some(&others)),
        (true, None),
        (false, Some(&types)),
    ] {
        let invoke = host.invoke("", "parameters");
        let invoked = match typed {
            true => with_types(types.clone(), invoke).await,
            false => invoke.await,
        };
        let (_params, mut results) = invoked.expect("invoke");
        let (_, mut outgoing, mut incoming) = served.next().await.expect("an invocation");
        assert_eq!(reader(&mut incoming).is_whole(&*types), typed);
        assert!(!reader(&mut incoming).is_whole(&*others));
        let mut nested = incoming.index(&[0]).expect("a nested stream");
        assert!(
            !reader(&mut nested).is_whole(&*types),
            "only the root came whole"
        );

        let caller = Caller::of(&outgoing).expect("a local call has a caller");
        let answered = match whole {
            Some(types) => caller.answer_whole("results".into(), &**types),
            None => caller.answer("results".into()),
        };
        answered.expect("someone reads");
        outgoing.shutdown().await.expect("shutdown");
        let piece = reader(&mut results).next_piece().await;
        assert_eq!(piece.expect("results"), "results");
        let agreed = typed && whole.is_some_and(|whole| Arc::ptr_eq(whole, &types));
        assert_eq!(reader(&mut results).is_whole(&*types), agreed);
        assert!(!reader(&mut results).is_whole(&*others));
    }
}
