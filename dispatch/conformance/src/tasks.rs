//! Cases for streams and the tasks that they are used in: each half has a waker of its own, a half can move to another
//! task, and a task that is never made to wait still lets others run.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use inhost_dispatch::Backend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::Index as _;

use crate::support::{limit, off_task, pattern, read_all, within_a_minute, Host};
use crate::Make;

/// Far more than the budget of a task's turn.
const MANY: usize = 10_000;

/// Whether another task of this thread gets its turn before `busy` is done.
async fn another_runs_meanwhile(busy: impl Future<Output = ()> + Send + 'static) -> bool {
    let done = Arc::new(AtomicBool::new(false));
    let busy = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            busy.await;
            done.store(true, Ordering::Relaxed);
        }
    });
    let other = tokio::spawn(async move { !done.load(Ordering::Relaxed) });
    let meanwhile = other.await.expect("the other task");
    busy.await.expect("the busy task");
    meanwhile
}

/// There is room for all it writes.
pub async fn a_writer_that_never_waits_lets_others_run<B: Backend>(make: impl Make<B>) {
    // A backend may bound messages, too. They are more than tokio lets a task have in one turn.
    const WRITES: usize = 1000;
    let (mut writer, _reader) = make(limit(MANY)).stream();
    let busy = async move {
        for _ in 0..WRITES {
            writer.write_all(b"x").await.expect("write");
        }
    };
    assert!(another_runs_meanwhile(busy).await);
}

/// All it reads is there, in one message if the backend has such.
pub async fn a_reader_that_never_waits_lets_others_run<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(MANY)).stream();
    writer.write_all(&pattern(MANY)).await.expect("write");
    let busy = async move {
        for _ in 0..MANY {
            reader.read_u8().await.expect("read");
        }
    };
    assert!(another_runs_meanwhile(busy).await);
}

/// Nor is a callee made to wait for what came with the invocation.
pub async fn reading_what_came_with_the_call_lets_others_run<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let (_caller, (_outgoing, mut incoming)) = host.call(pattern(MANY)).await;
    let busy = async move {
        for _ in 0..MANY {
            incoming.read_u8().await.expect("read");
        }
    };
    assert!(another_runs_meanwhile(busy).await);
}

/// The task that asked last is the one that is woken.
pub async fn a_half_that_moves_to_another_task_is_woken_there<B: Backend>(make: impl Make<B>) {
    let (mut writer, mut reader) = make(limit(4)).stream();
    let mut byte = [0];
    assert_pending!(task::spawn(reader.read(&mut byte)).poll());
    let mut read = task::spawn(reader.read(&mut byte));
    assert_pending!(read.poll());
    writer.write_all(b"1").await.expect("write");
    assert!(read.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("read"), 1);
    drop(read);

    writer.write_all(b"full").await.expect("write");
    assert_pending!(task::spawn(writer.write(b"5")).poll());
    let mut write = task::spawn(writer.write(b"5"));
    assert_pending!(write.poll());
    reader.read_exact(&mut byte).await.expect("read");
    assert!(write.is_woken());
    assert_eq!(assert_ready!(write.poll()).expect("write"), 1);
}

/// A reader and a writer that wait at the same time are woken each for its own reason.
pub async fn each_half_is_woken_by_the_other_side_of_its_stream_only<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(4)));
    let ((mut params, mut results), (mut outgoing, mut incoming)) = host.call("").await;
    let mut byte = [0];
    let mut write = task::spawn(params.write_all(b"12345"));
    let mut read = task::spawn(results.read(&mut byte));
    assert_pending!(write.poll());
    assert_pending!(read.poll());
    incoming.read_u8().await.expect("read");
    assert!(write.is_woken() && !read.is_woken());
    assert_ready!(write.poll()).expect("write");
    outgoing.write_all(b"x").await.expect("write");
    assert!(read.is_woken());
    assert_eq!(assert_ready!(read.poll()).expect("read"), 1);
}

/// On several threads: each half of each stream in a task of its own, and the paths opened from
/// those tasks too, so that both sides ask for them at the same time.
pub async fn all_streams_of_a_call_live_in_tasks_of_their_own<B: Backend>(make: impl Make<B>) {
    off_task(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(4).enable_time();
        let all = async {
            for _ in 0..10 {
                every_stream_at_once(make).await;
            }
        };
        let runtime = runtime.build().expect("a runtime");
        runtime.block_on(within_a_minute("streams in tasks", all));
    })
    .await;
}

async fn every_stream_at_once<B: Backend>(make: impl Make<B>) {
    const PATHS: usize = 20;
    let host = Host::new(make(limit(100)));
    let ((params, results), (outgoing, incoming)) = host.call("").await;
    let mut tasks = JoinSet::new();
    let directions = [(params, incoming), (outgoing, results)];
    for (mut writer, mut reader) in directions {
        let mut nested = Vec::new();
        for path in 0..PATHS {
            nested.push((writer.index(&[path]), reader.index(&[path])));
        }
        for (path, (writer, reader)) in nested.into_iter().enumerate() {
            let writer = writer.expect("a nested writer");
            let reader = reader.expect("a nested reader");
            tasks.spawn(async move {
                let mut writer = writer.index(&[1]).expect("a writer");
                writer.write_all(&pattern(path * 50)).await.expect("write");
                writer.shutdown().await.expect("shutdown");
            });
            tasks.spawn(async move {
                let mut reader = reader.index(&[1]).expect("a reader");
                let bytes = read_all(&mut reader).await.expect("read");
                assert_eq!(bytes, pattern(path * 50));
            });
        }
        tasks.spawn(async move {
            writer.write_all(&pattern(5000)).await.expect("write");
            writer.shutdown().await.expect("shutdown");
        });
        tasks.spawn(async move {
            assert_eq!(read_all(&mut reader).await.expect("read"), pattern(5000));
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a task");
    }
}
