//! Cases for a byte stream by itself: the contract of [`Backend::stream`].

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use inhost_dispatch::Backend;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{limit, off_task, pattern};
use crate::Make;

/// `shutdown`: the reader gets the bytes written before, then end of stream, every time it asks.
pub async fn shutdown_ends_the_stream_after_its_bytes<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    writer.write_all(b"some bytes").await.expect("write");
    writer.shutdown().await.expect("shutdown");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(bytes, b"some bytes");
    assert_eq!(reader.read(&mut [0; 8]).await.expect("read again"), 0);
}

/// Dropping the writer: as `shutdown`.
pub async fn dropping_the_writer_ends_the_stream_after_its_bytes<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    writer.write_all(b"some bytes").await.expect("write");
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(bytes, b"some bytes");
}

/// `shutdown` of a full stream is ready at once.
pub async fn shutdown_does_not_wait_for_the_reader<B: Backend>(make: impl Make<B>) {
    let (mut writer, _reader) = make(limit(4)).stream();
    writer.write_all(b"full").await.expect("write");
    assert_ready!(task::spawn(writer.shutdown()).poll()).expect("shutdown");
}

/// Nothing can be written to a stream that was shut down.
pub async fn writing_after_shutdown_is_a_broken_pipe<B: Backend>(make: impl Make<B>) {
    let (mut writer, _reader) = make(limit(64)).stream();
    writer.shutdown().await.expect("shutdown");
    let error = writer.write(b"more").await.expect_err("write");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// `shutdown` again, and the drop after it, change nothing.
pub async fn shutdown_twice_is_no_error<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    writer.write_all(b"bytes").await.expect("write");
    writer.shutdown().await.expect("shutdown");
    writer.shutdown().await.expect("shutdown again");
    writer.flush().await.expect("flush");
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(bytes, b"bytes");
}

/// A writer that has nothing to say any more does not learn that no one listens.
pub async fn shutdown_without_a_reader_is_no_error<B: Backend>(make: impl Make<B>) {
    let (mut writer, reader) = make(limit(4)).stream();
    writer.write_all(b"full").await.expect("write");
    drop(reader);
    writer.flush().await.expect("flush");
    writer.shutdown().await.expect("shutdown");
}

/// A writer whose reader is gone fails on its next write, whatever is left unread.
pub async fn dropping_the_reader_breaks_the_pipe<B: Backend>(make: impl Make<B>) {
    for unread in [&b""[..], &b"unread"[..]] {
        let (mut writer, reader) = make(limit(64)).stream();
        writer.write_all(unread).await.expect("write");
        drop(reader);
        let error = writer.write(b"more").await.expect_err("write");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

/// A writer that waits for room fails when the reader goes.
pub async fn a_waiting_writer_is_woken_when_the_reader_goes<B: Backend>(make: impl Make<B>) {
    let (mut writer, reader) = make(limit(4)).stream();
    let mut write = task::spawn(writer.write_all(b"more than four"));
    assert_pending!(write.poll());
    drop(reader);
    assert!(write.is_woken());
    let error = assert_ready!(write.poll()).expect_err("write");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

/// A writer that waits for room goes on when there is some.
pub async fn a_waiting_writer_is_woken_when_there_is_room<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(4)).stream();
    let mut write = task::spawn(writer.write_all(b"12345"));
    assert_pending!(write.poll());
    let mut first = [0; 1];
    reader.read_exact(&mut first).await.expect("read");
    assert!(write.is_woken());
    assert_ready!(write.poll()).expect("write");
    let mut rest = [0; 4];
    reader.read_exact(&mut rest).await.expect("read");
    assert_eq!((&first, &rest), (b"1", b"2345"));
}

/// A reader that waits gets bytes as they are written.
pub async fn a_waiting_reader_is_woken_by_bytes<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    let mut bytes = [0; 3];
    let mut read = task::spawn(reader.read_exact(&mut bytes));
    assert_pending!(read.poll());
    writer.write_all(b"abc").await.expect("write");
    assert!(read.is_woken());
    assert_ready!(read.poll()).expect("read");
    drop(read);
    assert_eq!(&bytes, b"abc");
}

/// A reader that waits sees the end of the stream.
pub async fn a_waiting_reader_is_woken_by_shutdown<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    let mut bytes = [0; 3];
    let mut read = task::spawn(reader.read(&mut bytes));
    assert_pending!(read.poll());
    writer.shutdown().await.expect("shutdown");
    assert!(read.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("read"), 0);
}

/// A reader that waits sees the end of the stream when the writer goes.
pub async fn a_waiting_reader_is_woken_when_the_writer_goes<B: Backend>(make: impl Make<B>) {
    let (writer, mut reader) = make(limit(64)).stream();
    let mut bytes = [0; 3];
    let mut read = task::spawn(reader.read(&mut bytes));
    assert_pending!(read.poll());
    drop(writer);
    assert!(read.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("read"), 0);
}

/// Reading and writing nothing is ready, on an empty stream and on a full one.
pub async fn empty_io_returns_at_once<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(4)).stream();
    assert_eq!(
        assert_ready!(task::spawn(reader.read(&mut [])).poll()).expect("read"),
        0
    );
    assert_eq!(
        assert_ready!(task::spawn(writer.write(&[])).poll()).expect("write"),
        0
    );
    writer.write_all(b"full").await.expect("write");
    assert_eq!(
        assert_ready!(task::spawn(writer.write(&[])).poll()).expect("write"),
        0
    );
    assert_eq!(
        assert_ready!(task::spawn(reader.read(&mut [])).poll()).expect("read"),
        0
    );
    // None of that was an end of stream.
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).await.expect("read");
    assert_eq!(&bytes, b"full");
}

/// A stream holds as many bytes as its limit says, in one write or in many.
pub async fn the_limit_counts_bytes_and_not_writes<B: Backend>(make: impl Make<B>) {
    let (mut writer, _reader) = make(limit(10)).stream();
    for byte in 0..10 {
        assert_ready!(task::spawn(writer.write_all(&[byte])).poll()).expect("write");
    }
    assert_pending!(task::spawn(writer.write(b"x")).poll());

    let (mut writer, _reader) = make(limit(10)).stream();
    let written = assert_ready!(task::spawn(writer.write(&[0; 100])).poll()).expect("write");
    assert_eq!(written, 10);
    assert_pending!(task::spawn(writer.write(b"x")).poll());
}

/// The smallest limit there is only makes it slow.
pub async fn a_limit_of_one_byte_passes_everything<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(1)).stream();
    let sent = pattern(1000);
    let received = tokio::join!(
        async {
            writer.write_all(&sent).await.expect("write");
            writer.shutdown().await.expect("shutdown");
        },
        async {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).await.expect("read");
            received
        }
    )
    .1;
    assert_eq!(received, sent);
}

/// What `poll_write` took can be read; `flush` is not needed.
pub async fn bytes_are_there_without_flush<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    writer.write_all(b"now").await.expect("write");
    let mut bytes = [0; 3];
    assert_ready!(task::spawn(reader.read_exact(&mut bytes)).poll()).expect("read");
    assert_ready!(task::spawn(writer.flush()).poll()).expect("flush");
}

/// Each half works in a task of its own, with payloads far above the limit.
pub async fn halves_live_in_tasks_of_their_own<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(1024)).stream();
    let sent = pattern(1 << 20);
    let write = tokio::spawn({
        let sent = sent.clone();
        async move {
            for part in sent.chunks(777) {
                writer.write_all(part).await.expect("write");
            }
            writer.shutdown().await.expect("shutdown");
        }
    });
    let read = tokio::spawn(async move {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.expect("read");
        received
    });
    write.await.expect("the writing task");
    assert_eq!(read.await.expect("the reading task"), sent);
}

/// A write that was given up while it waited has written nothing, and takes nothing from those after it.
pub async fn a_cancelled_write_leaves_the_stream_whole<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(4)).stream();
    writer.write_all(b"1234").await.expect("write");
    for _ in 0..3 {
        assert_pending!(task::spawn(writer.write(b"lost")).poll());
    }
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).await.expect("read");
    assert_eq!(&bytes, b"1234");
    let mut write = task::spawn(writer.write_all(b"5678"));
    assert_ready!(write.poll()).expect("write");
    drop(write);
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.expect("read");
    assert_eq!(bytes, b"5678");
}

/// A task that only copies from writer to reader lets another task of its thread run.
pub async fn a_reader_and_a_writer_in_one_task_let_others_run<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(64)).stream();
    let other_ran = Arc::new(AtomicBool::new(false));
    let copy = tokio::spawn({
        let other_ran = Arc::clone(&other_ran);
        async move {
            // Without a budget this loop would run to its end before the other task gets a turn.
            for turn in 0..100_000 {
                writer.write_all(b"12345678").await.expect("write");
                reader.read_exact(&mut [0; 8]).await.expect("read");
                if other_ran.load(Ordering::Relaxed) {
                    return turn;
                }
            }
            panic!("the other task never ran");
        }
    });
    let other = tokio::spawn(async move { other_ran.store(true, Ordering::Relaxed) });
    other.await.expect("the other task");
    copy.await.expect("the copying task");
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Read(usize),
    Shutdown,
    DropWriter,
    DropReader,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..40_usize).prop_map(Step::Write),
        10 => (0..40_usize).prop_map(Step::Read),
        1 => Just(Step::Shutdown),
        1 => Just(Step::DropWriter),
        1 => Just(Step::DropReader),
    ]
}

/// Whatever is done in whatever order, the stream behaves like a queue of bytes with a limit.
pub async fn agrees_with_a_model<B: Backend>(make: impl Make<B>) {
    let sequences = (1..32_usize, prop::collection::vec(step(), 0..80));
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(512)
    };
    let run = move || {
        TestRunner::new(config).run(&sequences, |(room, steps)| {
            run_model(&make(limit(room)), room, &steps);
            Ok(())
        })
    };
    if let Err(failure) = off_task(run).await {
        panic!("{failure}");
    }
}

fn run_model<B: Backend>(backend: &B, room: usize, steps: &[Step]) {
    let (writer, reader) = backend.stream();
    let (mut writer, mut reader) = (Some(writer), Some(reader));
    let mut held = VecDeque::new();
    let mut shut_down = false;
    let mut next = 0_u8;
    for step in steps {
        match (step, &mut writer, &mut reader) {
            (Step::Write(len), Some(writer), _) => {
                let bytes: Vec<u8> = (0..*len).map(|i| next.wrapping_add(i as u8)).collect();
                let mut write = task::spawn(writer.write(&bytes));
                let free = room - held.len();
                if *len == 0 {
                    assert_eq!(assert_ready!(write.poll()).expect("write nothing"), 0);
                } else if shut_down || reader.is_none() {
                    let error = assert_ready!(write.poll()).expect_err("write");
                    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
                } else if free == 0 {
                    assert_pending!(write.poll());
                } else {
                    let n = assert_ready!(write.poll()).expect("write");
                    assert_eq!(n, free.min(*len));
                    held.extend(&bytes[..n]);
                    next = next.wrapping_add(n as u8);
                }
            }
            (Step::Read(len), _, Some(reader)) => {
                let mut bytes = vec![0; *len];
                let mut read = task::spawn(reader.read(&mut bytes));
                if *len > 0 && held.is_empty() && writer.is_some() && !shut_down {
                    assert_pending!(read.poll());
                } else {
                    let n = assert_ready!(read.poll()).expect("read");
                    drop(read);
                    assert_eq!(n == 0, *len == 0 || held.is_empty());
                    assert!(n <= *len);
                    assert_eq!(bytes[..n], held.drain(..n).collect::<Vec<_>>());
                }
            }
            (Step::Shutdown, Some(writer), _) => {
                assert_ready!(task::spawn(writer.shutdown()).poll()).expect("shutdown");
                shut_down = true;
            }
            (Step::DropWriter, ..) => writer = None,
            (Step::DropReader, ..) => reader = None,
            _ => {}
        }
    }
}
