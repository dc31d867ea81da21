//! What a registry promises, from the outside.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use inhost_registry::{Registration, Registry, Scope};

use support::{Probe, State};

mod generations;
mod model;
mod support;

const PREFIX: &str = "default.callee";
const INSTANCE: &str = "wasi:keyvalue/store@0.2.0-draft";

/// By a client of its own.
fn register(registry: &Registry<Probe>, scope: &Scope, prefix: &str) -> Registration<Probe> {
    let client = registry.client();
    registry.register(scope.clone(), prefix, client, INSTANCE, "get", Probe::new)
}

/// Who reads.
fn reader(registry: &Registry<Probe>, scope: &Scope, prefix: &str) -> Option<u64> {
    let found = registry.lookup(scope, prefix, INSTANCE, "get")?;
    match found.state() {
        State::ReadBy(reader) => Some(reader),
        state => panic!("{state:?} is found"),
    }
}

#[test]
fn every_part_of_the_key_counts() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let _guard = register(&registry, &scope, PREFIX);
    let find = |prefix, instance, function| registry.lookup(&scope, prefix, instance, function);
    assert!(find(PREFIX, INSTANCE, "get").is_some());
    assert!(find("default.other", INSTANCE, "get").is_none());
    assert!(find(PREFIX, "wasi:keyvalue/store@0.2.0", "get").is_none());
    assert!(find(PREFIX, INSTANCE, "set").is_none());
    assert!(find("", "", "").is_none());
    // Names that are equal once joined are still different functions.
    let joined = ("default.calleewasi", ":keyvalue/store@0.2.0-draft", "get");
    assert!(find(joined.0, joined.1, joined.2).is_none());
}

#[test]
fn scopes_never_meet() {
    let registry = Registry::new();
    let (one, other) = (Scope::new(Arc::new(())), Scope::new(Arc::new(())));
    let first = register(&registry, &one, PREFIX);
    assert_eq!(reader(&registry, &other, PREFIX), None);
    let second = register(&registry, &other, PREFIX);
    assert_eq!(reader(&registry, &one, PREFIX), Some(first.reader()));
    assert_eq!(reader(&registry, &other, PREFIX), Some(second.reader()));
    registry.end_older(one.id(), PREFIX, u64::MAX);
    assert_eq!(reader(&registry, &one, PREFIX), None);
    assert_eq!(reader(&registry, &other, PREFIX), Some(second.reader()));
}

#[test]
fn a_registration_keeps_the_identity_of_its_scope() {
    let registry = Registry::new();
    let connection = Arc::new(());
    let address = Arc::as_ptr(&connection);
    let guard = register(&registry, &Scope::new(connection), PREFIX);
    // Had the registration not kept the allocation, one of these could have its address.
    for _ in 0..1000 {
        let fresh = Arc::new(());
        assert_ne!(Arc::as_ptr(&fresh), address);
        assert_eq!(reader(&registry, &Scope::new(fresh), PREFIX), None);
    }
    drop(guard);
    assert!(registry.is_empty());
}

#[test]
fn the_connection_is_let_go_with_the_guard_and_the_value_with_the_registry_at_the_latest() {
    let (registry, connection) = (Registry::new(), Arc::new(()));
    let registration = register(&registry, &Scope::new(Arc::clone(&connection)), PREFIX);
    let value = Arc::clone(registration.value());
    assert!(Arc::strong_count(&value) > 1);
    drop(registration);
    assert_eq!(value.state(), State::Closed);
    assert_eq!(Arc::strong_count(&connection), 1);
    drop(registry);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn what_was_removed_does_not_pile_up() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let value = Arc::new(());
    for _ in 0..10_000 {
        let value = Arc::clone(&value);
        let probe = || Probe::holding(value);
        drop(registry.register(
            scope.clone(),
            PREFIX,
            registry.client(),
            INSTANCE,
            "get",
            probe,
        ));
    }
    let kept = Arc::strong_count(&value) - 1;
    assert!(kept < 1_000, "{kept} of 10,000 are kept");
    assert_eq!(registry.generations(), []);
}

#[test]
fn what_a_view_shows_stays_there_for_as_long_as_it_is_looked_at() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let guard = register(&registry, &scope, PREFIX);
    let view = registry.view();
    let found = view.get(&scope, PREFIX, INSTANCE, "get");
    let found = found.expect("it is registered");
    drop(guard);
    for _ in 0..10_000 {
        drop(register(&registry, &scope, "default.other"));
    }
    assert_eq!(found.state(), State::Closed);
    assert!(view.get(&scope, PREFIX, INSTANCE, "get").is_none());
}

#[test]
fn a_snapshot_is_sorted_and_complete() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let guards = ["c", "a", "b", "a"].map(|prefix| register(&registry, &scope, prefix));
    let prefixes = registry.snapshot().into_iter().map(|it| it.prefix);
    assert_eq!(prefixes.collect::<Vec<_>>(), ["a", "b", "c"].map(Box::from));
    drop(guards);
}

/// Readers must find the function at any time, and never a registration that was gone before they asked.
#[test]
fn readers_always_find_a_function_that_is_replaced_all_the_time() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let first = register(&registry, &scope, PREFIX);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    let mut newest = 0;
                    while !done.load(Ordering::Acquire) {
                        let found = registry.lookup(&scope, PREFIX, INSTANCE, "get");
                        let found = found.expect("the function is served all the time");
                        // No one reads while it passes from one to the next.
                        if let State::ReadBy(reader) = found.state() {
                            assert!(reader >= newest, "found {reader} after {newest}");
                            newest = reader;
                        }
                    }
                })
            })
            .collect();
        let mut current = first;
        for _ in 1..2000 {
            let next = register(&registry, &scope, PREFIX);
            drop(std::mem::replace(&mut current, next));
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().expect("a reader failed");
        }
    });
    assert!(registry.is_empty());
}

/// It would take minutes if all were looked at for each.
#[test]
fn a_component_may_have_any_number_of_functions() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let serve = |client| -> Vec<_> {
        let one = |function: usize| {
            let name = function.to_string();
            registry.register(scope.clone(), PREFIX, client, INSTANCE, &name, Probe::new)
        };
        (0..30_000).map(one).collect()
    };
    let old = serve(registry.client());
    let new = serve(registry.client());
    drop(old);
    assert_eq!(registry.len(), 30_000);
    drop(new);
    assert!(registry.is_empty());
}
