//! Looking a function up: by the number of functions, and with a writer at work.
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion};
use inhost_registry::{Registration, Registry, Scope};

const INSTANCE: &str = "wasi:keyvalue/store@0.2.0-draft";

fn filled(scope: &Scope, functions: usize) -> (Registry<()>, Vec<Registration<()>>) {
    let registry = Registry::new();
    let client = registry.client();
    let guards = (0..functions)
        .map(|i| {
            let prefix = format!("default.component-{}", i / 10);
            let function = format!("function-{}", i % 10);
            registry.register(scope.clone(), &prefix, client, INSTANCE, &function, || ())
        })
        .collect();
    (registry, guards)
}

fn lookup(c: &mut Criterion) {
    let scope = Scope::new(Arc::new(()));
    let mut group = c.benchmark_group("registry/lookup");
    for functions in [1, 10, 100, 1_000, 10_000] {
        let (registry, _guards) = filled(&scope, functions);
        let hit = || {
            registry.lookup(
                &scope,
                black_box("default.component-0"),
                INSTANCE,
                "function-0",
            )
        };
        assert!(hit().is_some());
        group.bench_function(BenchmarkId::new("hit", functions), |b| b.iter(hit));
        let miss = || {
            registry.lookup(
                &scope,
                black_box("default.elsewhere"),
                INSTANCE,
                "function-0",
            )
        };
        assert!(miss().is_none());
        group.bench_function(BenchmarkId::new("miss", functions), |b| b.iter(miss));
    }
    group.finish();
}

fn lookup_with_a_writer(c: &mut Criterion) {
    let scope = Scope::new(Arc::new(()));
    let (registry, _guards) = filled(&scope, 10_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let client = registry.client();
                let scope = scope.clone();
                drop(registry.register(scope, "default.busy", client, INSTANCE, "get", || ()));
            }
        });
        c.bench_function("registry/lookup/hit with a writer", |b| {
            b.iter(|| {
                registry.lookup(
                    &scope,
                    black_box("default.component-0"),
                    INSTANCE,
                    "function-0",
                )
            });
        });
        done.store(true, Ordering::Relaxed);
    });
}

fn register(c: &mut Criterion) {
    let scope = Scope::new(Arc::new(()));
    let mut group = c.benchmark_group("registry/register and remove");
    for functions in [0, 10_000] {
        let (registry, _guards) = filled(&scope, functions);
        group.bench_function(BenchmarkId::from_parameter(functions), |b| {
            b.iter(|| {
                let client = registry.client();
                registry.register(scope.clone(), "default.new", client, INSTANCE, "get", || ())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, lookup, lookup_with_a_writer, register);
criterion_main!(benches);
