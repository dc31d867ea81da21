//! Cases for `Index`: streams of their own for paths of a call.

use std::io;
use std::task::Poll;

use inhost_dispatch::{Backend, CallError, Caller, Reader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::Index as _;

use crate::support::{call_error, limit, read_all, reader, Host, In, Out};
use crate::Make;

/// Writes at one end of a path and reads at the other.
async fn pass<B: Backend>(mut writer: Out<B>, mut reader: In<B>, bytes: &[u8]) {
    writer.write_all(bytes).await.expect("write");
    writer.shutdown().await.expect("shutdown");
    assert_eq!(read_all(&mut reader).await.expect("read"), bytes);
}

/// The writing side first, the reading side first, and the reader waiting before there is a writer.
pub async fn a_path_works_whoever_asks_first<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), (outgoing, incoming)) = host.call("").await;

    let writer = params.index(&[0]).expect("writer");
    pass(
        writer,
        incoming.index(&[0]).expect("reader"),
        b"writer first",
    )
    .await;

    let reader = results.index(&[1]).expect("reader");
    pass(
        outgoing.index(&[1]).expect("writer"),
        reader,
        b"reader first",
    )
    .await;

    let mut reader = results.index(&[2]).expect("reader");
    let mut byte = [0];
    let mut read = task::spawn(reader.read(&mut byte));
    assert_pending!(read.poll());
    let mut writer = outgoing.index(&[2]).expect("writer");
    writer.write_all(b"x").await.expect("write");
    assert!(read.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("read"), 1);
}

/// Hundreds of paths at once, opened in opposite orders by the two sides, in both directions.
pub async fn paths_work_in_both_directions_deep_and_by_the_hundred<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), (outgoing, incoming)) = host.call("").await;
    let paths: Vec<Vec<usize>> = (0..300)
        .map(|i| (0..=i % 40).map(|depth| i * depth + i).collect())
        .collect();
    let writers: Vec<_> = paths
        .iter()
        .map(|path| params.index(path).expect("writer"))
        .collect();
    let mut readers: Vec<_> = paths
        .iter()
        .rev()
        .map(|path| incoming.index(path).expect("reader"))
        .collect();
    readers.reverse();
    for (i, (writer, reader)) in writers.into_iter().zip(readers).enumerate() {
        pass(writer, reader, &i.to_le_bytes()).await;
    }
    for (i, path) in paths.iter().enumerate() {
        let reader = results.index(path).expect("reader");
        pass(
            outgoing.index(path).expect("writer"),
            reader,
            &i.to_le_bytes(),
        )
        .await;
    }
}

/// A path below a nested handle is the same as the whole path below the root.
pub async fn a_nested_handle_leads_to_deeper_paths<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, _results), (_outgoing, incoming)) = host.call("").await;
    let nested = params.index(&[3]).expect("nested");
    let writer = nested.index(&[1, 4]).expect("deeper");
    let reader = incoming
        .index(&[3, 1])
        .expect("nested")
        .index(&[4])
        .expect("deeper");
    // The handles on the way may go.
    drop((nested, params));
    pass(writer, reader, b"deep").await;
}

/// A writer may be done before anyone asks for what it wrote.
pub async fn what_was_written_waits_for_a_reader_that_asks_later<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), (mut outgoing, incoming)) = host.call("").await;
    let mut writer = outgoing.index(&[7]).expect("writer");
    writer.write_all(b"early").await.expect("write");
    drop(writer);
    outgoing.shutdown().await.expect("shutdown");
    drop((outgoing, incoming, params));
    let mut reader = results.index(&[7]).expect("reader");
    assert_eq!(read_all(&mut reader).await.expect("read"), b"early");
}

/// Only the root of the results tells a failed callee.
pub async fn a_dropped_nested_result_is_a_clean_end<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, results), (outgoing, _incoming)) = host.call("").await;
    let mut reader = results.index(&[0]).expect("reader");
    let mut writer = outgoing.index(&[0]).expect("writer");
    writer.write_all(b"all").await.expect("write");
    drop(writer);
    assert_eq!(read_all(&mut reader).await.expect("read"), b"all");
}

/// In both directions, and for a reader that waits.
pub async fn a_dropped_nested_writer_ends_the_wait_of_its_reader<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), (outgoing, incoming)) = host.call("").await;
    let directions = [(&params, &incoming), (&outgoing, &results)];
    for (writers, readers) in directions {
        let mut writer = writers.index(&[0]).expect("writer");
        let mut reader = readers.index(&[0]).expect("reader");
        let mut read = task::spawn(read_all(&mut reader));
        assert_pending!(read.poll());
        writer.write_all(b"some").await.expect("write");
        assert!(read.is_woken());
        assert_pending!(read.poll());
        drop(writer);
        assert!(read.is_woken());
        assert_eq!(assert_ready!(read.poll()).expect("a clean end"), b"some");
    }
}

/// In both directions, and for a writer that waits. The rest of the call goes on.
pub async fn a_dropped_nested_reader_breaks_the_pipe_of_its_writer<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(4)));
    let ((params, results), (outgoing, incoming)) = host.call("").await;
    let directions = [(&params, &incoming), (&outgoing, &results)];
    for (writers, readers) in directions {
        let mut writer = writers.index(&[0]).expect("writer");
        let reader = readers.index(&[0]).expect("reader");
        let mut write = task::spawn(writer.write_all(b"more than four"));
        assert_pending!(write.poll());
        drop(reader);
        assert!(write.is_woken());
        let error = assert_ready!(write.poll()).expect_err("no one reads");
        assert!(matches!(call_error(&error), CallError::ReaderGone { .. }));
        let writer = writers.index(&[1]).expect("writer");
        pass(writer, readers.index(&[1]).expect("reader"), b"ok").await;
    }
}

/// A path that the other side asks for later holds as much as its limit, and its writer waits until then.
pub async fn a_writer_waits_at_the_limit_until_the_other_side_asks<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(4)));
    let ((params, _results), (_outgoing, incoming)) = host.call("").await;
    let mut writer = params.index(&[0]).expect("writer");
    let mut write = task::spawn(async move {
        writer.write_all(b"more than four").await.expect("write");
    });
    assert_pending!(write.poll());
    let mut reader = incoming.index(&[0]).expect("reader");
    let mut read = task::spawn(read_all(&mut reader));
    assert_pending!(read.poll());
    let received = tokio::join!(read, write).0;
    assert_eq!(received.expect("a clean end"), b"more than four");
}

/// A callee that fails ends its nested results cleanly: only the root tells.
pub async fn a_failed_callee_ends_its_nested_results_cleanly<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((_params, mut results), (outgoing, incoming)) = host.call("").await;
    let mut asked = results.index(&[0]).expect("reader");
    let mut writer = outgoing.index(&[0]).expect("writer");
    let never_asked = outgoing.index(&[1]).expect("writer");
    let mut never_opened = results.index(&[2]).expect("reader");
    writer.write_all(b"nested").await.expect("write");
    drop((outgoing, incoming, writer, never_asked));
    let error = read_all(&mut results).await.expect_err("the callee failed");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
    assert_eq!(read_all(&mut asked).await.expect("a clean end"), b"nested");
    let why = reader(&mut asked).why_failed();
    assert!(why.is_none(), "it has said nothing");
    assert_eq!(read_all(&mut never_opened).await.expect("a clean end"), b"");
}

/// Who reads a nested result that is not whole can ask why, whatever was dropped first.
pub async fn a_failed_callee_s_cause_is_there_for_who_reads_its_nested_results<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((mut params, results), (outgoing, incoming)) = host.call("").await;
    let mut nested = results.index(&[0]).expect("reader");
    drop(results);
    let writer = outgoing.index(&[0]).expect("writer");
    let caller = Caller::of(&outgoing).expect("a local call");
    caller.failed(&io::Error::other("it trapped"));
    drop((writer, outgoing, incoming));
    assert_eq!(read_all(&mut nested).await.expect("a clean end"), b"");
    let error = reader(&mut nested).why_failed();
    let error = error.expect("it said why");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
    assert!(error.to_string().ends_with(": it trapped"), "{error}");
    // The caller writes the parameters.
    assert!(Reader::of(&mut params).is_none());
}

/// As long as a side holds any stream of a direction, it can ask for more; its paths do not end with its root.
pub async fn a_nested_handle_keeps_its_side_there<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), (_outgoing, incoming)) = host.call("").await;
    let mut waiting = incoming.index(&[1]).expect("reader");
    let nested = params.index(&[0]).expect("writer");
    drop(params);
    let mut read = task::spawn(read_all(&mut waiting));
    assert_pending!(read.poll());
    let deeper = nested.index(&[7]).expect("writer");
    drop(nested);
    assert_pending!(read.poll());
    drop(deeper);
    assert!(read.is_woken(), "that was the last");
    assert_eq!(assert_ready!(read.poll()).expect("a clean end"), b"");
    drop(results);
}

/// A reader and a writer of paths that the other side never opened are woken when that side goes.
pub async fn a_path_that_the_other_side_never_asks_for_ends_with_it<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(4)));
    let ((params, results), callee) = host.call("").await;
    let mut reader = results.index(&[0]).expect("reader");
    let mut writer = params.index(&[0]).expect("writer");
    let mut read = task::spawn(read_all(&mut reader));
    let mut write = task::spawn(writer.write_all(b"more than four"));
    assert_pending!(read.poll());
    assert_pending!(write.poll());
    drop(callee);
    assert!(read.is_woken());
    assert!(write.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("read"), b"");
    let error = assert_ready!(write.poll()).expect_err("write");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// The same when it went before.
pub async fn a_path_asked_for_after_the_other_side_is_gone_ends_at_once<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let ((params, results), callee) = host.call("").await;
    drop(callee);
    let mut reader = results.index(&[0]).expect("reader");
    assert_eq!(read_all(&mut reader).await.expect("read"), b"");
    let mut writer = params.index(&[0]).expect("writer");
    let error = writer.write_all(b"lost").await.expect_err("write");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// A writer that does not wait when it is told to, as those of the host library, is ended before
/// all of the memory is its own. One that waits may have as much as it likes, and so has one at the
/// root.
pub async fn what_a_writer_adds_while_it_waits_is_bounded<B: Backend>(make: impl Make<B>) {
    const MIB: usize = 1 << 20;
    let zeros = vec![0; 600 * MIB];
    let piles_up = |writer: &mut Out<B>| {
        let held = (1..600).find_map(|mib| {
            let mut write = task::spawn(writer.write(&zeros[..mib * MIB]));
            match write.poll() {
                Poll::Ready(Err(error)) => Some((mib, error)),
                _ => None,
            }
        });
        let (mib, error) = held?;
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(matches!(call_error(&error), CallError::NotRead { .. }));
        assert!(error.to_string().contains("more than 251658240"), "{error}");
        Some(mib)
    };
    let host = Host::new(make(limit(64)));
    let ((mut params, mut results), (outgoing, incoming)) = host.call("").await;
    assert_eq!(piles_up(&mut params), None, "it is a root");
    for (writers, readers) in [(&params, &incoming), (&outgoing, &results)] {
        let mut writer = writers.index(&[0]).expect("writer");
        let mut reader = readers.index(&[0]).expect("reader");
        assert_eq!(piles_up(&mut writer), Some(241));
        drop(writer);
        let mut waits = writers.index(&[1]).expect("writer");
        let _unread = readers.index(&[1]).expect("reader");
        for _ in 0..3 {
            let mut write = task::spawn(waits.write_all(&zeros));
            assert_pending!(write.poll());
        }
        let end = task::spawn(tokio::task::unconstrained(read_all(&mut reader))).poll();
        assert_eq!(assert_ready!(end).expect("read").len(), 64);
    }
    let why = reader(&mut results).why_failed();
    let why = why.expect("what the callee's stream ended with");
    assert!(why.to_string().contains("251658240"), "{why}");
}

/// Each path has one stream each way. A second request is an error, not a stream that no one serves.
pub async fn a_path_cannot_be_taken_twice<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), (outgoing, incoming)) = host.call("").await;
    let taken = |error: Option<anyhow::Error>| {
        let error = error.expect("the path is taken");
        assert!(
            matches!(error.downcast_ref(), Some(CallError::PathTaken { .. })),
            "{error:?}"
        );
        assert!(error.to_string().contains("[5]"), "{error}");
    };
    let _waiting = params.index(&[5]).expect("writer");
    taken(params.index(&[5]).err());
    let _taken = incoming.index(&[5]).expect("reader");
    taken(params.index(&[5]).err());
    taken(incoming.index(&[5]).err());
    // The other direction has paths of its own.
    let _reader = results.index(&[5]).expect("reader");
    taken(results.index(&[5]).err());
    let _writer = outgoing.index(&[5]).expect("writer");
    taken(outgoing.index(&[5]).err());
}

/// The root is not a path of itself.
pub async fn an_empty_path_is_an_error<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let ((params, results), callee) = host.call("").await;
    let errors = [
        params.index(&[]).err(),
        results.index(&[]).err(),
        callee.0.index(&[]).err(),
        callee.1.index(&[]).err(),
    ];
    for error in errors {
        let error = error.expect("an empty path is refused");
        assert!(
            matches!(error.downcast_ref(), Some(CallError::EmptyPath { .. })),
            "{error:?}"
        );
    }
    drop(callee);
    let error = read_all(&mut { results })
        .await
        .expect_err("the callee is gone");
    assert!(matches!(call_error(&error), CallError::CalleeFailed { .. }));
}
