//! The listing as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::commands::printable::Printable;
use crate::commands::table::{table, Column};

/// What is shown of a listing. What a host of another version does not say is taken for nothing.
#[derive(Deserialize)]
pub(super) struct Listing {
    host: Printable,
    version: Printable,
    mode: Printable,
    #[serde(default)]
    targets: BTreeMap<Printable, Printable>,
    backend: Option<Printable>,
    calls: Calls,
    #[serde(default)]
    in_flight: u64,
    #[serde(default)]
    queue_full: u64,
    #[serde(default)]
    pool_used_up: u64,
    #[serde(default)]
    time_used_up: u64,
    #[serde(default)]
    functions: Vec<Function>,
    #[serde(default)]
    http: Vec<HttpTarget>,
    #[serde(default)]
    running: Vec<Running>,
    #[serde(default)]
    slowest: Vec<Slow>,
    changes: Option<Vec<Change>>,
    tap: Option<Tap>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Calls {
    local: u64,
    remote: u64,
    spilled: u64,
    fallback: u64,
    refused: u64,
}

impl Calls {
    fn all(&self) -> u64 {
        self.local + self.remote + self.spilled + self.fallback + self.refused
    }
}

/// A host name that a component of the host answers to in memory, as it is now.
#[derive(Deserialize)]
struct HttpTarget {
    name: Printable,
    component: Printable,
    #[serde(default)]
    answered: bool,
}

#[derive(Deserialize)]
struct Function {
    prefix: Printable,
    instance: Printable,
    function: Printable,
    #[serde(default)]
    served: bool,
    #[serde(default)]
    queued: u64,
    #[serde(default)]
    in_flight: u64,
    #[serde(default)]
    calls: Calls,
    #[serde(default)]
    failures: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Running {
    caller: Printable,
    prefix: Printable,
    instance: Printable,
    function: Printable,
    route: Printable,
    state: Printable,
    age_us: u64,
}

#[derive(Deserialize)]
struct Slow {
    prefix: Printable,
    instance: Printable,
    function: Printable,
    outcome: Printable,
    duration_us: u64,
    queued_us: u64,
    callee_us: Option<u64>,
    seconds_ago: u64,
}

#[derive(Deserialize)]
struct Change {
    target: Option<Printable>,
    mode: Printable,
    by: Printable,
    over: Printable,
    seconds_ago: u64,
}

#[derive(Deserialize)]
struct Tap {
    subject: Printable,
    published: u64,
    dropped: u64,
}

/// All of it, as lines.
pub(super) fn text(listing: &Listing) -> String {
    let mut text = head(listing);
    let mut part = |title: &str, rows: String| {
        let _ = write!(text, "\n{title}\n{rows}");
    };
    part("Calls in flight, the oldest first", running(listing));
    part("Functions that were called", functions(listing));
    part(
        "Slowest calls in memory of the last five to ten minutes",
        slowest(listing),
    );
    if let Some(changes) = &listing.changes {
        let _ = write!(
            text,
            "\nModes that were changed, the latest first\n{}",
            changed(changes)
        );
    }
    if let Some(tap) = &listing.tap {
        let Tap {
            subject,
            published,
            dropped,
        } = tap;
        let _ = writeln!(
            text,
            "\nRecords of calls go to the NATS subject {subject}: {published} published, {dropped} dropped."
        );
    }
    text
}

fn head(listing: &Listing) -> String {
    let Listing {
        host,
        version,
        mode,
        ..
    } = listing;
    let backend = listing.backend.as_deref().unwrap_or("none");
    let targets: String = listing
        .targets
        .iter()
        .map(|(id, mode)| format!(", {id}: {mode}"))
        .collect();
    let http: String = listing.http.iter().map(http).collect();
    let Calls {
        local,
        remote,
        spilled,
        fallback,
        refused,
    } = &listing.calls;
    let in_flight = listing.in_flight;
    let queued: u64 = listing.functions.iter().map(|it| it.queued).sum();
    format!(
        "host {host}, version {version}\nmode {mode}{targets}; backend {backend}\n{http}\
         calls: {local} in memory, {remote} over NATS, {spilled} spilled, {fallback} fallback, {refused} refused\n\
         in memory now: {in_flight} in flight, {queued} of them queued\n{}",
        used_up(listing)
    )
}

/// What the host has had too little of, and which flag gives more of it. Nothing when there was enough.
fn used_up(listing: &Listing) -> String {
    let scarce = [
        (
            listing.queue_full,
            "found the queue of their callee full",
            "scale the callee up, or `--local-queue-invocations` and `--local-queue-bytes`",
        ),
        (
            listing.pool_used_up,
            "found no room for an instance",
            "`--max-components`, or a lower `max_instances` of components",
        ),
        (
            listing.time_used_up,
            "computed for too long",
            "less work at a time, or `--max-execution-time-ms`",
        ),
    ];
    let scarce = scarce.into_iter().filter(|(calls, ..)| *calls > 0);
    scarce
        .map(|(calls, what, helps)| format!("{calls} {what}; what helps: {helps}\n"))
        .collect()
}

fn http(
    HttpTarget {
        name,
        component,
        answered,
    }: &HttpTarget,
) -> String {
    let otherwise = if *answered {
        ""
    } else {
        ", but now they go to the provider"
    };
    format!("http requests to {name}: {component}{otherwise}\n")
}

fn functions(listing: &Listing) -> String {
    let columns = [
        Column::Left("component"),
        Column::Left("function"),
        Column::Left("here"),
        Column::Right("in memory"),
        Column::Right("NATS"),
        Column::Right("spilled"),
        Column::Right("fallback"),
        Column::Right("refused"),
        Column::Right("failed"),
        Column::Right("in flight"),
        Column::Right("queued"),
    ];
    let rows: Vec<_> = listing
        .functions
        .iter()
        .filter(|it| it.calls.all() > 0)
        .map(|it| {
            // Those that are lost did not run, and are counted there.
            let failures = it.failures.iter().filter(|(kind, _)| *kind != "lost");
            let failed: u64 = failures.map(|(_, count)| count).sum();
            [
                component(&it.prefix).to_owned(),
                function(&it.instance, &it.function),
                if it.served { "yes" } else { "no" }.to_owned(),
                it.calls.local.to_string(),
                it.calls.remote.to_string(),
                it.calls.spilled.to_string(),
                it.calls.fallback.to_string(),
                it.calls.refused.to_string(),
                failed.to_string(),
                it.in_flight.to_string(),
                it.queued.to_string(),
            ]
        })
        .collect();
    let idle = listing.functions.len() - rows.len();
    let more = match idle {
        0 => String::new(),
        _ => format!("  and {idle} that were not called from here\n"),
    };
    or_nothing(&rows, table(columns, &rows)) + &more
}

fn running(listing: &Listing) -> String {
    let columns = [
        Column::Right("age"),
        Column::Left("state"),
        Column::Left("caller"),
        Column::Left("component"),
        Column::Left("function"),
        Column::Left("route"),
    ];
    let rows: Vec<_> = listing
        .running
        .iter()
        .map(|it| {
            let caller = match &*it.caller {
                "" => "(unknown)",
                caller => caller,
            };
            [
                time(it.age_us),
                it.state.to_string(),
                caller.to_owned(),
                component(&it.prefix).to_owned(),
                function(&it.instance, &it.function),
                it.route.to_string(),
            ]
        })
        .collect();
    or_nothing(&rows, table(columns, &rows))
}

fn slowest(listing: &Listing) -> String {
    let columns = [
        Column::Right("took"),
        Column::Right("queue"),
        Column::Right("callee"),
        Column::Right("ended"),
        Column::Left("outcome"),
        Column::Left("component"),
        Column::Left("function"),
    ];
    let rows: Vec<_> = listing
        .slowest
        .iter()
        .map(|it| {
            [
                time(it.duration_us),
                time(it.queued_us),
                it.callee_us.map_or("-".to_owned(), time),
                format!("{} s ago", it.seconds_ago),
                it.outcome.to_string(),
                component(&it.prefix).to_owned(),
                function(&it.instance, &it.function),
            ]
        })
        .collect();
    or_nothing(&rows, table(columns, &rows))
}

fn changed(changes: &[Change]) -> String {
    let columns = [
        Column::Right("changed"),
        Column::Left("component"),
        Column::Left("mode"),
        Column::Left("by"),
        Column::Left("over"),
    ];
    let rows: Vec<_> = changes
        .iter()
        .map(|it| {
            [
                format!("{} s ago", it.seconds_ago),
                it.target.as_deref().unwrap_or("(all)").to_owned(),
                it.mode.to_string(),
                it.by.to_string(),
                it.over.to_string(),
            ]
        })
        .collect();
    or_nothing(&rows, table(columns, &rows))
}

fn or_nothing<T>(rows: &[T], table: String) -> String {
    match rows {
        [] => "  none\n".to_owned(),
        _ => table,
    }
}

/// The ID in `lattice.component-id`. Functions that are too many to be told apart have no names.
fn component(prefix: &str) -> &str {
    match prefix {
        "" => "(others)",
        _ => prefix.rsplit_once('.').map_or(prefix, |(_, id)| id),
    }
}

fn function(instance: &str, function: &str) -> String {
    match instance {
        "" => function.to_owned(),
        _ => format!("{instance}.{function}"),
    }
}

/// With three digits, as people read it.
fn time(microseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is rounded anyhow")]
    let us = microseconds as f64;
    match microseconds {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us / 1e3),
        _ => format!("{:.1} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(listing: serde_json::Value) -> String {
        text(&serde_json::from_value(listing).expect("a listing"))
    }

    #[test]
    fn a_listing_is_shown_with_its_functions_and_its_slowest_calls() {
        let text = shown(serde_json::json!({
            "host": "NHOST", "version": "1.5.1", "mode": "prefer", "targets": {"callee": "require"}, "backend": "duplex",
            "calls": {"local": 5, "remote": 1, "spilled": 0, "fallback": 0, "refused": 2}, "in_flight": 3, "endpoints": [],
            "queue_full": 0, "pool_used_up": 0, "time_used_up": 0,
            "functions": [{
                "prefix": "default.callee", "instance": "a:b/c", "function": "f", "served": true, "queued": 2,
                "in_flight": 3, "calls": {"local": 5, "remote": 1, "refused": 2},
                "failures": {"failed": 1, "lost": 7}, "params_bytes": 0, "results_bytes": 0
            }, {
                "prefix": "default.callee", "instance": "a:b/c", "function": "g", "served": true
            }],
            "running": [{
                "caller": "web", "prefix": "default.callee", "instance": "a:b/c", "function": "f", "route": "local",
                "state": "waiting", "age_us": 4000000
            }],
            "slowest": [{
                "prefix": "default.callee", "instance": "a:b/c", "function": "f", "outcome": "completed",
                "duration_us": 1234, "queued_us": 12, "callee_us": null, "seconds_ago": 4
            }],
            "http": [
                {"name": "orders.local", "component": "orders", "answered": true},
                {"name": "b:81", "component": "b", "answered": false}
            ],
            "changes": [{"target": null, "mode": "off", "by": "alice", "over": "nats", "seconds_ago": 3}],
            "tap": {"subject": "calls", "published": 8, "dropped": 9}
        }));
        for part in [
            "host NHOST, version 1.5.1",
            "mode prefer, callee: require; backend duplex",
            "http requests to orders.local: orders\nhttp requests to b:81: b, but now they go to the provider\n",
            "5 in memory, 1 over NATS, 0 spilled, 0 fallback, 2 refused",
            "3 in flight, 2 of them queued",
            "callee     a:b/c.f   yes           5     1        0         0        2       1          3       2",
            "  and 1 that were not called from here\n",
            "4.0 s  waiting  web     callee     a:b/c.f   local",
            "1.2 ms  12 µs       -  4 s ago  completed  callee     a:b/c.f",
            "3 s ago  (all)      off   alice  nats",
            "subject calls: 8 published, 9 dropped",
        ] {
            assert!(text.contains(part), "`{part}` is not in:\n{text}");
        }
        assert!(
            !text.contains("what helps"),
            "all there was enough of:\n{text}"
        );
    }

    #[test]
    fn what_was_used_up_is_shown_with_what_helps() {
        let text = shown(serde_json::json!({
            "host": "", "version": "", "mode": "prefer", "calls": {"spilled": 3}, "queue_full": 3, "pool_used_up": 4, "time_used_up": 5
        }));
        for (line, flag) in [
            (
                "3 found the queue of their callee full",
                "--local-queue-invocations",
            ),
            ("4 found no room for an instance", "--max-components"),
            ("5 computed for too long", "--max-execution-time-ms"),
        ] {
            let mut lines = text.lines();
            let found = lines.find(|it| it.contains(line));
            assert!(found.is_some_and(|it| it.contains(flag)), "{line}: {text}");
        }
    }

    #[test]
    fn what_a_terminal_would_do_something_for_is_not_in_it() {
        let evil = "\u{1b}[2J\u{9b}\r\n";
        let text = shown(serde_json::json!({
            "host": evil, "version": evil, "mode": evil, "targets": {evil: evil}, "backend": evil, "calls": {},
            "running": [{
                "caller": evil, "prefix": evil, "instance": evil, "function": evil, "route": evil, "state": evil, "age_us": 1
            }],
            "http": [{"name": evil, "component": evil}],
            "changes": [{"target": evil, "mode": evil, "by": evil, "over": evil, "seconds_ago": 3}],
            "tap": {"subject": evil, "published": 8, "dropped": 9}
        }));
        let lines = shown(serde_json::json!({
            "host": "", "version": "", "mode": "", "calls": {}, "running": [], "changes": [],
            "tap": {"subject": "", "published": 8, "dropped": 9}
        }));
        let controls = |c: char| c.is_control() && c != '\n';
        assert_eq!(text.find(controls), None, "{text:?}");
        // Titles of the columns and a line for the name, and no lines beside that.
        assert_eq!(text.lines().count(), lines.lines().count() + 3, "{text}");
    }

    #[test]
    fn a_host_that_has_done_nothing_is_shown_all_the_same() {
        let text = shown(serde_json::json!({
            "host": "NHOST", "version": "1.5.1", "mode": "off", "backend": null, "calls": {}
        }));
        assert!(text.contains("mode off; backend none"), "{text}");
        assert_eq!(text.matches("  none\n").count(), 3, "{text}");
    }
}
