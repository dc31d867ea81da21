//! Cases for a component that is replaced by a new version of itself.

use inhost_dispatch::{Backend, CallError};
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{call_error, limit, read_all, Host, PREFIX};
use crate::Make;

/// Not before the new one is polled: until then it is not sure that it will be served. A new version that does not come
/// to serve leaves the old one as it was, once the replacement is over.
pub async fn a_new_version_ends_the_old_one_when_it_is_polled<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut old = task::spawn(host.serve().await);
    assert_pending!(old.poll_next());
    let replacement = host.local.replace(PREFIX);
    let mut begun = task::spawn(replacement.begun());
    assert_pending!(begun.poll());
    let unused = host.serve().await;
    assert!(begun.is_woken());
    assert_ready!(begun.poll());
    drop(unused);
    let mut held = task::spawn(host.invoke("held", ""));
    assert_pending!(held.poll());
    drop(begun);
    drop(replacement);
    let _held = assert_ready!(held.poll()).expect("the old one is there");
    assert_eq!(
        assert_ready!(old.poll_next()).expect("an invocation").0,
        "held"
    );

    let _replacement = host.local.replace(PREFIX);
    let _one = host.invoke("one", "").await.expect("invoke");
    assert_eq!(
        assert_ready!(old.poll_next()).expect("an invocation").0,
        "one"
    );
    let _two = host.invoke("two", "").await.expect("invoke");

    let mut new = task::spawn(host.serve().await);
    assert_eq!(
        assert_ready!(new.poll_next()).expect("an invocation").0,
        "two"
    );
    assert!(old.is_woken(), "the old one learns of it");
    assert_pending!(old.poll_next());
    assert_eq!(host.local.served().len(), 1);
    let _three = host.invoke("three", "").await.expect("invoke");
    assert_eq!(
        assert_ready!(new.poll_next()).expect("an invocation").0,
        "three"
    );
    assert!(!old.is_woken());
}

/// The old version is ended for good, so calls wait for the next one.
pub async fn calls_wait_for_the_next_version_when_the_new_one_goes<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let mut old = task::spawn(host.serve().await);
    assert_pending!(old.poll_next());
    let replacement = host.local.replace(PREFIX);
    let mut new = task::spawn(host.serve().await);
    assert_pending!(new.poll_next());
    let (_params, mut results) = host.invoke("queued", "").await.expect("invoke");
    drop(new);
    let error = read_all(&mut results).await.expect_err("it did not run");
    assert!(matches!(call_error(&error), CallError::NotAccepted { .. }));

    let mut waiting = task::spawn(host.invoke("waiting", ""));
    assert_pending!(waiting.poll());
    assert!(host.local.served().is_empty());
    let mut next = task::spawn(host.serve().await);
    assert!(waiting.is_woken());
    let _waiting = assert_ready!(waiting.poll()).expect("there is an endpoint");
    assert_eq!(
        assert_ready!(next.poll_next()).expect("an invocation").0,
        "waiting"
    );
    drop(replacement);
    assert_pending!(old.poll_next());
}

/// When no version comes, calls go where those to an absent callee go.
pub async fn calls_do_not_wait_when_the_replacement_is_over<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    host.remote.set_reachable();
    let mut old = task::spawn(host.serve().await);
    assert_pending!(old.poll_next());
    let replacement = host.local.replace(PREFIX);
    let second = host.local.replace(PREFIX);
    let mut new = task::spawn(host.serve().await);
    assert_pending!(new.poll_next());
    drop(new);
    let mut waiting = task::spawn(host.invoke("waiting", "params"));
    assert_pending!(waiting.poll());
    drop(replacement);
    assert_pending!(waiting.poll());
    drop(second);
    assert!(waiting.is_woken());
    assert_ready!(waiting.poll()).expect("it went over the remote");
    assert_eq!(host.remote.invoked().len(), 1);
}

/// A call to a component of which nothing has been ended is not held up.
pub async fn calls_to_what_is_not_there_do_not_wait<B: Backend>(make: impl Make<B>) {
    let host = Host::new(make(limit(64)));
    let _replacement = host.local.replace(PREFIX);
    let mut call = task::spawn(host.invoke("", ""));
    assert_ready!(call.poll()).expect_err("no one serves it");
}
