//! What the demo has measured: a table for people, JSON for programs.

use std::path::Path;

use inhost_testbed::Route;
use serde_json::{json, Value};

use crate::bench::samples::Row;
use crate::report::give_json;
use crate::report::layout::{self, Header};
use crate::report::units::{duration, rate, size, thousands, times};

/// What was measured, in a table, with what the columns mean.
pub(crate) fn text(rows: &[Row]) -> String {
    format!("{}\n{LEGEND}\n", table(rows))
}

/// What the columns mean.
const LEGEND: &str = "\
median, p99: of a call, measured in the caller. x NATS: calls/s relative to the row over NATS.
local, remote: how many of the calls the host says it made in memory and over NATS.";

/// The table: the routes of one workload below one another, and how many times the calls a second of NATS each makes.
fn table(rows: &[Row]) -> String {
    let header = Header {
        titles: vec![
            "workload", "callers", "route", "median", "p99", "calls/s", "x NATS", "local", "remote",
        ],
        left: &["workload", "route"],
    };
    let lines = rows.iter().enumerate().map(|(number, row)| {
        let first = number == 0 || !rows[number - 1].is_like(row);
        let (workload, callers) = match first {
            true => (workload(row), row.callers.to_string()),
            false => Default::default(),
        };
        let nats = find(rows, row, Route::Nats);
        let mut line = vec![
            workload,
            callers,
            row.route.to_string(),
            duration(row.p50_us),
            duration(row.p99_us),
            rate(row.calls_per_s),
            times(row.calls_per_s, nats.map(|nats| nats.calls_per_s)),
        ];
        line.extend(match row.counts {
            Some(counts) => [thousands(counts.local), thousands(counts.remote)],
            None => ["-".to_owned(), "-".to_owned()],
        });
        line
    });
    layout::table(&header, &lines.collect::<Vec<_>>())
}

/// The row of the same case as `row` on `route`.
fn find<'a>(rows: &'a [Row], row: &Row, route: Route) -> Option<&'a Row> {
    rows.iter()
        .find(|other| other.route == route && other.is_like(row))
}

fn workload(row: &Row) -> String {
    match (row.bytes, row.strings) {
        (Some(bytes), _) => format!("{} {}", row.workload, size(bytes)),
        (None, Some(strings)) => format!("{} {}", row.workload, thousands(strings.into())),
        (None, None) => row.workload.to_owned(),
    }
}

/// The rows as JSON: of each, what the demo measures.
fn json(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        let mut json = json!({
            "route": row.route,
            "workload": row.workload,
            "bytes": row.bytes.unwrap_or(0),
            "strings": row.strings.unwrap_or(0),
            "concurrency": row.callers,
            "calls": row.calls,
            "p50_us": row.p50_us,
            "p99_us": row.p99_us,
            "calls_per_s": row.calls_per_s,
        });
        if let Some(counts) = row.counts {
            json["local"] = counts.local.into();
            json["remote"] = counts.remote.into();
        }
        json
    });
    json!({ "rows": rows.collect::<Vec<_>>() })
}

/// Gives the rows as JSON; see [`give_json`].
pub(crate) fn give_rows(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    give_json(path, &json(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhost_testbed::Counts;

    use crate::bench::samples::tests::row;

    #[test]
    fn the_json_has_one_object_a_row() {
        let expected = json!({
            "route": "duplex",
            "workload": "ping",
            "bytes": 0,
            "strings": 0,
            "concurrency": 1,
            "calls": 1000,
            "p50_us": 30.5,
            "p99_us": 30.5,
            "calls_per_s": 1e6 / 30.5,
            "local": 20,
            "remote": 0,
        });
        let counts = Counts {
            local: 20,
            remote: 0,
        };
        let mut row = row(Route::Duplex, 30.5);
        row.counts = Some(counts);
        let rows = [row];
        assert_eq!(json(&rows), json!({ "rows": [expected] }));
    }
}
