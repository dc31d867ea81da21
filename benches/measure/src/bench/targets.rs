//! What must hold, and whether it does.

use serde::Serialize;

use inhost_testbed::Route;

use super::case::Load;
use super::results::{Results, LOCAL};
use super::scale::SPREAD;

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) limit: Limit,
    /// What was measured; `None` when a row that it takes is missing.
    pub(crate) measured: Option<f64>,
    pub(crate) holds: Option<bool>,
}

/// What a figure has to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

const ECHO_64_KIB: Load = Load::Echo(64 * KIB);
const ECHO_1_MIB: Load = Load::Echo(MIB);
const ECHO_16_MIB: Load = Load::Echo(16 * MIB);
const STRINGS: Load = Load::Strings(1_000);

/// All that must hold.
pub(crate) fn targets(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |what: &str, limit: Limit, measured: Option<f64>| {
        let measured = measured.filter(|measured| measured.is_finite());
        targets.push(Target {
            what: what.to_owned(),
            limit,
            measured,
            holds: measured.map(|measured| limit.holds(measured)),
        });
    };
    use Limit::{AtLeast, AtMost};

    let against = Against { results };
    add(
        "ping, 1 caller: median of stock / local",
        AtLeast(20.0),
        against.stock(Load::Ping),
    );
    add(
        "ping, 1 caller: median of local / fresh",
        AtMost(2.0),
        against.floor(Load::Ping),
    );
    add(
        "ping, 1 caller: median of reuse / warm",
        AtMost(8.0),
        against.reuse(),
    );
    add(
        "64 KiB echo: median of stock / local",
        AtLeast(250.0),
        against.stock(ECHO_64_KIB),
    );
    add(
        "64 KiB echo: median of local / fresh",
        AtMost(2.5),
        against.floor(ECHO_64_KIB),
    );
    add(
        "1 MiB echo: median of stock / local",
        AtLeast(500.0),
        against.stock(ECHO_1_MIB),
    );
    add(
        "1 MiB echo: median of local / fresh",
        AtMost(2.5),
        against.floor(ECHO_1_MIB),
    );
    add(
        "1,000 strings: median of stock / local",
        AtLeast(8.0),
        against.stock(STRINGS),
    );
    add(
        "record: median of stock / local",
        AtLeast(8.0),
        against.stock(Load::Record),
    );
    add(
        "64 KiB echo: median of stock / nats",
        AtLeast(10.0),
        against.nats(ECHO_64_KIB),
    );
    add(
        "1 MiB echo: median of stock / nats",
        AtLeast(10.0),
        against.nats(ECHO_1_MIB),
    );
    add(
        "ping, 32 callers: calls/s of local / stock",
        AtLeast(10.0),
        against.rate(Load::Ping, 32),
    );
    add(
        "ping, 1 caller: median, local, in µs (the earlier prototype's)",
        AtMost(22.0),
        results.local(Load::Ping, 1).map(|row| row.p50_us),
    );
    add(
        "ping, 32 callers: calls/s, local (the earlier prototype's)",
        AtLeast(55_000.0),
        against.most_calls(Load::Ping, 32),
    );
    add(
        "ping, 1 caller: p99 / median, local",
        AtMost(4.0),
        results
            .local(Load::Ping, 1)
            .map(|row| row.p99_us / row.p50_us),
    );
    add(
        "any workload between two components, 1 caller: p99 / median, local",
        AtMost(4.0),
        against.worst_tail(),
    );
    for callers in [1, 32] {
        let what = format!("HTTP request, {callers} at once: requests/s of local / stock");
        add(&what, AtLeast(3.0), against.rate(Load::Http, callers));
    }
    let lookup = |functions, spread, readers| against.lookup(functions, spread, readers);
    let many = lookup(10_000, 1, 1);
    add(
        "registry lookup, 10,000 functions, one again and again, in ns",
        AtMost(100.0),
        many,
    );
    add(
        "registry lookup, 10,000 functions, 64 in turn, in ns",
        AtMost(100.0),
        lookup(10_000, SPREAD, 1),
    );
    add(
        "registry lookup: 10,000 functions / 1 function",
        AtMost(1.5),
        ratio(many, lookup(1, 1, 1)),
    );
    add(
        "registry lookup, 10,000 functions: 8 readers and a writer / 1 reader",
        AtMost(1.5),
        ratio(lookup(10_000, 1, 8), many),
    );
    add(
        "any workload: median of nats / stock, the worst",
        AtMost(1.05),
        against.worst_nats(),
    );
    add(
        "host at rest: memory of local / stock",
        AtMost(1.05),
        against.rest(),
    );
    add(
        "a call that waits: memory beyond its instances, in KiB",
        AtMost(16.0),
        against.parked(),
    );
    add(
        "16 MiB echo: peak memory, local, in payloads",
        AtMost(10.0),
        against.peak(),
    );
    targets
}

impl Limit {
    fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

/// Figures of one route against those of another.
struct Against<'a> {
    results: &'a Results,
}

impl Against<'_> {
    fn median(&self, load: Load, route: Route) -> Option<f64> {
        self.results.row(load, 1, route).map(|row| row.p50_us)
    }

    fn local(&self, load: Load) -> Option<f64> {
        self.results.local(load, 1).map(|row| row.p50_us)
    }

    fn stock(&self, load: Load) -> Option<f64> {
        ratio(self.median(load, Route::Stock), self.local(load))
    }

    fn floor(&self, load: Load) -> Option<f64> {
        ratio(self.local(load), self.median(load, Route::Fresh))
    }

    fn reuse(&self) -> Option<f64> {
        let median = |route| self.median(Load::Ping, route);
        ratio(median(Route::Reuse), median(Route::Warm))
    }

    fn nats(&self, load: Load) -> Option<f64> {
        let median = |route| self.median(load, route);
        ratio(median(Route::Stock), median(Route::Nats))
    }

    /// Calls a second on the route in memory that makes more.
    fn most_calls(&self, load: Load, callers: u32) -> Option<f64> {
        let rows = LOCAL.map(|route| self.results.row(load, callers, route));
        let rates = rows.into_iter().flatten().map(|row| row.calls_per_s);
        rates.max_by(f64::total_cmp)
    }

    fn rate(&self, load: Load, callers: u32) -> Option<f64> {
        let stock = self.results.row(load, callers, Route::Stock);
        ratio(
            self.most_calls(load, callers),
            stock.map(|row| row.calls_per_s),
        )
    }

    /// The longest tail of a workload between two components, on its better route in memory.
    fn worst_tail(&self) -> Option<f64> {
        let rows = self.results.rows.iter();
        let rows = rows.filter(|row| row.callers == 1 && row.workload != Load::Http.name());
        // A p99 of fewer calls is their maximum.
        let rows = rows.filter(|row| LOCAL.contains(&row.route) && row.calls >= 100);
        let better = rows.clone().filter(|row| {
            let mut others = rows.clone().filter(|other| other.is_like(row));
            others.all(|other| row.p50_us <= other.p50_us)
        });
        better
            .map(|row| row.p99_us / row.p50_us)
            .max_by(f64::total_cmp)
    }

    fn worst_nats(&self) -> Option<f64> {
        let rows = self.results.rows.iter();
        let nats = rows.clone().filter(|row| row.route == Route::Nats);
        let ratios = nats.filter_map(|row| {
            let stock = rows
                .clone()
                .find(|o| o.route == Route::Stock && o.is_like(row))?;
            Some(row.p50_us / stock.p50_us)
        });
        ratios.max_by(f64::total_cmp)
    }

    fn lookup(&self, functions: usize, spread: usize, readers: usize) -> Option<f64> {
        let wanted = (functions, spread, readers);
        let mut lookups = self.results.lookups.iter();
        let lookup = lookups.find(|l| (l.functions, l.spread, l.readers) == wanted)?;
        Some(lookup.ns)
    }

    fn rest(&self) -> Option<f64> {
        let rest = LOCAL
            .into_iter()
            .filter_map(|route| self.results.rest(route));
        ratio(rest.min_by(f64::total_cmp), self.results.rest(Route::Stock))
    }

    fn parked(&self) -> Option<f64> {
        let parked = self.results.parked.iter();
        let parked = parked.filter(|parked| LOCAL.contains(&parked.route));
        let bytes = parked
            .map(|parked| parked.call_bytes)
            .min_by(f64::total_cmp)?;
        Some(bytes / f64::from(KIB))
    }

    fn peak(&self) -> Option<f64> {
        let rows = LOCAL.map(|route| self.results.row(ECHO_16_MIB, 1, route));
        let peaks = rows.into_iter().flatten().filter_map(|row| row.peak_bytes);
        Some(peaks.min()? as f64 / f64::from(16 * MIB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::results;
    use crate::bench::samples::tests::like;

    fn find(targets: &[Target], what: &str) -> Target {
        let mut found = targets
            .iter()
            .filter(|target| target.what.starts_with(what));
        let target = found.next().expect(what).clone();
        assert!(found.next().is_none(), "more than one begins with {what}");
        target
    }

    #[test]
    fn ratios_are_those_of_medians_with_the_better_route_in_memory() {
        let targets = targets(&results());
        for (what, measured, holds) in [
            ("ping, 1 caller: median of stock", 400.0 / 18.0, true),
            ("ping, 1 caller: median of local", 1.8, true),
            ("64 KiB echo: median of stock / local", 250.0, true),
            ("64 KiB echo: median of local", 100.0 / 30.0, false),
            ("any workload: median of nats", 0.75, true),
            ("host at rest", 1.04, true),
            ("registry lookup, 10,000 functions, one", 44.0, true),
            ("registry lookup: 10,000", 1.1, true),
            ("ping, 1 caller: p99", 1.0, true),
        ] {
            let target = find(&targets, what);
            let difference = target.measured.unwrap() - measured;
            assert!(difference.abs() < 1e-9, "{what}: {target:?}");
            assert_eq!(target.holds, Some(holds), "{what}");
        }
    }

    #[test]
    fn what_was_not_measured_is_left_open() {
        let targets = targets(&results());
        for what in [
            "1 MiB echo: median of stock / local",
            "ping, 1 caller: median of reuse",
            "a call that waits",
        ] {
            let target = find(&targets, what);
            assert_eq!((target.measured, target.holds), (None, None), "{what}");
        }
    }

    #[test]
    fn a_tail_of_the_worse_route_does_not_count() {
        let mut results = results();
        let mut slow = like(Load::Record, 1, Route::Duplex, 90.0);
        slow.p99_us = 900.0;
        results.rows.push(slow);
        let tail = |results: &Results| find(&targets(results), "any workload between").measured;
        assert_eq!(tail(&results), Some(10.0));
        results.rows.push(like(Load::Record, 1, Route::Mpsc, 80.0));
        assert_eq!(tail(&results), Some(1.0));
    }
}
