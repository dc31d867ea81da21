//! Over NATS, too, the oldest generation of a component answers, and nothing is lost when the next one does.
#![cfg(any(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wrpc_transport::{Invoke as _, Serve as _};
use wrpc_transport_nats::local::{Config, Local, Mode};
use wrpc_transport_nats::Client;

use support::{call_echo, ours, promptly, settle, stock, Server, Task, CALLEE, GROUP, INSTANCE};

mod support;

/// What a host runs of one version of a component: it answers with the number of the version.
async fn version(
    nats: &Arc<async_nats::Client>,
    local: &Local,
    number: usize,
    taken: &Arc<AtomicUsize>,
) -> Task {
    let client = Client::with_local(Arc::clone(nats), CALLEE, Some(GROUP.into()), local);
    let calls = client.serve(INSTANCE, "echo", []).await.expect("serve");
    let taken = Arc::clone(taken);
    Task::spawn(async move {
        let mut calls = std::pin::pin!(calls);
        while let Some(call) = calls.next().await {
            let (_, mut outgoing, _incoming): (Option<HeaderMap>, _, _) = call.expect("a call");
            taken.fetch_add(1, Ordering::Relaxed);
            let answer = async move {
                let number = number.to_string();
                outgoing.write_all(number.as_bytes()).await.expect("write");
                outgoing.shutdown().await.expect("shutdown");
            };
            tokio::spawn(answer);
        }
    })
}

async fn ask(caller: &Client) -> usize {
    let answer = promptly(call_echo(caller, "")).await;
    let answer = String::from_utf8(answer.expect("an answer")).expect("a number");
    answer.parse().expect("a number")
}

/// Ends all generations but the newest.
fn end_older(local: &Local) {
    for it in local.generations() {
        let newest = it.numbers.last().copied().unwrap_or(u64::MAX);
        local.end_older(it.scope, &it.prefix, newest);
    }
}

fn modes() -> [Config; 3] {
    let of = |mode| Config {
        mode,
        ..Config::default()
    };
    let mut mixed = of(Mode::Prefer);
    mixed.targets.insert("callee".into(), Mode::Off);
    [of(Mode::Prefer), of(Mode::Require), mixed]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_version_answers_and_none_after_the_last() {
    for config in modes() {
        let server = Server::start().await;
        let (far, near) = (server.connect().await, server.connect().await);
        let local = Local::new(config).expect("the default backend");
        let caller = ours(&near, None);
        let taken = Arc::default();
        let first = version(&far, &local, 1, &taken).await;
        settle(&far).await;
        // An update: made, polled, and dropped.
        let update = version(&far, &local, 2, &taken).await;
        for _ in 0..20 {
            assert_eq!(ask(&caller).await, 1);
        }
        drop(update);
        for _ in 0..20 {
            assert_eq!(ask(&caller).await, 1);
        }
        let second = version(&far, &local, 2, &taken).await;
        end_older(&local);
        for _ in 0..20 {
            assert_eq!(ask(&caller).await, 2);
        }
        drop(first);
        assert_eq!(ask(&caller).await, 2);
        drop(second);
        support::until("a version is there", || local.generations().is_empty()).await;
        settle(&far).await;
        promptly(call_echo(&caller, ""))
            .await
            .expect_err("no one answers");
    }
}

/// From elsewhere and from here, in a hundred scales and updates: each call is taken once and answered.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_lost_while_versions_come_and_go() {
    const CALLERS: usize = 16;
    let server = Server::start().await;
    let (far, near) = (server.connect().await, server.connect().await);
    let local = Local::new(Config::default()).expect("the default backend");
    let (done, taken) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let mut current = version(&far, &local, 0, &taken).await;
    settle(&far).await;
    let mut callers = JoinSet::new();
    for n in 0..CALLERS {
        let caller = match n % 2 {
            0 => ours(&near, None),
            _ => Client::with_local(Arc::clone(&far), CALLEE, None, &local),
        };
        let done = Arc::clone(&done);
        callers.spawn(async move {
            let (mut calls, mut newest) = (0, 0);
            while done.load(Ordering::Relaxed) == 0 {
                let version = ask(&caller).await;
                assert!(version >= newest, "{version} after {newest}");
                newest = version;
                calls += 1;
            }
            calls
        });
    }
    let mut left = Vec::new();
    for number in 1..=100 {
        let update = version(&far, &local, 1000, &taken).await;
        tokio::task::yield_now().await;
        drop(update);
        support::until("it is still there", || {
            local.generations()[0].numbers.len() == 1
        })
        .await;
        let next = version(&far, &local, number, &taken).await;
        let before = taken.load(Ordering::Relaxed);
        if number % 2 == 0 {
            // The host has no handle of the old one: it stays until the end of the process.
            end_older(&local);
            left.push(std::mem::replace(&mut current, next));
        } else {
            drop(std::mem::replace(&mut current, next));
        }
        support::until("calls do not go on", || {
            taken.load(Ordering::Relaxed) > before + 2 * CALLERS
        })
        .await;
    }
    done.store(1, Ordering::Relaxed);
    let calls: usize = callers.join_all().await.into_iter().sum();
    assert_eq!(taken.load(Ordering::Relaxed), calls);
}

/// What was sent before and after, headers included, is there for whoever takes the call next;
/// where nobody does, its caller hears of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_put_back_is_run_by_the_next_version() {
    let server = Server::start().await;
    let (far, near) = (server.connect().await, server.connect().await);
    let local = Local::new(Config::default()).expect("the default backend");
    let client = || Client::with_local(Arc::clone(&far), CALLEE, Some(GROUP.into()), &local);
    let (older, newer) = (client(), client());
    let old = older.serve(INSTANCE, "echo", []).await;
    let mut old = Box::pin(old.expect("served"));
    let new = newer.serve(INSTANCE, "echo", []).await;
    let mut new = Box::pin(new.expect("served"));
    settle(&far).await;
    let caller = ours(&near, None);
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "first");
    let paths: [&[Option<usize>]; 0] = [];
    let first = caller.invoke(Some(headers), INSTANCE, "echo", "para".into(), paths);
    let (mut params, mut results) = first.await.expect("sent");
    let (_, outgoing, incoming) = promptly(old.next()).await.expect("one").expect("a call");
    params.write_all(b"met").await.expect("sent");
    inhost_dispatch::put_back(outgoing, incoming);
    // Twice: what is known of it stays.
    let (_, outgoing, incoming) = promptly(old.next()).await.expect("one").expect("a call");
    inhost_dispatch::put_back(outgoing, incoming);
    drop(old);
    params.write_all(b"ers").await.expect("sent");
    params.shutdown().await.expect("sent");

    let (headers, mut outgoing, mut incoming) =
        promptly(new.next()).await.expect("one").expect("a call");
    let headers = headers.expect("those of the caller");
    assert_eq!(headers.get("traceparent").expect("kept").as_str(), "first");
    let mut received = String::new();
    let read = promptly(incoming.read_to_string(&mut received)).await;
    read.expect("the parameters");
    assert_eq!(received, "parameters");
    outgoing.write_all(b"ran").await.expect("sent");
    outgoing.shutdown().await.expect("sent");
    let mut answer = String::new();
    let read = promptly(results.read_to_string(&mut answer)).await;
    read.expect("the results");
    assert_eq!(answer, "ran");

    let later = caller.invoke(None, INSTANCE, "echo", "later".into(), paths);
    let (mut later, mut later_results) = later.await.expect("sent");
    let (_, outgoing, incoming) = promptly(new.next()).await.expect("one").expect("a call");
    later.shutdown().await.expect("sent");
    drop(new);
    inhost_dispatch::put_back(outgoing, incoming);
    let mut nothing = String::new();
    let read = promptly(later_results.read_to_string(&mut nothing)).await;
    read.expect("their end");
    assert_eq!(nothing, "");
}

/// Of a component that is stopped, callers from elsewhere hear at once, also those whose calls had
/// arrived and were not taken. Without results, a call that was taken is one that its caller takes to be run.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_have_arrived_end_with_the_last_version() {
    let server = Server::start().await;
    let (far, near) = (server.connect().await, server.connect().await);
    for has_results in [true, false] {
        let local = Local::new(Config::default()).expect("the default backend");
        let client = Client::with_local(Arc::clone(&far), CALLEE, Some(GROUP.into()), &local);
        let serve = client.serve(INSTANCE, "echo", []);
        let (calls, _) = inhost_dispatch::with_serving(has_results, serve).await;
        let calls = calls.expect("served");
        settle(&far).await;
        let caller = ours(&near, None);
        let upstream = stock(&near, None).await;
        let mut waiting = Vec::new();
        // More than a task may do at once.
        for _ in 0..200 {
            let sent = caller.invoke(None, INSTANCE, "echo", "".into(), support::NO_PATHS);
            waiting.push(sent.await.expect("sent"));
        }
        let sent = upstream.invoke(None, INSTANCE, "echo", "".into(), support::NO_PATHS);
        let (mut published, _published_results) = sent.await.expect("sent");
        // Then all of them have been sent to the callee's connection, and have come out of it.
        settle(&near).await;
        settle(&far).await;
        drop(calls);
        for (mut params, mut results) in waiting {
            let mut nothing = Vec::new();
            let read = promptly(results.read_to_end(&mut nothing)).await;
            let told = promptly(params.flush()).await;
            assert_eq!((read.is_ok(), told.is_ok()), (has_results, has_results));
            assert_eq!(nothing, b"");
        }
        // Upstream's client loses an answer now and then; one that it hears is no other.
        if let Ok(told) = timeout(Duration::from_secs(5), published.flush()).await {
            let refused = told.err().map(|error| error.kind());
            assert_eq!(refused, (!has_results).then_some(ErrorKind::InvalidInput));
        }
        let failed = local.status().functions[0].failures;
        assert_eq!(failed.lost, 0);
    }
}
