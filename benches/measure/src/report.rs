//! Showing what was measured: tables for people, JSON for programs.

pub(crate) mod layout;
pub mod units;

use std::path::Path;

use anyhow::Context as _;
use serde_json::{json, Value};

use inhost_testbed::Route;

use crate::bench::samples::Row;
use layout::Header;
use units::{duration, rate, size, thousands, times};

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

/// Writes `value` as JSON to the file `path`.
pub(crate) fn write_json_value(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = format!("{value:#}\n");
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Gives `value` as JSON to whoever asked for it at `path`: in a file, or on standard output when it is `-`.
///
/// # Errors
///
/// When the file cannot be written.
pub fn give_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    if is_stdout(path) {
        println!("{value:#}");
        return Ok(());
    }
    write_json_value(path, value)?;
    eprintln!("The figures are in {}", path.display());
    Ok(())
}

/// Shows `text` to people: on standard output, or on standard error when the JSON goes to standard output.
pub fn show(text: &str, json: Option<&Path>) {
    match json {
        Some(path) if is_stdout(path) => eprintln!("{text}"),
        _ => println!("{text}"),
    }
}

/// Whether standard output is meant.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Fails now rather than after the measurement when `path` cannot be written.
///
/// # Errors
///
/// When the file cannot be opened for that.
pub fn check_writable(path: &Path) -> anyhow::Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    open.map(drop)
        .with_context(|| format!("cannot write {}", path.display()))
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
