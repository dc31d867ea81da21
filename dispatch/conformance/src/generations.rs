//! Cases for the generations of a component: what a host does when it scales, updates and stops one.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use inhost_dispatch::{with_serving, Backend, CallError, Mode, Modes, QueueLimits, Route};
use tokio_test::{assert_pending, assert_ready, task};
use wrpc_transport::Serve as _;

use crate::support::{call_error, limit, read_all, Host, Served, FUNCTION, INSTANCE, PREFIX};
use crate::Make;

/// The context of the next invocation, which is there.
fn next<B: Backend>(served: &mut Served<B>) -> String {
    let next = served.next().now_or_never().expect("it does not wait");
    next.expect("an invocation").0
}

fn is_idle<B: Backend>(served: &mut Served<B>) -> bool {
    served.next().now_or_never().is_none()
}

/// Ends all generations but the newest.
fn end_older<B: Backend>(host: &Host<B>) {
    for generations in host.local.generations() {
        let newest = generations.numbers.last().copied().unwrap_or(u64::MAX);
        host.local.end_older(generations.scope, PREFIX, newest);
    }
}

/// A scale: the new one is made, then the old one is dropped.
pub async fn the_oldest_serves_and_the_next_one_when_it_goes<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut old = host.serve().await;
    let mut new = task::spawn(host.serve().await);
    assert_pending!(new.poll_next());
    let _one = host.invoke("one", "").await.expect("invoke");
    assert!(!new.is_woken());
    assert_pending!(new.poll_next());
    assert_eq!(next(&mut old), "one");
    assert_eq!(host.local.served().len(), 1);
    drop(old);
    let _two = host.invoke("two", "").await.expect("invoke");
    assert!(new.is_woken());
    assert_eq!(
        assert_ready!(new.poll_next()).expect("an invocation").0,
        "two"
    );
    drop(new);
    assert!(host.local.served().is_empty());
}

/// An update, as the host library does it, whether it polls the new one or not. No call waits, and none fails.
pub async fn one_that_is_made_and_dropped_changes_nothing<B: Backend>(make: impl Make<B>) {
    for polled in [false, true] {
        let host = Host::with(make(limit(64)), Mode::Require, QueueLimits::default());
        let mut old = host.serve().await;
        let invoke = |context| host.invoke(context, "").now_or_never();
        let mut calls = vec![invoke("before").expect("no call waits")];
        let mut new = host.serve().await;
        calls.push(invoke("meanwhile").expect("no call waits"));
        if polled {
            assert!(is_idle(&mut new));
        }
        calls.push(invoke("still").expect("no call waits"));
        drop(new);
        calls.push(invoke("after").expect("no call waits"));
        for context in ["before", "meanwhile", "still", "after"] {
            assert_eq!(next(&mut old), context);
        }
        host.remote.deliver("from elsewhere");
        assert_eq!(next(&mut old), "from elsewhere");
        assert_eq!(host.remote.subscribed(), 1);
        assert!(calls.iter().all(Result::is_ok));
        assert!(host.local.generations()[0].lapsed > 0);
    }
}

/// A scale after an update: the host has no handle of the old one any more.
pub async fn one_that_is_ended_is_passed_over_though_it_lives<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut old = task::spawn(host.serve().await);
    assert_pending!(old.poll_next());
    let mut new = task::spawn(host.serve().await);
    assert_pending!(new.poll_next());
    let _one = host.invoke("one", "").await.expect("invoke");
    end_older(&host);
    assert!(new.is_woken());
    assert_pending!(old.poll_next());
    assert_eq!(
        assert_ready!(new.poll_next()).expect("an invocation").0,
        "one"
    );
    let _two = host.invoke("two", "").await.expect("invoke");
    host.remote.deliver("three");
    assert_pending!(old.poll_next());
    assert!(new.is_woken());
    let mut taken = vec![];
    for _ in 0..2 {
        taken.push(assert_ready!(new.poll_next()).expect("an invocation").0);
    }
    taken.sort();
    assert_eq!(taken, ["three", "two"]);
    // The end of the host, long after.
    drop(old);
    assert_eq!(host.local.served().len(), 1);
}

/// A host asks for invocations in a task of which it has no handle any more, and which never ends.
pub async fn whoever_asks_one_that_is_ended_is_let_go<B: Backend>(make: impl Make<B>) {
    tokio::time::pause();
    let host = Host::new(make(limit(64)));
    let (old, new) = (host.client(), host.client());
    let functions = ["one", "two"].map(|it| host.serve_function(&old, it));
    let functions = futures::future::join_all(functions).await;
    let [first, second] = ["one", "two"].map(|it| host.serve_function(&new, it));
    let mut serving = (first.await, second.await);
    let (taken, mut takes) = tokio::sync::mpsc::unbounded_channel();
    let asks = tokio::spawn(async move {
        let mut functions = futures::stream::select_all(functions);
        loop {
            // What it has in hand when the end comes is not lost.
            if let Some((context, ..)) = functions.next().await {
                tokio::time::sleep(Duration::from_secs(10)).await;
                taken.send(context).expect("someone looks");
            }
        }
    });
    let _call = host
        .invoke_function("one", "taken", "")
        .await
        .expect("invoke");
    tokio::time::sleep(Duration::from_secs(5)).await;
    end_older(&host);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(takes.try_recv().as_deref(), Ok("taken"));
    assert!(!asks.is_finished(), "it counts what it has begun");
    let ended = tokio::time::timeout(Duration::from_secs(10), asks).await;
    let ended = ended.expect("in time").expect_err("not by itself");
    assert!(ended.is_panic());
    let _call = host
        .invoke_function("two", "next", "")
        .await
        .expect("invoke");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(next(&mut serving.1), "next");
    assert!(is_idle(&mut serving.0));
}

/// A host drops one stream after the other.
pub async fn all_functions_change_over_at_once<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let (old, new) = (host.client(), host.client());
    let mut old_one = host.serve_function(&old, "one").await;
    let old_two = host.serve_function(&old, "two").await;
    let mut new_one = host.serve_function(&new, "one").await;
    let mut new_two = host.serve_function(&new, "two").await;
    let _one = host.invoke_function("one", "1", "").await.expect("invoke");
    let _two = host.invoke_function("two", "2", "").await.expect("invoke");
    drop(old_two);
    assert!(is_idle(&mut old_one));
    assert_eq!(next(&mut new_one), "1");
    assert_eq!(next(&mut new_two), "2");
    drop(old_one);
    assert_eq!(host.local.served().len(), 2);
}

/// Neither the old nor the new one serves what only the other has.
pub async fn a_function_that_the_next_one_lacks_is_not_served<B: Backend>(make: impl Make<B>) {
    let host = Host::with(make(limit(64)), Mode::Require, QueueLimits::default());
    let (old, new) = (host.client(), host.client());
    let mut old = host.serve_function(&old, "dropped").await;
    let mut new = host.serve_function(&new, "added").await;
    let refused = host.invoke_function("added", "", "").await;
    refused.expect_err("it stands by");
    let waits = host.invoke_function("dropped", "", "").await;
    let (_params, mut results) = waits.expect("it is served");
    let mut read = task::spawn(read_all(&mut results));
    assert_pending!(read.poll());
    end_older(&host);
    assert!(read.is_woken());
    let error = assert_ready!(read.poll()).expect_err("it did not run");
    assert!(matches!(call_error(&error), CallError::NotAccepted { .. }));
    let refused = host.invoke_function("dropped", "", "").await;
    refused.expect_err("the one that serves does not have it");
    assert!(is_idle(&mut old));
    let _call = host.invoke_function("added", "now", "").await;
    assert_eq!(next(&mut new), "now");
}

/// However many generations come and go: what waits is begun once, in order.
pub async fn what_waits_passes_on_and_runs_once<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut current = host.serve().await;
    let mut calls = Vec::new();
    for n in 0..40 {
        calls.push(host.invoke(&n.to_string(), "").await.expect("invoke"));
    }
    for n in 0..40 {
        // An update, then a scale there and back.
        let update = host.serve().await;
        drop(update);
        let other = host.serve().await;
        let back = host.serve().await;
        drop(other);
        match n % 2 {
            0 => end_older(&host),
            _ => drop(current),
        }
        current = back;
        assert_eq!(next(&mut current), n.to_string());
    }
    assert!(is_idle(&mut current));
    let counted = host.local.calls();
    assert_eq!(
        (counted.local, counted.remote, counted.fallback),
        (40, 0, 0)
    );
}

/// Nothing that was sent before the change-over is lost, and the broker does not notice it.
pub async fn the_remote_subscription_passes_on_with_what_has_arrived<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let mut old = task::spawn(host.serve().await);
    assert_pending!(old.poll_next());
    let mut new = task::spawn(host.serve().await);
    assert_pending!(new.poll_next());
    host.remote.deliver("before");
    drop(old);
    assert!(new.is_woken());
    assert_eq!(
        assert_ready!(new.poll_next()).expect("an invocation").0,
        "before"
    );
    assert_pending!(new.poll_next());
    host.remote.deliver("after");
    assert!(new.is_woken());
    assert_eq!(
        assert_ready!(new.poll_next()).expect("an invocation").0,
        "after"
    );
    assert_eq!(host.remote.subscribed(), 1);
    drop(new);
    assert!(!host.remote.is_subscribed());
}

/// The mode says how calls are made, and not who answers.
pub async fn the_remote_subscription_passes_on_in_every_mode<B: Backend>(make: impl Make<B>) {
    for modes in [
        Modes::new(Mode::Prefer),
        Modes::new(Mode::Require),
        Modes::new(Mode::Prefer).with("callee", Mode::Off),
        Modes::new(Mode::Off).with("another", Mode::Prefer),
    ] {
        let host = Host::with(make(limit(64)), modes, QueueLimits::default());
        let mut old = host.serve().await;
        drop(host.serve().await);
        let mut new = host.serve().await;
        host.remote.deliver("one");
        assert!(is_idle(&mut new));
        assert_eq!(next(&mut old), "one");
        end_older(&host);
        host.remote.deliver("two");
        assert!(is_idle(&mut old));
        assert_eq!(next(&mut new), "two");
        assert_eq!(host.remote.subscribed(), 1);
        let scope = host.local.generations()[0].scope;
        host.local.end_older(scope, PREFIX, u64::MAX);
        assert!(!host.remote.is_subscribed());
    }
}

/// Not before: it stands by on the remote transport, too.
pub async fn a_function_that_is_new_is_subscribed_when_its_turn_comes<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let (old, new) = (host.client(), host.client());
    let old = host.serve_function(&old, "dropped").await;
    let mut new = task::spawn(host.serve_function(&new, "added").await);
    assert_pending!(new.poll_next());
    assert_eq!(host.remote.subscribed(), 1);
    drop(old);
    assert!(!host.remote.is_subscribed(), "no one serves `dropped`");
    assert!(new.is_woken());
    assert_pending!(new.poll_next());
    assert_eq!(host.remote.subscribed(), 2);
    host.remote.deliver("from elsewhere");
    assert!(new.is_woken());
    let taken = assert_ready!(new.poll_next()).expect("an invocation");
    assert_eq!(taken.0, "from elsewhere");
}

/// The accept loop of a host does not look at its streams while it waits for a permit.
pub async fn an_old_version_that_waits_elsewhere_holds_nothing_back<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::new(make(limit(64)));
    let mut old = host.serve().await;
    let mut new = host.serve().await;
    let _calls = [
        host.invoke("taken", "").await.expect("invoke"),
        host.invoke("waits", "").await.expect("invoke"),
    ];
    host.remote.deliver("waits, too");
    let taken = old.next().await.expect("an invocation");
    assert_eq!(taken.0, "taken");
    end_older(&host);
    let mut contexts = [next(&mut new), next(&mut new)];
    contexts.sort();
    assert_eq!(contexts, ["waits", "waits, too"]);
}

/// A stop, whether the host has a handle of the version that serves or not.
pub async fn when_all_are_ended_calls_fail_at_once<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut old = host.serve().await;
    let (_params, mut results) = host.invoke("", "").await.expect("invoke");
    let mut read = task::spawn(read_all(&mut results));
    assert_pending!(read.poll());
    let scope = host.local.generations()[0].scope;
    host.local.end_older(scope, PREFIX, u64::MAX);
    assert!(read.is_woken());
    let error = assert_ready!(read.poll()).expect_err("it did not run");
    assert!(matches!(call_error(&error), CallError::NotAccepted { .. }));
    host.invoke("", "").await.expect_err("no one serves it");
    assert!(!host.remote.is_subscribed());
    assert!(host.local.served().is_empty());
    assert!(host.local.generations().is_empty());
    // A new start is not disturbed by what is left.
    let mut new = host.serve().await;
    let _call = host.invoke("again", "").await.expect("invoke");
    assert!(is_idle(&mut old));
    drop(old);
    assert_eq!(next(&mut new), "again");
}

/// Two clients that serve different functions stand by for each other. Clones do not.
pub async fn clones_of_a_client_serve_together<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let client = host.client();
    let clone = client.clone();
    let mut one = host.serve_function(&client, "one").await;
    let mut two = host.serve_function(&clone, "two").await;
    let _one = host.invoke_function("one", "1", "").await.expect("invoke");
    let _two = host.invoke_function("two", "2", "").await.expect("invoke");
    assert_eq!((next(&mut one), next(&mut two)), ("1".into(), "2".into()));
    drop(one);
    let _two = host.invoke_function("two", "2", "").await.expect("invoke");
    assert_eq!(next(&mut two), "2");
}

/// The mode is off for all targets: two versions are subscribed, and answer in turn.
pub async fn each_serves_for_itself_on_a_host_that_does_as_a_stock_host<B: Backend>(
    make: impl Make<B>,
) {
    let host = Host::with(make(limit(64)), Mode::Off, QueueLimits::default());
    let _old = host.serve().await;
    let mut new = host.serve().await;
    assert_eq!(host.remote.subscribed(), 2);
    host.remote.deliver("to the new one");
    assert_eq!(next(&mut new), "to the new one");
    assert!(host.local.generations().is_empty());
}

/// What comes or goes after it began to wait.
pub async fn who_looks_at_generations_is_told<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut changed = task::spawn(host.local.changed());
    assert_pending!(changed.poll());
    let served = host.serve_function(&host.client(), FUNCTION).await;
    assert!(changed.is_woken());
    assert_ready!(changed.poll());
    let mut changed = task::spawn(host.local.changed());
    assert_pending!(changed.poll());
    let call = host.invoke("", "").await.expect("invoke");
    assert_eq!(call.0.route(), Route::Local);
    assert_pending!(changed.poll());
    drop(served);
    assert_ready!(changed.poll());
    assert!(host.local.generations().is_empty());
}

/// What has come from elsewhere and was not taken ends with the last generation. Where there are no
/// results it is not taken for that: its caller would take it to be run.
pub async fn what_has_arrived_ends_with_the_last_one<B: Backend>(make: impl Make<B>) {
    for has_results in [true, false] {
        let host = Host::new(make(limit(64)));
        let client = host.client();
        let serve = client.serve(INSTANCE, FUNCTION, []);
        let (served, _) = with_serving(has_results, serve).await;
        for context in ["one", "two"] {
            host.remote.deliver(context);
        }
        drop(served.expect("it can be served"));
        assert!(!host.remote.is_subscribed());
        assert_eq!(host.remote.taken(), if has_results { 2 } else { 0 });
        let counted = host.local.counted();
        let lost: u64 = counted.iter().map(|it| it.failures.lost).sum();
        assert_eq!(lost, 0);
    }
}
