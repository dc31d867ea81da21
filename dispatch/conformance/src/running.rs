//! Cases for who looks at the calls that are in flight.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::StreamExt as _;
use inhost_dispatch::{
    put_back, Backend, Caller, Ended, Ending, Mode, Observer, QueueLimits, Route, Stage,
};
use tokio::io::AsyncWriteExt as _;

use crate::support::{limit, read_all, Host, FUNCTION, INSTANCE, PREFIX};
use crate::Make;

/// The context of a call is its caller. Calls without one are not listed.
struct Callers;

impl Observer<String> for Callers {
    fn begins(&self, _: &String) -> Arc<dyn Ending> {
        Arc::new(Self)
    }

    fn caller(&self, context: &String) -> Option<Arc<str>> {
        (!context.is_empty()).then(|| context.as_str().into())
    }
}

impl Ending for Callers {
    fn ended(self: Arc<Self>, _: &Ended<'_>) {}
}

fn listed<B: Backend>(host: &Host<B>) -> Vec<(String, Route, Stage)> {
    let running = host.local.running(64);
    assert!(running.is_sorted_by(|a, b| a.age >= b.age), "{running:?}");
    let each = running.into_iter().map(|call| {
        let target = &call.target;
        let names = (target.prefix(), target.instance(), target.function());
        assert_eq!(names, (PREFIX, INSTANCE, FUNCTION));
        (call.caller.to_string(), call.route, call.stage)
    });
    each.collect()
}

fn local(caller: &str, stage: Stage) -> (String, Route, Stage) {
    (caller.to_owned(), Route::Local, stage)
}

/// From the queue to the last stream, and not longer.
pub async fn a_call_is_listed_with_how_far_it_has_come<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1024)));
    assert!(host.local.observe(Callers));
    let mut served = host.serve().await;
    let (mut params, mut results) = host.invoke("caller", "12").await.expect("invoke");
    assert_eq!(listed(&host), [local("caller", Stage::Queued)]);
    let (_, mut outgoing, mut incoming) = served.next().await.expect("an invocation");
    assert_eq!(listed(&host), [local("caller", Stage::Waiting)]);
    let caller = Caller::of(&outgoing).expect("a local call");
    caller.admitted();
    assert_eq!(listed(&host), [local("caller", Stage::Waiting)]);
    caller.started();
    assert_eq!(listed(&host), [local("caller", Stage::Running)]);
    params.shutdown().await.expect("shut down");
    read_all(&mut incoming).await.expect("params");
    outgoing.shutdown().await.expect("shut down");
    assert_eq!(listed(&host), [local("caller", Stage::Finishing)]);
    read_all(&mut results).await.expect("results");
    drop((params, results, outgoing, incoming));
    assert_eq!(listed(&host), [local("caller", Stage::Finishing)]);
    drop(caller);
    assert_eq!(listed(&host), []);
}

/// The oldest first, and no more of them than were asked for.
pub async fn the_oldest_calls_are_listed<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1024)));
    assert!(host.local.observe(Callers));
    let _served = host.serve().await;
    let mut calls = Vec::new();
    for caller in ["a", "b", "", "c", "d"] {
        calls.push(host.invoke(caller, "").await.expect("invoke"));
    }
    let callers = |most| -> Vec<_> {
        let calls = host.local.running(most).into_iter();
        calls.map(|call| call.caller.to_string()).collect()
    };
    assert_eq!(callers(64), ["a", "b", "c", "d"]);
    assert_eq!(callers(2), ["a", "b"]);
    assert!(callers(0).is_empty());
    drop(calls.remove(1));
    assert_eq!(callers(64), ["a", "c", "d"]);
}

/// It waits for whoever takes it next.
pub async fn a_call_that_is_put_back_is_queued_again<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1024)));
    assert!(host.local.observe(Callers));
    let mut served = host.serve().await;
    let _call = host.invoke("caller", "").await.expect("invoke");
    let (_, outgoing, incoming) = served.next().await.expect("an invocation");
    put_back(outgoing, incoming);
    assert_eq!(listed(&host), [local("caller", Stage::Queued)]);
    let _taken = served.next().await.expect("the invocation");
    assert_eq!(listed(&host), [local("caller", Stage::Waiting)]);
}

/// As long as a stream of it is left.
pub async fn a_call_over_the_remote_transport_is_listed_too<B: Backend>(make: impl Make<B>) {
    let one = QueueLimits {
        invocations: NonZeroUsize::MIN,
        ..QueueLimits::default()
    };
    let host = Host::with(make(limit(1024)), Mode::Prefer, one);
    assert!(host.local.observe(Callers));
    host.remote.set_reachable();
    let (mut params, results) = host.invoke("remote", "").await.expect("invoke");
    let call = |route, stage| ("remote".to_owned(), route, stage);
    assert_eq!(listed(&host), [call(Route::Remote, Stage::Sending)]);
    params.shutdown().await.expect("shut down");
    assert_eq!(listed(&host), [call(Route::Remote, Stage::Sent)]);
    drop(params);
    assert_eq!(listed(&host), [call(Route::Remote, Stage::Sent)]);
    drop(results);
    assert_eq!(listed(&host), []);

    let _served = host.serve().await;
    let _local = host.invoke("local", "").await.expect("invoke");
    let _spilled = host.invoke("remote", "").await.expect("invoke");
    let spilled = call(Route::Spilled, Stage::Sending);
    assert_eq!(listed(&host), [local("local", Stage::Queued), spilled]);
}

/// Nothing is left of it.
pub async fn a_call_that_could_not_be_made_is_not_listed<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(1024)));
    assert!(host.local.observe(Callers));
    let failed = host.invoke("caller", "").await;
    failed.expect_err("no one serves it");
    assert_eq!(listed(&host), []);
}
