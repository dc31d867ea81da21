//! Whatever is registered, dropped and ended in whatever order: a list of generations says who reads.

use std::sync::Arc;

use inhost_registry::{Registration, Registry, Scope};
use proptest::prelude::*;

use crate::support::{Probe, State};
use crate::INSTANCE;

const PREFIXES: [&str; 2] = ["default.a", "other.a"];
const FUNCTIONS: [&str; 3] = ["get", "set", "delete"];

#[derive(Clone, Debug)]
enum Step {
    /// A client of its own serves these functions.
    Begin { at: At, functions: Vec<usize> },
    /// The client of a generation serves one more.
    Add { nth: usize, function: usize },
    /// One registration is dropped.
    Drop { nth: usize },
    /// A host lets go of all that a client serves, in any order.
    DropAll { nth: usize },
    /// As many as `keep` of the newest stay.
    EndOlder { at: At, keep: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    scope: usize,
    prefix: usize,
}

fn at() -> impl Strategy<Value = At> {
    (0..2_usize, 0..2_usize).prop_map(|(scope, prefix)| At { scope, prefix })
}

fn step() -> impl Strategy<Value = Step> {
    let functions = prop::collection::vec(0..FUNCTIONS.len(), 1..4);
    prop_oneof![
        4 => (at(), functions).prop_map(|(at, functions)| Step::Begin { at, functions }),
        1 => (any::<usize>(), 0..FUNCTIONS.len()).prop_map(|(nth, function)| Step::Add { nth, function }),
        1 => any::<usize>().prop_map(|nth| Step::Drop { nth }),
        3 => any::<usize>().prop_map(|nth| Step::DropAll { nth }),
        1 => (at(), 0..3_usize).prop_map(|(at, keep)| Step::EndOlder { at, keep }),
    ]
}

/// A registration, and whether its generation lives.
struct Held {
    at: At,
    client: u64,
    function: usize,
    lives: bool,
    registration: Registration<Probe>,
}

struct Model {
    registry: Registry<Probe>,
    scopes: [Scope; 2],
    held: Vec<Held>,
}

impl Model {
    fn register(&mut self, at: At, client: u64, function: usize) {
        let scope = self.scopes[at.scope].clone();
        let (prefix, name) = (PREFIXES[at.prefix], FUNCTIONS[function]);
        let registration =
            self.registry
                .register(scope, prefix, client, INSTANCE, name, Probe::new);
        self.held.push(Held {
            at,
            client,
            function,
            lives: true,
            registration,
        });
    }

    /// The clients that have a living generation, oldest first.
    fn living(&self, at: At) -> Vec<u64> {
        let mut clients = Vec::new();
        for held in self.held.iter().filter(|held| held.at == at && held.lives) {
            if !clients.contains(&held.client) {
                clients.push(held.client);
            }
        }
        clients
    }

    fn end(&mut self, client: u64) {
        let of_it = self.held.iter_mut().filter(|held| held.client == client);
        of_it.for_each(|held| held.lives = false);
    }

    fn drop_one(&mut self, nth: usize) {
        let Held {
            at, client, lives, ..
        } = self.held[nth];
        if lives && self.living(at).len() > 1 {
            self.end(client);
        }
        drop(self.held.remove(nth));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Begin { at, functions } => {
                let client = self.registry.client();
                for function in functions {
                    self.register(at, client, function);
                }
            }
            _ if self.held.is_empty() => {}
            Step::Add { nth, function } => {
                let Held {
                    at, client, lives, ..
                } = self.held[nth % self.held.len()];
                if lives {
                    self.register(at, client, function);
                }
            }
            Step::Drop { nth } => self.drop_one(nth % self.held.len()),
            Step::DropAll { nth } => {
                let client = self.held[nth % self.held.len()].client;
                while let Some(nth) = self.held.iter().position(|held| held.client == client) {
                    self.drop_one(nth);
                }
            }
            Step::EndOlder { at, keep } => {
                let scope = self.scopes[at.scope].id();
                let prefix = PREFIXES[at.prefix];
                let mut generations = self.registry.generations().into_iter();
                let numbers = generations
                    .find(|it| it.scope == scope && *it.prefix == *prefix)
                    .map_or(vec![], |it| it.numbers);
                let stay = numbers.len().saturating_sub(keep);
                let than = numbers.get(stay).copied().unwrap_or(u64::MAX);
                self.registry.end_older(scope, prefix, than);
                let living = self.living(at);
                living[..stay].iter().for_each(|client| self.end(*client));
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut served = 0;
        for (scope, prefix) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let at = At { scope, prefix };
            let oldest = self.living(at).first().copied();
            for (function, name) in FUNCTIONS.iter().enumerate() {
                let mut held = self.held.iter().filter(|held| held.function == function);
                let expected =
                    held.find(|held| held.at == at && held.lives && Some(held.client) == oldest);
                let expected = expected.map(|held| State::ReadBy(held.registration.reader()));
                let (scope, prefix) = (&self.scopes[scope], PREFIXES[prefix]);
                let found = self.registry.lookup(scope, prefix, INSTANCE, name);
                prop_assert_eq!(found.map(|found| found.state()), expected);
                served += usize::from(expected.is_some());
            }
        }
        prop_assert_eq!(self.registry.len(), served);
        prop_assert_eq!(self.registry.snapshot().len(), served);
        Ok(())
    }
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_generations(steps in prop::collection::vec(step(), 0..60)) {
        let mut model = Model {
            registry: Registry::new(),
            scopes: [Scope::new(Arc::new(())), Scope::new(Arc::new(()))],
            held: Vec::new(),
        };
        for step in steps {
            model.take(step);
            model.check()?;
        }
        model.held.clear();
        prop_assert!(model.registry.is_empty());
        prop_assert!(model.registry.generations().is_empty());
    }
}
