//! Showing what was measured: a table for people, JSON for programs.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{json, Value};

use crate::measure::Row;
use crate::stage::Route;

const HEADER: [&str; 9] = [
    "workload", "callers", "route", "median", "p99", "calls/s", "x NATS", "local", "remote",
];

/// How many columns, from the left, are aligned to the left.
const LEFT: [bool; 9] = [true, false, true, false, false, false, false, false, false];

/// The table: the routes of one workload below one another, and how many times the calls a second of NATS each
/// makes.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut cells = vec![HEADER.map(str::to_owned)];
    for (number, row) in rows.iter().enumerate() {
        let first = number == 0 || !same_case(&rows[number - 1], row);
        let (workload, callers) = match first {
            true => (workload(row), row.concurrency.to_string()),
            false => Default::default(),
        };
        cells.push([
            workload,
            callers,
            row.route.to_string(),
            duration(row.p50_us),
            duration(row.p99_us),
            rate(row.calls_per_s),
            times_nats(rows, row),
            thousands(row.local),
            thousands(row.remote),
        ]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..HEADER.len()).map(|c| width(c).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        if number > 1 && !row[0].is_empty() {
            text.push('\n');
        }
        let line = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            match LEFT[column] {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            }
        });
        text.push_str(line.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// What the table's columns mean.
pub(crate) const LEGEND: &str = "\
median, p99: of a call, measured in the caller. x NATS: calls/s relative to the row over NATS.
local, remote: how many of the calls the host says it made in memory and over NATS.";

fn same_case(a: &Row, b: &Row) -> bool {
    (a.workload, a.bytes, a.concurrency) == (b.workload, b.bytes, b.concurrency)
}

fn times_nats(rows: &[Row], row: &Row) -> String {
    let nats = rows
        .iter()
        .find(|other| other.route == Route::Nats && same_case(other, row));
    match nats {
        Some(nats) if nats.calls_per_s > 0.0 => {
            format!("{:.1}", row.calls_per_s / nats.calls_per_s)
        }
        _ => "-".to_owned(),
    }
}

fn workload(row: &Row) -> String {
    match row.bytes {
        0 => row.workload.to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{} {} MiB", row.workload, bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} {} KiB", row.workload, bytes >> 10),
        bytes => format!("{} {bytes} B", row.workload),
    }
}

fn duration(microseconds: f64) -> String {
    match microseconds {
        us if us < 99.95 => format!("{us:.1} µs"),
        us if us < 9_999.5 => format!("{us:.0} µs"),
        us if us < 99_950.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.0} ms", us / 1e3),
    }
}

fn rate(calls_per_s: f64) -> String {
    match calls_per_s {
        few if few < 99.95 => format!("{few:.1}"),
        many => thousands(many.round() as u64),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The rows as JSON.
pub(crate) fn json(rows: &[Row]) -> Value {
    json!({ "rows": rows })
}

/// Writes the rows as JSON to `path`.
pub(crate) fn write_json(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let text = format!("{:#}\n", json(rows));
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Fails now rather than after the measurement when `path` cannot be written.
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
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
    use crate::measure::tests::row;

    #[test]
    fn the_table_is_aligned_and_fits_100_columns() {
        let rows = [
            Row {
                p50_us: 412.4,
                p99_us: 12_345.6,
                calls_per_s: 2_000.0,
                ..row(Route::Nats, 30_720)
            },
            row(Route::Duplex, 30_720),
            Row {
                workload: "echo",
                bytes: 1 << 20,
                ..row(Route::Mpsc, 20)
            },
        ];
        let expected = "\
workload    callers  route    median      p99  calls/s  x NATS   local  remote
ping              1  nats     412 µs  12.3 ms    2,000     1.0       0  30,720
                     duplex  30.5 µs  61.2 µs   32,000    16.0  30,720       0

echo 1 MiB        1  mpsc    30.5 µs  61.2 µs   32,000       -      20       0
";
        let table = table(&rows);
        assert_eq!(table, expected, "\n{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 100));
        assert!(LEGEND.lines().all(|line| line.chars().count() <= 100));
    }

    #[test]
    fn units_are_readable() {
        assert_eq!(duration(0.71), "0.7 µs");
        assert_eq!(duration(99.97), "100 µs");
        assert_eq!(duration(23_000.0), "23.0 ms");
        assert_eq!(duration(1_626_100.0), "1626 ms");
        assert_eq!(rate(0.61), "0.6");
        assert_eq!(rate(99.96), "100");
        assert_eq!(rate(32_000.4), "32,000");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        let sized = |bytes| {
            workload(&Row {
                bytes,
                ..row(Route::Nats, 1)
            })
        };
        assert_eq!(sized(65_536), "ping 64 KiB");
        assert_eq!(sized(1_000), "ping 1000 B");
    }

    #[test]
    fn the_json_has_one_object_a_row() {
        assert_eq!(
            json(&[row(Route::Duplex, 20)]),
            json!({"rows": [{
                "route": "duplex",
                "workload": "ping",
                "bytes": 0,
                "concurrency": 1,
                "calls": 20,
                "p50_us": 30.5,
                "p99_us": 61.25,
                "calls_per_s": 32000.0,
                "local": 20,
                "remote": 0,
            }]})
        );
    }
}
