//! Which generation of a component serves.

use std::sync::Arc;

use inhost_registry::{Registration, Registry, Scope};

use crate::support::{Probe, State};
use crate::{INSTANCE, PREFIX};

struct Host {
    registry: Registry<Probe>,
    scope: Scope,
}

impl Host {
    fn new() -> Self {
        Self {
            registry: Registry::new(),
            scope: Scope::new(Arc::new(())),
        }
    }

    /// A generation that has these functions.
    fn generation<const N: usize>(&self, functions: [&str; N]) -> [Registration<Probe>; N] {
        let client = self.registry.client();
        functions.map(|function| self.register(client, function))
    }

    fn register(&self, client: u64, function: &str) -> Registration<Probe> {
        let scope = self.scope.clone();
        self.registry
            .register(scope, PREFIX, client, INSTANCE, function, Probe::new)
    }

    fn reader(&self, function: &str) -> Option<u64> {
        let found = self
            .registry
            .lookup(&self.scope, PREFIX, INSTANCE, function)?;
        match found.state() {
            State::ReadBy(reader) => Some(reader),
            state => panic!("{state:?} is found"),
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let generations = self.registry.generations();
        generations.into_iter().flat_map(|it| it.numbers).collect()
    }

    /// The number of the newest one that went while it stood by.
    fn lapsed(&self) -> u64 {
        self.registry.generations()[0].lapsed
    }

    fn end_older(&self, than: u64) {
        self.registry.end_older(self.scope.id(), PREFIX, than);
    }
}

#[test]
fn the_oldest_serves_and_the_next_one_when_it_goes() {
    let host = Host::new();
    let old = host.generation(["get"]);
    let new = host.generation(["get"]);
    assert_eq!(host.reader("get"), Some(old[0].reader()));
    assert!(
        Arc::ptr_eq(old[0].value(), new[0].value()),
        "what waits passes on"
    );
    drop(old);
    assert_eq!(host.reader("get"), Some(new[0].reader()));
    drop(new);
    assert_eq!(host.reader("get"), None);
    assert!(host.registry.is_empty());
}

#[test]
fn one_that_goes_while_it_stands_by_changes_nothing_but_is_noticed() {
    let host = Host::new();
    let old = host.generation(["get"]);
    assert_eq!(host.lapsed(), 0);
    let new = host.generation(["get", "set"]);
    let number = new[0].reader();
    let third = host.generation(["get"]);
    drop(new);
    drop(third);
    assert_eq!(host.registry.generations()[0].made, 3);
    assert_eq!(host.reader("get"), Some(old[0].reader()));
    assert_eq!(host.reader("set"), None);
    assert!(host.lapsed() > number, "the newest of them");
}

#[test]
fn one_that_is_replaced_has_not_lapsed() {
    let host = Host::new();
    let second = host.generation(["get"]);
    let third = host.generation(["get"]);
    drop(second);
    assert_eq!(host.reader("get"), Some(third[0].reader()));
    assert_eq!(host.lapsed(), 0);
    // The only one.
    drop(third);
    let [fourth] = host.generation(["get"]);
    assert_eq!(host.reader("get"), Some(fourth.reader()));
    assert_eq!(host.lapsed(), 0);
}

#[test]
fn all_functions_change_over_at_once_when_the_first_of_a_generation_goes() {
    let host = Host::new();
    let [get, set, only_old] = host.generation(["get", "set", "only-old"]);
    let [new_get, new_set, only_new] = host.generation(["get", "set", "only-new"]);
    assert_eq!(host.reader("only-new"), None);
    drop(set);
    assert_eq!(host.reader("get"), Some(new_get.reader()));
    assert_eq!(host.reader("set"), Some(new_set.reader()));
    assert_eq!(host.reader("only-old"), None);
    assert_eq!(host.reader("only-new"), Some(only_new.reader()));
    assert_eq!(only_old.value().state(), State::Closed);
    // The rest of it says nothing any more.
    drop((get, only_old));
    assert_eq!(host.reader("get"), Some(new_get.reader()));
}

#[test]
fn a_generation_that_is_alone_can_lose_a_function() {
    let host = Host::new();
    let [get, set] = host.generation(["get", "set"]);
    drop(set);
    assert_eq!(host.reader("get"), Some(get.reader()));
    assert_eq!(host.reader("set"), None);
}

#[test]
fn one_that_is_ended_never_serves_again() {
    let host = Host::new();
    let old = host.generation(["get", "only-old"]);
    drop(host.generation(["get"]));
    let new = host.generation(["get"]);
    let numbers = host.numbers();
    host.end_older(numbers[1]);
    assert_eq!(host.numbers(), &numbers[1..]);
    assert_eq!(host.reader("get"), Some(new[0].reader()));
    assert_eq!(host.reader("only-old"), None);
    // No one holds a handle of the old one after an update: its guards stay.
    drop(new);
    assert_eq!(host.reader("get"), None);
    assert_eq!(host.numbers(), []);
    let next = host.generation(["get"]);
    drop(old);
    assert_eq!(host.reader("get"), Some(next[0].reader()));
}

#[test]
fn to_end_all_leaves_no_one() {
    let host = Host::new();
    let _old = host.generation(["get"]);
    let _new = host.generation(["get"]);
    host.end_older(u64::MAX);
    assert_eq!(host.reader("get"), None);
    assert!(host.registry.is_empty());
}

/// A function that comes back after a generation without it has served.
#[test]
fn a_function_can_leave_one_generation_out() {
    let host = Host::new();
    let first = host.generation(["get", "set"]);
    let second = host.generation(["get"]);
    let third = host.generation(["get", "set"]);
    drop(first);
    assert_eq!(host.reader("set"), None);
    drop(second);
    assert_eq!(host.reader("set"), Some(third[1].reader()));
}

#[test]
fn of_two_registrations_of_a_function_by_one_client_the_first_reads() {
    let host = Host::new();
    let client = host.registry.client();
    let (one, two) = (host.register(client, "get"), host.register(client, "get"));
    assert_eq!(host.reader("get"), Some(one.reader()));
    drop(one);
    assert_eq!(host.reader("get"), Some(two.reader()));
}

#[test]
fn what_is_registered_late_belongs_to_the_generation_of_its_client() {
    let host = Host::new();
    let client = host.registry.client();
    let get = host.register(client, "get");
    let new = host.generation(["get", "set"]);
    let set = host.register(client, "set");
    assert_eq!(host.reader("set"), Some(set.reader()));
    assert_eq!(host.numbers(), [get.reader(), new[0].reader()]);
}
