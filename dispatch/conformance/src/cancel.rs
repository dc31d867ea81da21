//! Cases for futures of a call that are dropped before they are ready: after one poll, after two,
//! and so on up to the last.

use std::future::Future;
use std::task::Poll;

use bytes::Bytes;
use futures::StreamExt as _;
use inhost_dispatch::{Backend, Caller};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::Index as _;

use crate::support::{limit, off_task, pattern, read_all, reader, Host, In, Out};
use crate::Make;

/// The result of a future that does not wait.
fn now<F: Future>(future: F) -> F::Output {
    assert_ready!(task::spawn(future).poll())
}

/// Streams of one call, root and nested, in both directions: the writer and the reader of each.
type Streams<B> = Vec<(Out<B>, In<B>)>;

fn streams<B: Backend>(make: impl Make<B>, room: usize) -> Streams<B> {
    let host = Host::new(make(limit(room)));
    let ((params, results), (outgoing, incoming)) = now(host.call(""));
    let mut streams = Vec::new();
    for (writers, readers) in [(&params, &incoming), (&outgoing, &results)] {
        let writer = writers.index(&[0, 1]).expect("writer");
        streams.push((writer, readers.index(&[0, 1]).expect("reader")));
    }
    streams.push((params, incoming));
    streams.push((outgoing, results));
    streams
}

/// Each `write`, `read` and `flush` that is not ready is dropped, and asked for anew: nothing is
/// lost, and nothing comes twice.
pub async fn io_that_is_given_up_each_time_loses_nothing<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        for (mut writer, mut reader) in streams(make, 3) {
            let sent = pattern(200);
            let (mut written, mut received) = (0, Vec::new());
            for _ in &sent {
                // As much as there is room for, and one try too many.
                while let Some(n) = try_write(&mut writer, &sent[written..]) {
                    written += n;
                }
                now(writer.flush()).expect("flush");
                received.extend(read_what_is_there(&mut reader, 2));
            }
            assert_eq!(received, sent);
            now(writer.shutdown()).expect("shutdown");
            assert_eq!(try_read(&mut reader, 2), Some(Vec::new()));
        }
    })
    .await;
}

/// Tries to write, and gives up when there is no room.
fn try_write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    let written = ready(task::spawn(writer.write(bytes)).poll())?;
    Some(written.expect("someone reads"))
}

/// Tries to read, and gives up when there is nothing. Empty at the end.
fn try_read(reader: &mut (impl AsyncRead + Unpin), most: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; most];
    let read = ready(task::spawn(reader.read(&mut bytes)).poll())?;
    bytes.truncate(read.expect("a clean stream"));
    Some(bytes)
}

/// Reads until there is nothing, a few bytes at a time.
fn read_what_is_there(reader: &mut (impl AsyncRead + Unpin), most: usize) -> Vec<u8> {
    std::iter::from_fn(|| try_read(reader, most).filter(|bytes| !bytes.is_empty()))
        .flatten()
        .collect()
}

fn ready<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A `write_all` that is given up has written a part, from the beginning; what is written next follows it.
pub async fn a_write_all_given_up_at_any_poll_has_written_a_part<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        for polls in 0..100 {
            let mut finished = 0;
            for (mut writer, mut reader) in streams(make, 4) {
                let sent = pattern(18);
                let mut received = Vec::new();
                let mut write = task::spawn(writer.write_all(&sent));
                for _ in 0..polls {
                    if write.poll().is_ready() {
                        finished += 1;
                        break;
                    }
                    received.extend(try_read(&mut reader, 3).expect("it has written"));
                    assert!(write.is_woken(), "there is room");
                }
                drop(write);
                received.extend(read_what_is_there(&mut reader, 3));
                assert!(sent.starts_with(&received));
                now(writer.write_all(&[0xff; 2])).expect("there is room for two");
                now(writer.shutdown()).expect("shutdown");
                assert_eq!(now(read_all(&mut reader)).expect("a clean end"), [0xff; 2]);
            }
            if finished == 4 {
                assert!(polls > 3, "it has waited a few times");
                return;
            }
        }
        panic!("it is never ready");
    })
    .await;
}

/// A `read_exact` that is given up has taken what it was given so far; the next read goes on from there.
pub async fn a_read_exact_given_up_at_any_poll_has_taken_a_part<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        for polls in 0..100 {
            let mut finished = 0;
            for (mut writer, mut reader) in streams(make, 64) {
                let sent: Vec<u8> = (1..=9).collect();
                let mut parts = sent.chunks(2);
                let mut bytes = [0; 8];
                let mut read = task::spawn(reader.read_exact(&mut bytes));
                for _ in 0..polls {
                    if read.poll().is_ready() {
                        finished += 1;
                        break;
                    }
                    let part = parts.next().expect("it is ready after eight");
                    now(writer.write_all(part)).expect("there is room");
                    assert!(read.is_woken(), "there are bytes");
                }
                drop(read);
                let taken = bytes.iter().filter(|byte| **byte != 0).count();
                assert_eq!(bytes[..taken], sent[..taken]);
                parts.for_each(|part| now(writer.write_all(part)).expect("there is room"));
                now(writer.shutdown()).expect("shutdown");
                assert_eq!(
                    now(read_all(&mut reader)).expect("a clean end"),
                    sent[taken..]
                );
            }
            if finished == 4 {
                return;
            }
        }
        panic!("it is never ready");
    })
    .await;
}

/// A callee that waits for a call and gives up has not taken the one that comes, though it was woken for it.
pub async fn waiting_for_a_call_can_be_given_up<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        for polls in 0..3 {
            let host = Host::new(make(limit(64)));
            let mut served = now(host.serve());
            // Each time by another task; the last one is woken.
            for _ in 0..polls {
                assert_pending!(task::spawn(served.next()).poll());
            }
            let mut next = task::spawn(served.next());
            assert_pending!(next.poll());
            let _caller = now(host.invoke("waits", "")).expect("invoke");
            assert!(next.is_woken());
            drop(next);
            let (context, ..) = now(served.next()).expect("an invocation");
            assert_eq!(context, "waits");
        }
    })
    .await;
}

/// An invocation does not wait; one that is never polled calls no one.
pub async fn an_invocation_that_is_never_polled_calls_no_one<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        let host = Host::new(make(limit(64)));
        let mut served = now(host.serve());
        drop(host.invoke("dropped", ""));
        assert_pending!(task::spawn(served.next()).poll());
        assert_eq!(host.local.calls().local, 0);
    })
    .await;
}

/// Nor does waiting for a piece, or for the caller to go, lose anything.
pub async fn waiting_for_pieces_and_for_the_caller_can_be_given_up<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        for polls in 0..3 {
            let host = Host::new(make(limit(64)));
            let ((mut params, mut results), (mut outgoing, mut incoming)) = now(host.call(""));
            let give_up_on_piece = |incoming: &mut In<B>| {
                let mut reader = reader(incoming);
                let mut piece = task::spawn(reader.next_piece());
                (0..polls).for_each(|_| assert!(piece.poll().is_pending()));
            };
            give_up_on_piece(&mut incoming);
            now(params.write_all(b"piece")).expect("write");
            let piece = now(reader(&mut incoming).next_piece());
            assert_eq!(piece.expect("parameters"), "piece");

            let caller = Caller::of(&outgoing).expect("a local call has a caller");
            let mut gone = task::spawn(caller.gone());
            (0..polls).for_each(|_| assert!(gone.poll().is_pending()));
            drop(gone);

            give_up_on_piece(&mut results);
            caller
                .answer(Bytes::from_static(b"answer"))
                .expect("someone reads");
            give_up_on_piece(&mut results);
            now(outgoing.shutdown()).expect("shutdown");
            let piece = now(reader(&mut results).next_piece());
            assert_eq!(piece.expect("results"), "answer");

            let ((params, results), (outgoing, _incoming)) = now(host.call(""));
            let caller = Caller::of(&outgoing).expect("a local call has a caller");
            let mut gone = task::spawn(caller.gone());
            (0..polls).for_each(|_| assert!(gone.poll().is_pending()));
            drop((params, results));
            assert_eq!(gone.is_woken(), polls > 0);
            drop(gone);
            now(caller.gone());
        }
    })
    .await;
}
