//! What a registry promises, from the outside.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use inhost_registry::{Registration, Registry, Scope};

const INSTANCE: &str = "wasi:keyvalue/store@0.2.0-draft";

fn register(
    registry: &Registry<u32>,
    scope: &Scope,
    prefix: &str,
    value: u32,
) -> Registration<u32> {
    registry.register(scope.clone(), prefix, INSTANCE, "get", Arc::new(value))
}

fn lookup(registry: &Registry<u32>, scope: &Scope, prefix: &str) -> Option<u32> {
    registry.lookup(scope, prefix, INSTANCE, "get").map(|v| *v)
}

#[test]
fn every_part_of_the_key_counts() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let _guard = register(&registry, &scope, "default.callee", 1);
    let find = |prefix, instance, function| registry.lookup(&scope, prefix, instance, function);
    assert!(find("default.callee", INSTANCE, "get").is_some());
    assert!(find("default.other", INSTANCE, "get").is_none());
    assert!(find("default.callee", "wasi:keyvalue/store@0.2.0", "get").is_none());
    assert!(find("default.callee", INSTANCE, "set").is_none());
    assert!(find("", "", "").is_none());
    // Names that are equal once joined are still different functions.
    assert!(registry
        .lookup(
            &scope,
            "default.calleewasi",
            ":keyvalue/store@0.2.0-draft",
            "get"
        )
        .is_none());
}

#[test]
fn scopes_never_meet() {
    let registry = Registry::new();
    let (one, other) = (Scope::new(Arc::new(())), Scope::new(Arc::new(())));
    let _one = register(&registry, &one, "default.callee", 1);
    assert_eq!(lookup(&registry, &other, "default.callee"), None);
    let _other = register(&registry, &other, "default.callee", 2);
    assert_eq!(lookup(&registry, &one, "default.callee"), Some(1));
    assert_eq!(lookup(&registry, &other, "default.callee"), Some(2));
}

#[test]
fn a_registration_keeps_the_identity_of_its_scope() {
    let registry = Registry::new();
    let connection = Arc::new(());
    let address = Arc::as_ptr(&connection);
    let guard = register(&registry, &Scope::new(connection), "default.callee", 1);
    // Had the registration not kept the allocation, one of these could have its address.
    for _ in 0..1000 {
        let fresh = Arc::new(());
        assert_ne!(Arc::as_ptr(&fresh), address);
        assert_eq!(
            lookup(&registry, &Scope::new(fresh), "default.callee"),
            None
        );
    }
    drop(guard);
    assert!(registry.is_empty());
}

#[test]
fn the_newest_wins_and_the_older_one_returns_when_it_goes() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let old = register(&registry, &scope, "default.callee", 1);
    let new = register(&registry, &scope, "default.callee", 2);
    assert_eq!(lookup(&registry, &scope, "default.callee"), Some(2));
    assert_eq!(registry.len(), 1);
    assert_eq!(registry.snapshot().len(), 2);
    drop(new);
    assert_eq!(lookup(&registry, &scope, "default.callee"), Some(1));
    drop(old);
    assert_eq!(lookup(&registry, &scope, "default.callee"), None);
    assert!(registry.is_empty());
}

#[test]
fn an_old_guard_does_not_remove_a_newer_registration() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let old = register(&registry, &scope, "default.callee", 1);
    let _new = register(&registry, &scope, "default.callee", 2);
    drop(old);
    assert_eq!(lookup(&registry, &scope, "default.callee"), Some(2));
}

#[test]
fn the_connection_is_let_go_with_the_guard_and_the_value_with_the_registry_at_the_latest() {
    let (registry, connection) = (Registry::new(), Arc::new(()));
    let value = Arc::new(());
    let registration = registry.register(
        Scope::new(Arc::clone(&connection)),
        "default.callee",
        INSTANCE,
        "get",
        Arc::clone(&value),
    );
    assert!(Arc::strong_count(&value) > 1);
    drop(registration);
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
        drop(registry.register(scope.clone(), "default.callee", INSTANCE, "get", value));
    }
    let kept = Arc::strong_count(&value) - 1;
    assert!(kept < 1_000, "{kept} of 10,000 are kept");
}

#[test]
fn what_a_view_shows_stays_there_for_as_long_as_it_is_looked_at() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let guard = register(&registry, &scope, "default.callee", 42);
    let view = registry.view();
    let found = view.get(&scope, "default.callee", INSTANCE, "get");
    let found = found.expect("it is registered");
    drop(guard);
    for value in 0..10_000 {
        drop(register(&registry, &scope, "default.other", value));
    }
    assert_eq!(**found, 42);
    let gone = view.get(&scope, "default.callee", INSTANCE, "get");
    assert_eq!(gone, None);
}

#[test]
fn a_snapshot_is_sorted_and_complete() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let _guards: Vec<_> = ["c", "a", "b"]
        .iter()
        .zip(0..)
        .map(|(prefix, value)| register(&registry, &scope, prefix, value))
        .collect();
    let prefixes: Vec<_> = registry
        .snapshot()
        .into_iter()
        .map(|listed| listed.prefix.into_string())
        .collect();
    assert_eq!(prefixes, ["a", "b", "c"]);
}

/// Readers must find one of the two registrations at any time, and never one that was gone before they asked.
#[test]
fn readers_always_find_a_function_that_is_replaced_all_the_time() {
    let (registry, scope) = (Registry::new(), Scope::new(Arc::new(())));
    let first = register(&registry, &scope, "default.callee", 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    let mut newest = 0;
                    while !done.load(Ordering::Acquire) {
                        let found = lookup(&registry, &scope, "default.callee")
                            .expect("the function is registered all the time");
                        assert!(found >= newest, "found {found} after {newest}");
                        newest = found;
                    }
                })
            })
            .collect();
        let mut current = first;
        for value in 1..2000 {
            let next = register(&registry, &scope, "default.callee", value);
            drop(std::mem::replace(&mut current, next));
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            reader.join().expect("a reader failed");
        }
    });
    assert!(registry.is_empty());
}

mod model {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Register { scope: usize, prefix: usize },
        Drop { nth: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..2_usize, 0..3_usize).prop_map(|(scope, prefix)| Step::Register { scope, prefix }),
            any::<usize>().prop_map(|nth| Step::Drop { nth }),
        ]
    }

    proptest! {
        /// Whatever is registered and dropped in whatever order, a lookup finds the newest that is left.
        #[test]
        fn agrees_with_a_list(steps in prop::collection::vec(step(), 0..60)) {
            let registry = Registry::new();
            let scopes = [Scope::new(Arc::new(())), Scope::new(Arc::new(()))];
            let prefixes = ["default.a", "default.b", "other.a"];
            let mut model: Vec<(usize, usize, u32, Registration<u32>)> = Vec::new();
            for (value, step) in (0..).zip(steps) {
                match step {
                    Step::Register { scope, prefix } => {
                        let guard = register(&registry, &scopes[scope], prefixes[prefix], value);
                        model.push((scope, prefix, value, guard));
                    }
                    Step::Drop { nth } if !model.is_empty() => {
                        drop(model.remove(nth % model.len()));
                    }
                    Step::Drop { .. } => {}
                }
                for (s, scope) in scopes.iter().enumerate() {
                    for (p, prefix) in prefixes.iter().enumerate() {
                        let expected = model
                            .iter()
                            .rev()
                            .find(|(scope, prefix, ..)| (*scope, *prefix) == (s, p))
                            .map(|(_, _, value, _)| *value);
                        prop_assert_eq!(lookup(&registry, scope, prefix), expected);
                    }
                }
                prop_assert_eq!(registry.snapshot().len(), model.len());
            }
            drop(model);
            prop_assert!(registry.is_empty());
        }
    }
}
