//! Metrics of in-host invocation, through the host's OpenTelemetry pipeline.
//!
//! They stand beside those of the host library, whose attributes `lattice`, `host` and `operation`
//! they share. `target` is the ID of the component that is called. Counts and gauges are read from
//! the transport when they are exported; only the two histograms take something of each call.

use std::sync::Arc;

use wasmcloud_tracing::{global, Histogram, InstrumentationScope, KeyValue, Meter};
use wrpc_transport_nats::local::{Ended, Function, Local, Status, Target};

use super::slowest::nanoseconds;

/// Calls that components of this host made, by `route`.
const INVOCATIONS: &str = "wasmcloud_host.local_dispatch.invocations";
/// Those that failed, by `kind`.
const FAILURES: &str = "wasmcloud_host.local_dispatch.failures";
/// Bytes that were carried in memory, by `direction`.
const BYTES: &str = "wasmcloud_host.local_dispatch.bytes";
/// Functions that can be called in memory, of each target.
const ENDPOINTS: &str = "wasmcloud_host.local_dispatch.endpoints";
/// Calls in memory that are under way.
const IN_FLIGHT: &str = "wasmcloud_host.local_dispatch.in_flight";
/// Calls that wait in a function's queue.
const QUEUE_DEPTH: &str = "wasmcloud_host.local_dispatch.queue.depth";
/// Calls that found the queue of their callee full.
const QUEUE_FULL: &str = "wasmcloud_host.local_dispatch.queue.full";
/// Invocations that found no room for an instance.
const POOL_USED_UP: &str = "wasmcloud_host.local_dispatch.pool.used_up";
/// Invocations whose guest computed for too long.
const TIME_USED_UP: &str = "wasmcloud_host.local_dispatch.time.used_up";
/// Versions of a component that are there: more than one for as long as an update takes.
const GENERATIONS: &str = "wasmcloud_host.local_dispatch.generations";
/// How long a call in memory waits in the function's queue.
const QUEUE_DURATION: &str = "wasmcloud_host.local_dispatch.queue.duration";
/// How long the callee of a call in memory takes.
const CALLEE_DURATION: &str = "wasmcloud_host.local_dispatch.callee.duration";

/// The unit of the host library's own histogram.
const NANOSECONDS: &str = "nanoseconds";

/// From a microsecond to ten seconds. The default boundaries end at ten microseconds.
const BOUNDARIES: [f64; 20] = [
    1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9,
    1e10,
];

/// The histograms.
pub(super) struct Durations {
    queue: Histogram<u64>,
    callee: Histogram<u64>,
    common: Common,
}

/// What is the same for all series.
#[derive(Clone)]
struct Common {
    host: Arc<str>,
    backend: Arc<str>,
}

/// A value and its attributes.
type Series = (u64, Vec<KeyValue>);

/// The attributes of a target, made once.
struct Attributes([KeyValue; 5]);

/// Has what `local` counts exported, and returns what each call is recorded in.
pub(super) fn export(local: Local, host: &str, version: &str) -> Durations {
    let scope = InstrumentationScope::builder("wasmcloud-local-dispatch")
        .with_version(version.to_owned())
        .with_attributes([KeyValue::new("host.id", host.to_owned())])
        .build();
    let meter = global::meter_with_scope(scope);
    let backend = local.config().backend;
    let common = Common {
        host: host.into(),
        backend: backend.map_or("nats".into(), |backend| backend.to_string().into()),
    };
    counters(&meter, &local, &common);
    gauges(&meter, &local, &common);
    let histogram = |name, description| {
        meter
            .u64_histogram(name)
            .with_description(description)
            .with_unit(NANOSECONDS)
            .with_boundaries(BOUNDARIES.to_vec())
            .build()
    };
    Durations {
        queue: histogram(
            QUEUE_DURATION,
            "How long a call in memory waits in the function's queue",
        ),
        callee: histogram(
            CALLEE_DURATION,
            "How long the callee of a call in memory takes",
        ),
        common,
    }
}

/// What only grows.
fn counters(meter: &Meter, local: &Local, common: &Common) {
    for (name, unit, description, series) in [
        (
            INVOCATIONS,
            "{call}",
            "Calls that components of this host made, by the route that they took",
            invocations as fn(&Common, &Function) -> Vec<Series>,
        ),
        (FAILURES, "{call}", "Calls that failed, by kind", failures),
        (
            BYTES,
            "By",
            "Bytes of parameters and results that were carried in memory",
            bytes,
        ),
    ] {
        let (local, common) = (local.clone(), common.clone());
        meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_unit(unit)
            .with_callback(move |counter| {
                let functions = local.status().functions;
                let each = functions.iter().flat_map(|it| series(&common, it));
                // A series begins with the first call.
                for (value, attributes) in each.filter(|(value, _)| *value > 0) {
                    counter.observe(value, &attributes);
                }
            })
            .build();
    }
    type Count = fn(&Status) -> u64;
    let of_host: [(_, _, Count); 3] = [
        (
            QUEUE_FULL,
            "Calls that found the queue of their callee full, and went over NATS or waited for room",
            |status| status.queue_full,
        ),
        (
            POOL_USED_UP,
            "Invocations that found no room for an instance in the pool",
            |status| status.pool_used_up,
        ),
        (
            TIME_USED_UP,
            "Invocations that were stopped because their guest computed for too long",
            |status| status.time_used_up,
        ),
    ];
    for (name, description, count) in of_host {
        let (local, host) = (local.clone(), Arc::clone(&common.host));
        meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_unit("{call}")
            .with_callback(move |counter| {
                let host = KeyValue::new("host", Arc::clone(&host));
                counter.observe(count(&local.status()), &[host]);
            })
            .build();
    }
}

/// What comes and goes.
fn gauges(meter: &Meter, local: &Local, common: &Common) {
    let (status, with) = (local.clone(), common.clone());
    meter
        .u64_observable_gauge(ENDPOINTS)
        .with_description("Functions that can be called in memory")
        .with_callback(move |it| {
            let mut counts = std::collections::BTreeMap::<_, u64>::new();
            for endpoint in status.status().endpoints {
                *counts.entry(endpoint.prefix).or_default() += 1;
            }
            for (prefix, count) in counts {
                it.observe(count, &with.of_component(&prefix));
            }
        })
        .build();
    let (generations, with) = (local.clone(), common.clone());
    meter
        .u64_observable_gauge(GENERATIONS)
        .with_description("Versions of a component that are there")
        .with_callback(move |it| {
            let mut counts = std::collections::BTreeMap::<_, u64>::new();
            for generations in generations.generations() {
                // Two connections that serve a component have versions of it each.
                let count = counts.entry(generations.prefix).or_default();
                *count = (*count).max(generations.numbers.len() as u64);
            }
            for (prefix, count) in counts {
                it.observe(count, &with.of_component(&prefix));
            }
        })
        .build();
    for (name, description, value) in [
        (
            IN_FLIGHT,
            "Calls in memory that are under way",
            (|function| function.in_flight) as fn(&Function) -> usize,
        ),
        (
            QUEUE_DEPTH,
            "Calls that wait in a function's queue",
            |function| function.queued,
        ),
    ] {
        let (status, with) = (local.clone(), common.clone());
        meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |it| {
                for function in status.status().functions {
                    if function.served || value(&function) > 0 {
                        it.observe(value(&function) as u64, &with.of_function(&function));
                    }
                }
            })
            .build();
    }
}

fn invocations(common: &Common, function: &Function) -> Vec<Series> {
    let calls = function.calls;
    let each = [
        ("local", &*common.backend, calls.local),
        ("remote", "nats", calls.remote),
        ("spilled", "nats", calls.spilled),
        ("fallback", "nats", calls.fallback),
        ("refused", "none", calls.refused),
    ];
    let series = each.map(|it| common.series(function, "route", it));
    series.into()
}

fn failures(common: &Common, function: &Function) -> Vec<Series> {
    let (failures, backend) = (function.failures, &*common.backend);
    let each = [
        ("failed", backend, failures.failed),
        ("denied", backend, failures.denied),
        ("not_run", backend, failures.not_run),
        ("caller_left", backend, failures.caller_left),
        ("not_sent", "nats", failures.not_sent),
        ("lost", backend, failures.lost),
        ("refused", "none", function.calls.refused),
    ];
    let series = each.map(|it| common.series(function, "kind", it));
    series.into()
}

fn bytes(common: &Common, function: &Function) -> Vec<Series> {
    let backend = &*common.backend;
    let each = [
        ("params", backend, function.params_bytes),
        ("results", backend, function.results_bytes),
    ];
    let series = each.map(|it| common.series(function, "direction", it));
    series.into()
}

impl Common {
    /// The attributes of a function. `operation` is as the host library has it.
    fn named(&self, prefix: &str, instance: &str, function: &str, backend: &str) -> [KeyValue; 5] {
        // Functions that are too many to be told apart have no names.
        let (lattice, target) = prefix.rsplit_once('.').unwrap_or(("", "other"));
        let operation = match instance {
            "" if function.is_empty() => "other".to_owned(),
            instance => format!("{instance}/{function}"),
        };
        [
            KeyValue::new("lattice", lattice.to_owned()),
            KeyValue::new("host", Arc::clone(&self.host)),
            KeyValue::new("target", target.to_owned()),
            KeyValue::new("operation", operation),
            KeyValue::new("backend", backend.to_owned()),
        ]
    }

    /// Those of a function whose calls are carried in memory.
    fn of_function(&self, it: &Function) -> [KeyValue; 5] {
        self.named(&it.prefix, &it.instance, &it.function, &self.backend)
    }

    /// A value, and the attributes of the function with one more, `key`, and the backend.
    fn series(
        &self,
        it: &Function,
        key: &'static str,
        (of, backend, value): (&'static str, &str, u64),
    ) -> Series {
        let named = self.named(&it.prefix, &it.instance, &it.function, backend);
        let attributes = named.into_iter().chain([KeyValue::new(key, of)]);
        (value, attributes.collect())
    }

    fn of_component(&self, prefix: &str) -> [KeyValue; 4] {
        let [lattice, host, target, _, backend] = self.named(prefix, "", "", &self.backend);
        [lattice, host, target, backend]
    }
}

impl Durations {
    /// Records a call in memory that has ended.
    pub(super) fn record(&self, call: &Ended<'_>) {
        let make = |target: &Target| {
            let (prefix, instance) = (target.prefix(), target.instance());
            let with = &self.common;
            Attributes(with.named(prefix, instance, target.function(), &with.backend))
        };
        let Some(Attributes(attributes)) = call.target.counted_as().attachment(make) else {
            return;
        };
        self.queue.record(nanoseconds(call.queued), attributes);
        if let Some(callee) = call.callee {
            self.callee.record(nanoseconds(callee), attributes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DASHBOARD: &str = include_str!("../../grafana/local-dispatch.json");
    const RULES: &str = include_str!("../../grafana/local-dispatch-rules.yaml");
    const RULES_TEST: &str = include_str!("../../grafana/local-dispatch-rules.test.yaml");

    /// The series that Prometheus has of each metric: dots are underscores, and unit and kind come at the end.
    fn in_prometheus() -> BTreeSet<String> {
        let series = [
            (INVOCATIONS, "_total"),
            (FAILURES, "_total"),
            (BYTES, "_total"),
            (ENDPOINTS, ""),
            (IN_FLIGHT, ""),
            (QUEUE_DEPTH, ""),
            (QUEUE_FULL, "_total"),
            (POOL_USED_UP, "_total"),
            (TIME_USED_UP, "_total"),
            (GENERATIONS, ""),
            (QUEUE_DURATION, "_nanoseconds_bucket"),
            (CALLEE_DURATION, "_nanoseconds_bucket"),
        ];
        let series = series.map(|(name, end)| name.replace('.', "_") + end);
        series.into()
    }

    #[test]
    fn the_dashboard_shows_what_is_exported_and_all_of_it() {
        let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
        assert!(dashboard["panels"]
            .as_array()
            .is_some_and(|it| !it.is_empty()));
        assert_eq!(named_in(DASHBOARD), in_prometheus());
    }

    #[test]
    fn the_rules_look_at_what_is_exported() {
        assert_eq!(RULES.matches("alert: ").count(), 7);
        let (named, exported) = (named_in(RULES), in_prometheus());
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(named_in(RULES_TEST), named);
    }

    /// The metrics that a file names.
    fn named_in(file: &str) -> BTreeSet<String> {
        let words = file.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let words = words.filter(|word| word.starts_with("wasmcloud_host_"));
        words.map(str::to_owned).collect()
    }

    #[test]
    fn a_function_is_named_as_the_host_library_names_it() {
        let common = Common {
            host: "N1".into(),
            backend: "mpsc".into(),
        };
        let named = |prefix, instance, function| {
            let named = common.named(prefix, instance, function, "mpsc");
            named.map(|it| format!("{}={}", it.key, it.value))
        };
        assert_eq!(
            named("a.lattice.payments", "shop:pay/api@1.0.0", "charge"),
            [
                "lattice=a.lattice",
                "host=N1",
                "target=payments",
                "operation=shop:pay/api@1.0.0/charge",
                "backend=mpsc"
            ]
        );
        assert_eq!(named("", "", "")[2..4], ["target=other", "operation=other"]);
    }
}
