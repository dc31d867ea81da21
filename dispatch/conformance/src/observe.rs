//! Cases for who observes calls, and for what is counted of each function.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use inhost_dispatch::{
    Backend, Caller, Counted, Ended, Ending, Mode, Observer, Outcome, QueueLimits,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wrpc_transport::Index as _;

use crate::support::{limit, read_all, Host, FUNCTION, INSTANCE, PREFIX};
use crate::Make;

/// What was told of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    context: String,
    outcome: Outcome,
    ran: bool,
    params: u64,
    results: u64,
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Told>>>);

struct Note(Notes, String);

impl Observer<String> for Notes {
    fn begins(&self, context: &String) -> Arc<dyn Ending> {
        Arc::new(Note(self.clone(), context.clone()))
    }
}

impl Ending for Note {
    fn ended(self: Arc<Self>, call: &Ended<'_>) {
        let target = call.target;
        assert_eq!(
            (target.prefix(), target.instance(), target.function()),
            (PREFIX, INSTANCE, FUNCTION)
        );
        assert!(call.queued <= call.duration, "{call:?}");
        assert!(call.callee.unwrap_or_default() <= call.duration, "{call:?}");
        let told = Told {
            context: self.1.clone(),
            outcome: call.outcome,
            ran: call.callee.is_some(),
            params: call.params_bytes,
            results: call.results_bytes,
        };
        self.0 .0.lock().expect("no panic").push(told);
    }
}

impl Notes {
    fn of<B: Backend>(host: &Host<B>) -> Self {
        let notes = Self::default();
        assert!(host.local.observe(notes.clone()));
        notes
    }

    fn outcomes(&self) -> Vec<(String, Outcome, bool)> {
        let told = self.0.lock().expect("no panic");
        let told = told.iter();
        told.map(|told| (told.context.clone(), told.outcome, told.ran))
            .collect()
    }
}

fn counted<B: Backend>(host: &Host<B>) -> Counted {
    let mut counted = host.local.counted();
    assert_eq!(counted.len(), 1, "{counted:?}");
    counted.remove(0)
}

/// With its context, and with all bytes each way, however they passed.
pub async fn a_call_is_told_once_both_sides_are_done_with_it<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1024)));
    let notes = Notes::of(&host);
    let mut served = host.serve().await;
    let (mut params, mut results) = host.invoke("headers", "12345").await.expect("invoke");
    params.write_all(b"678").await.expect("written");
    let mut nested = params.index(&[0]).expect("a path");
    nested.write_all(b"9").await.expect("written");
    nested.shutdown().await.expect("shut down");
    params.shutdown().await.expect("shut down");

    let (_, mut outgoing, mut incoming) = served.next().await.expect("an invocation");
    assert_eq!(counted(&host).in_flight, 1);
    let caller = Caller::of(&outgoing).expect("a local call");
    caller.admitted();
    caller.started();
    assert_eq!(read_all(&mut incoming).await.expect("params"), b"12345678");
    outgoing.write_all(b"ab").await.expect("written");
    caller.answer(Bytes::from("cdef")).expect("an answer");
    outgoing.shutdown().await.expect("shut down");
    assert_eq!(read_all(&mut results).await.expect("results"), b"abcdef");
    drop((params, nested, results));
    assert_eq!(notes.outcomes(), []);
    drop((outgoing, incoming, caller));

    let told = Told {
        context: "headers".to_owned(),
        outcome: Outcome::Completed,
        ran: true,
        params: 9,
        results: 6,
    };
    assert_eq!(*notes.0.lock().expect("no panic"), [told]);
    let counted = counted(&host);
    assert_eq!((&*counted.prefix, &*counted.function), (PREFIX, FUNCTION));
    assert_eq!((counted.params_bytes, counted.results_bytes), (9, 6));
    assert_eq!((counted.calls.local, counted.in_flight), (1, 0));
    assert_eq!(counted.failures, Default::default());
}

/// Each way to fail has an outcome of its own, and is counted.
pub async fn failures_are_told_apart<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1024)));
    let notes = Notes::of(&host);
    let mut served = host.serve().await;

    // The callee's side refuses it.
    let (_, mut results) = host.invoke("denied", "").await.expect("invoke");
    drop(served.next().await.expect("an invocation"));
    read_all(&mut results).await.expect_err("it failed");
    drop(results);

    // It traps.
    let (params, mut results) = host.invoke("failed", "").await.expect("invoke");
    let (_, outgoing, incoming) = served.next().await.expect("an invocation");
    Caller::of(&outgoing).expect("a local call").started();
    drop((outgoing, incoming));
    read_all(&mut results).await.expect_err("it failed");
    drop((params, results));

    // So does one that says nothing of itself: as generated code, it reads its parameters and is dropped.
    let (params, mut results) = host.invoke("failed, too", "12").await.expect("invoke");
    let (_, outgoing, mut incoming) = served.next().await.expect("an invocation");
    incoming.read_u8().await.expect("its parameters");
    drop((outgoing, incoming));
    read_all(&mut results).await.expect_err("it failed");
    drop((params, results));

    // The caller gives up while it runs, and another one before it does.
    let (params, mut results) = host.invoke("left", "").await.expect("invoke");
    let (_, outgoing, incoming) = served.next().await.expect("an invocation");
    Caller::of(&outgoing).expect("a local call").started();
    let mut byte = [0];
    assert!(futures::poll!(std::pin::pin!(results.read(&mut byte))).is_pending());
    drop((params, results));
    drop((outgoing, incoming));
    drop(host.invoke("left early", "").await.expect("invoke"));

    // It stops being served; what waits there is looked through then.
    let (_, mut results) = host.invoke("not run", "").await.expect("invoke");
    drop(served);
    read_all(&mut results).await.expect_err("it did not run");
    drop(results);

    let expected = [
        ("denied", Outcome::Denied, false),
        ("failed", Outcome::Failed, true),
        ("failed, too", Outcome::Failed, false),
        ("left", Outcome::CallerLeft, true),
        ("left early", Outcome::CallerLeft, false),
        ("not run", Outcome::NotRun, false),
    ];
    let expected = expected.map(|(context, outcome, ran)| (context.to_owned(), outcome, ran));
    assert_eq!(notes.outcomes(), expected);
    let failures = counted(&host).failures;
    assert_eq!((failures.denied, failures.failed), (1, 2));
    assert_eq!((failures.caller_left, failures.not_run), (2, 1));
}

/// A function without results: its caller sends the parameters and leaves, and that is no failure.
pub async fn a_caller_that_wants_no_results_has_not_left<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let notes = Notes::of(&host);
    let mut served = host.serve().await;
    let (mut params, results) = host.invoke("one way", "").await.expect("invoke");
    params.shutdown().await.expect("shut down");
    drop((params, results));
    let (_, mut outgoing, incoming) = served.next().await.expect("an invocation");
    Caller::of(&outgoing).expect("a local call").started();
    let _ = outgoing.shutdown().await;
    drop((outgoing, incoming));
    let expected = ("one way".to_owned(), Outcome::Completed, true);
    assert_eq!(notes.outcomes(), [expected]);
}

/// A call that finds the queue full is made over the remote, and is none of those that are told.
pub async fn a_call_that_goes_elsewhere_is_counted_and_not_told<B: Backend>(make: impl Make<B>) {
    let limits = QueueLimits {
        invocations: NonZeroUsize::MIN,
        ..QueueLimits::default()
    };
    let host = Host::with(make(limit(64)), Mode::Prefer, limits);
    let notes = Notes::of(&host);
    host.remote.set_reachable();
    let served = host.serve().await;
    let first = host.invoke("first", "").await.expect("invoke");
    let _second = host.invoke("second", "").await.expect("over the remote");
    assert_eq!(notes.outcomes(), []);
    drop(served);
    drop(first);
    let told: Vec<_> = notes.outcomes().into_iter().map(|told| told.0).collect();
    assert_eq!(told, ["first"]);
    let calls = counted(&host).calls;
    assert_eq!((calls.local, calls.spilled), (1, 1));
}

/// How many calls were begun, whether they stayed here or not.
struct Begun(Arc<AtomicUsize>);

struct Nothing;

impl Ending for Nothing {
    fn ended(self: Arc<Self>, _: &Ended<'_>) {}
}

impl Observer<String> for Begun {
    fn begins(&self, _: &String) -> Arc<dyn Ending> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Arc::new(Nothing)
    }
}

/// Nothing is made of a call for which there is no room: an observer may copy all of its context.
pub async fn a_call_that_goes_elsewhere_is_not_prepared<B: Backend>(make: impl Make<B>) {
    let limits = QueueLimits {
        invocations: NonZeroUsize::MIN,
        ..QueueLimits::default()
    };
    let host = Host::with(make(limit(64)), Mode::Prefer, limits);
    host.remote.set_reachable();
    let begun = Arc::new(AtomicUsize::new(0));
    host.local.observe(Begun(Arc::clone(&begun)));
    let _served = host.serve().await;
    let _first = host.invoke("first", "").await.expect("invoke");
    let _spilled = host.invoke("spilled", "").await.expect("invoke");
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    assert_eq!(host.local.calls().spilled, 1);
}

/// Their callers are gone, and cannot be told. Those that wait for results are not among them.
pub async fn calls_without_results_that_are_lost_are_counted<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let served = host.serve().await;
    for _ in 0..3 {
        let (mut params, results) = host.invoke("one way", "").await.expect("invoke");
        params.shutdown().await.expect("shut down");
        drop((params, results));
    }
    let (_params, mut results) = host.invoke("waits", "").await.expect("invoke");
    drop(host.invoke("gone", "").await.expect("invoke"));
    drop(served);
    read_all(&mut results).await.expect_err("it did not run");
    assert_eq!(counted(&host).failures.lost, 3);
}

/// What cannot be sent is counted, and so is what may not be.
pub async fn calls_that_go_nowhere_are_counted<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    host.invoke("", "").await.expect_err("there is no remote");
    let remote = counted(&host);
    assert_eq!((remote.calls.remote, remote.failures.not_sent), (1, 1));

    let host = Host::with(make(limit(64)), Mode::Require, QueueLimits::default());
    host.invoke("", "").await.expect_err("it is not here");
    let refused = counted(&host);
    assert_eq!((refused.calls.refused, refused.failures.not_sent), (1, 0));
}

/// The first observer stays.
pub async fn there_is_one_observer<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let first = Notes::of(&host);
    let second = Notes::default();
    assert!(!host.local.observe(second.clone()));
    let mut served = host.serve().await;
    let caller = host.invoke("", "").await.expect("invoke");
    drop(served.next().await.expect("an invocation"));
    drop(caller);
    assert_eq!(first.outcomes().len(), 1);
    assert_eq!(second.outcomes(), []);
}
