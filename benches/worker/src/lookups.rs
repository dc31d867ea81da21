//! How long a lookup in the registry takes.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use inhost_registry::{Registration, Registry, Scope};

use crate::protocol::Lookup;

const INSTANCE: &str = "inhost:demo/echo@0.1.0";

/// How many functions a component has.
const FUNCTIONS: usize = 25;

/// How many lookups a reader makes in a round. So few that most rounds are not interrupted.
const LOOKUPS: u32 = 2_000;

/// How many rounds each reader makes. The median of all rounds counts.
const ROUNDS: usize = 201;

/// Nanoseconds that a lookup takes: the median of all rounds of all readers, by each reader's own clock.
pub(crate) fn measure(lookup: &Lookup) -> f64 {
    let scope = Scope::new(Arc::new(()));
    let registry = Registry::new();
    let _registered = fill(&registry, &scope, lookup.functions);
    let done = AtomicBool::new(false);
    let mut rounds = std::thread::scope(|threads| {
        if lookup.writer {
            threads.spawn(|| write(&registry, &scope, &done));
        }
        let readers: Vec<_> = (0..lookup.readers.max(1))
            .map(|_| threads.spawn(|| read(&registry, &scope, lookup)))
            .collect();
        let rounds: Vec<_> = readers
            .into_iter()
            .flat_map(|reader| reader.join().expect("a reader does not panic"))
            .collect();
        done.store(true, Ordering::Relaxed);
        rounds
    });
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn component(number: usize) -> String {
    format!("default.component-{number}")
}

fn fill(registry: &Registry<()>, scope: &Scope, functions: usize) -> Vec<Registration<()>> {
    let client = registry.client();
    (0..functions)
        .map(|number| {
            let prefix = component(number / FUNCTIONS);
            let function = format!("function-{}", number % FUNCTIONS);
            registry.register(scope.clone(), &prefix, client, INSTANCE, &function, || ())
        })
        .collect()
}

/// Registers and removes a function until it is `done`.
fn write(registry: &Registry<()>, scope: &Scope, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let (scope, client) = (scope.clone(), registry.client());
        drop(registry.register(scope, "default.busy", client, INSTANCE, "get", || ()));
    }
}

/// Looks up a function of each of some components in turn. Returns the nanoseconds of a lookup, for each round.
fn read(registry: &Registry<()>, scope: &Scope, lookup: &Lookup) -> Vec<f64> {
    let components = lookup.functions.div_ceil(FUNCTIONS);
    let spread = lookup.spread.min(components).max(1);
    let prefixes: Vec<_> = (0..spread).map(component).collect();
    let round = || {
        let start = Instant::now();
        for number in 0..LOOKUPS {
            let prefix = &prefixes[number as usize % prefixes.len()];
            // As the dispatcher looks.
            let view = registry.view();
            let found = view.get(scope, black_box(prefix), INSTANCE, "function-0");
            assert!(black_box(found).is_some());
        }
        start.elapsed().as_nanos() as f64 / f64::from(LOOKUPS)
    };
    (0..ROUNDS).map(|_| round()).collect()
}
