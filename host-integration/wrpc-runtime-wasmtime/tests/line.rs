//! Calls that wait in the line of a component whose guests compute. A test of its own: whether
//! guests take turns is chosen once in a process.

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "serve/host.rs"]
mod host;

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use inhost_conformance::support::{call_error, Host, PREFIX};
use inhost_dispatch::{time_used_up, CallError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use wasmtime::Store;
use wrpc_runtime_wasmtime::{collect_component_resources, in_ticks, take_turns, ServeExt as _};

use host::{component, exported, prepare, Ctx, Duplex, CORE_PING, FUNCTION, INSTANCE, PING};

/// Those that compute for long stand in one line.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Much longer than a test takes.
const LONG: Duration = Duration::from_secs(60);

/// A call that is not answered within this waits.
const SOON: Duration = Duration::from_millis(500);

type Calls = Pin<Box<dyn Stream<Item = host::Invocation> + Send>>;

/// Serves a component that computes for ever when it is passed 1, and else answers its `version`.
async fn serve(host: &Host<Duplex>, version: u32, limit: Duration) -> Calls {
    take_turns();
    let body = format!(
        "(if (local.get 0) (then (loop (br 0))))
         (i32.const {version})"
    );
    let (component, linker) = prepare(&component(PING, CORE_PING, &body, ""));
    let pre = linker.instantiate_pre(&component).expect("all is linked");
    let (alive, engine) = (Arc::<AtomicUsize>::default(), component.engine().clone());
    // As a host does: from here on it has ticks.
    collect_component_resources(&engine, &component.component_type(), &mut Vec::new());
    let ty = exported(&pre);
    let store = move || {
        let mut store = Store::new(&engine, Ctx::with_timeout(&alive, in_ticks(limit)));
        store.set_epoch_deadline(in_ticks(limit).as_secs());
        store
    };
    let client = host.client();
    let served = client.serve_function(store, pre, ty, INSTANCE, FUNCTION);
    Box::pin(served.await.expect("it can be served"))
}

/// Runs what comes, each in a task of its own, as a host does.
fn run(mut calls: Calls) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(call) = calls.next().await {
            let (_, running) = call.expect("taken");
            tokio::spawn(running);
        }
    })
}

fn call(host: &Arc<Host<Duplex>>, n: &'static [u8]) -> JoinHandle<std::io::Result<u8>> {
    let host = Arc::clone(host);
    tokio::spawn(async move {
        let (mut outgoing, mut incoming) = host.invoke("", n).await.expect("invoke");
        outgoing.shutdown().await?;
        incoming.read_u8().await
    })
}

/// Has as many guests compute as may at once, and returns calls that wait.
async fn wait_in_line(host: &Arc<Host<Duplex>>) -> Vec<JoinHandle<std::io::Result<u8>>> {
    let processors = available_parallelism().map_or(1, usize::from);
    for _ in 0..4 * processors {
        call(host, &[1]);
    }
    loop {
        let mut waits = call(host, &[0]);
        if tokio::time::timeout(SOON, &mut waits).await.is_err() {
            let more = [(); 4].map(|()| call(host, &[0]));
            return [waits].into_iter().chain(more).collect();
        }
    }
}

#[tokio::test]
async fn a_call_that_waits_in_line_fails_at_once_when_its_component_stops() {
    let _alone = ALONE.lock().await;
    let host = Arc::new(Host::new(Duplex));
    let serves = run(serve(&host, 1, LONG).await);
    let waiting = wait_in_line(&host).await;
    serves.abort();
    for call in waiting {
        let ended = tokio::time::timeout(LONG / 2, call).await;
        let error = ended.expect("at once").expect("no panic");
        let error = error.expect_err("no one runs it");
        let error = call_error(&error);
        assert!(matches!(error, CallError::NotAccepted { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_call_that_waits_in_line_is_run_by_the_next_version() {
    let _alone = ALONE.lock().await;
    for ended_by_the_host in [true, false] {
        let host = Arc::new(Host::new(Duplex));
        let old = run(serve(&host, 1, LONG).await);
        let new = run(serve(&host, 2, LONG).await);
        let waiting = wait_in_line(&host).await;
        if ended_by_the_host {
            let generations = host.local.generations();
            let newest = *generations[0].numbers.last().expect("there are two");
            let scope = generations[0].scope;
            host.local.end_older(scope, PREFIX, newest);
        } else {
            old.abort();
        }
        for call in waiting {
            let ended = tokio::time::timeout(LONG / 2, call).await;
            let answer = ended.expect("at once").expect("no panic");
            assert_eq!(answer.expect("an answer"), 2);
        }
        new.abort();
    }
}

#[tokio::test]
async fn a_call_that_waits_in_line_ends_with_its_time() {
    let _alone = ALONE.lock().await;
    let host = Arc::new(Host::new(Duplex));
    let _serves = run(serve(&host, 1, Duration::from_secs(6)).await);
    for call in wait_in_line(&host).await {
        let ended = tokio::time::timeout(LONG / 2, call).await;
        let _ended_somehow = ended.expect("in time").expect("no panic");
    }
}

#[tokio::test]
async fn a_guest_whose_caller_goes_when_its_time_is_over_is_counted_as_one_that_computed_too_long()
{
    let _alone = ALONE.lock().await;
    const LIMIT: Duration = Duration::from_secs(3);
    let host = Arc::new(Host::new(Duplex));
    let mut calls = serve(&host, 1, LIMIT).await;
    let before = time_used_up();
    for (stays, counted) in [(LIMIT - Duration::from_millis(100), 1), (LIMIT / 3, 0)] {
        let before = time_used_up();
        let calling = call(&host, &[1]);
        let (_, running) = calls.next().await.expect("one").expect("taken");
        let running = tokio::spawn(running);
        tokio::time::sleep(stays).await;
        calling.abort();
        let ended = tokio::time::timeout(LIMIT, running).await.expect("in time");
        let error = format!("{:#}", ended.expect("no panic").expect_err("it is ended"));
        let said = error.contains("--max-execution-time-ms");
        assert_eq!(said, counted == 1, "{error}");
        assert_eq!(time_used_up(), before + counted, "{error}");
    }
    assert_eq!(time_used_up(), before + 1);
}
