//! The figures in tables, for the terminal and for the report.

use inhost_testbed::Route;

use super::results::{Rest, Results};
use super::samples::Row;
use super::targets::{Limit, Target};
use crate::report::layout::{self, Header};
use crate::report::units::{duration, mebibytes, rate, thousands, times};

/// A table: titles, and lines of as many cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) titles: Vec<&'static str>,
    /// The titles of columns that hold text.
    pub(crate) left: &'static [&'static str],
    pub(crate) lines: Vec<Vec<String>>,
}

impl Table {
    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let header = Header {
            titles: self.titles.clone(),
            left: self.left,
        };
        layout::table(&header, &self.lines)
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let titles = self.titles.iter().map(|&title| title.to_owned());
        let sides = self
            .titles
            .iter()
            .map(|title| match self.left.contains(title) {
                true => "---".to_owned(),
                false => "---:".to_owned(),
            });
        let mut text = line(titles.collect());
        text.push_str(&line(sides.collect()));
        let lines = self.lines.iter().cloned().map(line);
        text.extend(lines);
        text
    }
}

/// The rows, those of one workload below one another.
pub(crate) fn rows(results: &Results) -> Table {
    let rows = &results.rows;
    let lines = rows.iter().enumerate().map(|(number, row)| {
        let first = number == 0 || !rows[number - 1].is_like(row);
        let (title, callers) = match first {
            true => (row.title.clone(), thousands(row.callers.into())),
            false => Default::default(),
        };
        let stock = rows.iter();
        let mut stock = stock.filter(|other| other.route == Route::Stock && other.is_like(row));
        vec![
            title,
            callers,
            row.route.to_string(),
            duration(row.p50_us),
            duration(row.p99_us),
            duration(row.p999_us),
            rate(row.calls_per_s),
            match stock.next() {
                Some(stock) => times(stock.p50_us, Some(row.p50_us)),
                None => "-".to_owned(),
            },
            cpu(row.cpu_s_per_1000),
            cpu(row.nats_cpu_s_per_1000),
            row.peak_bytes.map_or("-".to_owned(), mebibytes),
            made(row),
        ]
    });
    Table {
        titles: vec![
            "workload", "callers", "route", "median", "p99", "p99.9", "calls/s", "x stock", "CPU",
            "CPU nats", "peak", "calls",
        ],
        left: &["workload", "route"],
        lines: lines.collect(),
    }
}

/// What the columns of [`rows`] mean.
pub(crate) const LEGEND: &str = "\
median, p99, p99.9: of a call, measured in the caller. x stock: the stock host's median divided by
the row's. CPU: milliseconds of processor time of the host for one call; CPU nats: of the nats-server,
where calls go over it. peak: the most memory that the host had in RAM. calls: how many were made; +N:
N batches were made again, because a call over NATS was lost. A p99 of fewer than 100 calls is that of
the longest.";

/// Processor time for one call in milliseconds: the figure is that of 1,000 calls in seconds.
fn cpu(seconds_per_1000: Option<f64>) -> String {
    match seconds_per_1000 {
        Some(ms) if ms < 0.9995 => format!("{ms:.3}"),
        Some(ms) => format!("{ms:.1}"),
        None => "-".to_owned(),
    }
}

fn made(row: &Row) -> String {
    let calls = thousands(row.calls);
    match row.repeated {
        0 => calls,
        repeated => format!("{calls} +{repeated}"),
    }
}

/// What must hold.
pub(crate) fn targets(targets: &[Target]) -> Table {
    let lines = targets.iter().map(|target| {
        let limit = match target.limit {
            Limit::AtLeast(least) => format!("at least {}", figure(least)),
            Limit::AtMost(most) => format!("at most {}", figure(most)),
        };
        let holds = match target.holds {
            Some(true) => "holds",
            Some(false) => "does NOT hold",
            None => "not measured",
        };
        vec![
            target.what.clone(),
            limit,
            target.measured.map_or("-".to_owned(), figure),
            holds.to_owned(),
        ]
    });
    Table {
        titles: vec!["what", "target", "measured", ""],
        left: &["what", ""],
        lines: lines.collect(),
    }
}

fn figure(figure: f64) -> String {
    match figure {
        small if small.abs() < 9.995 => format!("{small:.2}"),
        middle if middle.abs() < 999.95 => format!("{middle:.1}"),
        large => thousands(large.round() as u64),
    }
}

/// Memory in RAM before any call, and beyond the instances of a call that waits.
pub(crate) fn memory(results: &Results) -> Table {
    let kib = |bytes: f64| format!("{:.1} KiB", bytes / 1_024.0);
    let lines = Route::ALL.into_iter().filter_map(|route| {
        let rest = results.rest.iter().find(|rest: &&Rest| rest.route == route);
        let parked = results.parked.iter().find(|parked| parked.route == route);
        if rest.is_none() && parked.is_none() {
            return None;
        }
        let cell = |bytes: Option<f64>| bytes.map_or("-".to_owned(), kib);
        let instances = results.instances.filter(|_| parked.is_some());
        Some(vec![
            route.to_string(),
            rest.map_or("-".to_owned(), |rest| mebibytes(rest.bytes)),
            cell(parked.map(|parked| parked.through_bytes)),
            cell(parked.map(|parked| parked.direct_bytes)),
            cell(instances.map(|instances| instances.caller_bytes)),
            cell(parked.map(|parked| parked.call_bytes)),
        ])
    });
    Table {
        titles: vec!["route", "at rest", "through", "direct", "caller", "call"],
        left: &["route"],
        lines: lines.collect(),
    }
}

/// What the columns of [`memory`] mean.
pub(crate) const MEMORY_LEGEND: &str = "\
at rest: memory in RAM with all components on the host, before any call. The others are memory of a
call that waits in the callee: through: of the caller, called from outside, which calls the callee;
direct: of the callee, called from outside; caller: of an instance of the caller without a host; call:
what is left for the call between the two, that is through - direct - caller.";
