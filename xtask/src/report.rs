//! Showing what was measured: tables for people, JSON for programs.

mod layout;
pub(crate) mod units;

use std::path::Path;

use anyhow::Context as _;
use serde_json::{json, Value};

use crate::measure::Row;
use crate::stage::Route;
use layout::Header;
use units::{duration, mebibytes, rate, size, thousands, times};

/// What was measured, in tables, with what the columns mean.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut text = format!("{}\n{LEGEND}\n", table(rows));
    if has_stock(rows) {
        text.push_str(STOCK_LEGEND);
        text.push('\n');
    }
    if rows.iter().any(|row| row.memory.is_some()) {
        text.push_str(&format!("\n{}\n{MEMORY_LEGEND}\n", memory_table(rows)));
    }
    text
}

/// What the columns of the first table mean.
const LEGEND: &str = "\
median, p99: of a call, measured in the caller. x NATS: calls/s relative to the row over NATS.
local, remote: how many of the calls the host says it made in memory and over NATS.";

/// What they mean when there is a stock host.
const STOCK_LEGEND: &str = "\
stock: a host of published crates. x stock: its median divided by the row's.";

/// What the columns of the table about memory mean.
const MEMORY_LEGEND: &str = "\
peak: the most memory that the host's process had in RAM during the calls. growth: how much of that
came on top of what it had before. In payloads: of one call, in one direction.";

/// The table: the routes of one workload below one another, how many times the calls a second of NATS each makes, and
/// how many times as quick as on the stock host a call is, if there is one.
fn table(rows: &[Row]) -> String {
    let with_stock = has_stock(rows);
    let mut titles = vec![
        "workload", "callers", "route", "median", "p99", "calls/s", "x NATS", "x stock", "local",
        "remote",
    ];
    titles.retain(|title| with_stock || *title != "x stock");
    let header = Header {
        titles,
        left: &["workload", "route"],
    };
    let lines = rows.iter().enumerate().map(|(number, row)| {
        let first = number == 0 || !rows[number - 1].is_like(row);
        let (workload, callers) = match first {
            true => (workload(row), row.concurrency.to_string()),
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
        if with_stock {
            line.push(match find(rows, row, Route::Stock) {
                Some(stock) => times(stock.p50_us, Some(row.p50_us)),
                None => "-".to_owned(),
            });
        }
        line.extend(match row.counts {
            Some(counts) => [thousands(counts.local), thousands(counts.remote)],
            None => ["-".to_owned(), "-".to_owned()],
        });
        line
    });
    layout::table(&header, &lines.collect::<Vec<_>>())
}

/// The table of the rows that looked at the host's memory.
fn memory_table(rows: &[Row]) -> String {
    let header = Header {
        titles: vec![
            "memory",
            "route",
            "peak",
            "in payloads",
            "growth",
            "in payloads",
        ],
        left: &["memory", "route"],
    };
    let rows: Vec<_> = rows.iter().filter(|row| row.memory.is_some()).collect();
    let lines = rows.iter().enumerate().filter_map(|(number, row)| {
        let memory = row.memory?;
        let first = number == 0 || !rows[number - 1].is_like(row);
        Some(vec![
            if first { workload(row) } else { String::new() },
            row.route.to_string(),
            mebibytes(memory.peak),
            format!("{:.1}", memory.peak_payloads),
            mebibytes(memory.growth),
            format!("{:.1}", memory.peak_growth_payloads),
        ])
    });
    layout::table(&header, &lines.collect::<Vec<_>>())
}

fn has_stock(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.route == Route::Stock)
}

/// The row of the same case as `row` on `route`.
fn find<'a>(rows: &'a [Row], row: &Row, route: Route) -> Option<&'a Row> {
    rows.iter()
        .find(|other| other.route == route && other.is_like(row))
}

fn workload(row: &Row) -> String {
    match (row.bytes, row.strings) {
        (0, 0) => row.workload.to_owned(),
        (0, strings) => format!("{} {}", row.workload, thousands(strings.into())),
        (bytes, _) => format!("{} {}", row.workload, size(bytes)),
    }
}

/// The rows as JSON. Where there is a stock host, each says how many times as quick as there a call is.
fn json(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        let mut object = json!(row);
        if let Some(stock) = find(rows, row, Route::Stock).filter(|_| row.p50_us > 0.0) {
            object["p50_times_stock"] = json!(stock.p50_us / row.p50_us);
        }
        object
    });
    json!({ "rows": rows.collect::<Vec<_>>() })
}

/// Writes the rows as JSON to `path`.
pub(crate) fn write_json(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    write_json_value(path, &json(rows))
}

/// Writes `value` as JSON to `path`.
pub(crate) fn write_json_value(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = format!("{value:#}\n");
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
    use crate::measure::Memory;

    /// Each line of `text` fits.
    fn assert_fits(text: &str) {
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{longest:?} columns:\n{text}");
    }

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
        assert_fits(&text(&rows));
    }

    #[test]
    fn rows_are_compared_with_the_stock_host_s() {
        let strings = |route| Row {
            workload: "strings",
            strings: 1_000,
            ..row(route, 5)
        };
        let stock = Row {
            p50_us: 3_050.0,
            p99_us: 4_000.0,
            calls_per_s: 320.0,
            ..strings(Route::Stock)
        };
        let rows = [stock, strings(Route::Nats), row(Route::Mpsc, 5)];
        let expected = "\
workload       callers  route   median      p99  calls/s  x NATS  x stock  local  remote
strings 1,000        1  stock  3050 µs  4000 µs      320     0.0      1.0      -       -
                        nats   30.5 µs  61.2 µs   32,000     1.0      100      0       5

ping                 1  mpsc   30.5 µs  61.2 µs   32,000       -        -      5       0
";
        let table = table(&rows);
        assert_eq!(table, expected, "\n{table}");
        assert!(text(&rows).contains("a host of published crates"));
        assert_fits(&text(&rows));
        let ratios = json(&rows)["rows"].as_array().unwrap().clone();
        let ratios = ratios.iter().map(|row| row["p50_times_stock"].as_f64());
        assert_eq!(ratios.collect::<Vec<_>>(), [Some(1.0), Some(100.0), None]);
    }

    #[test]
    fn memory_has_a_table_of_its_own() {
        let large = |route, peak_mib: u64| Row {
            workload: "echo",
            bytes: 16 << 20,
            memory: Some(Memory {
                peak: peak_mib << 20,
                growth: (peak_mib - 100) << 20,
                peak_payloads: peak_mib as f64 / 16.0,
                peak_growth_payloads: (peak_mib - 100) as f64 / 16.0,
            }),
            ..row(route, 5)
        };
        let rows = [
            row(Route::Nats, 5),
            large(Route::Stock, 1_124),
            large(Route::Duplex, 180),
        ];
        let expected = "\
memory       route         peak  in payloads      growth  in payloads
echo 16 MiB  stock   1124.0 MiB         70.2  1024.0 MiB         64.0
             duplex   180.0 MiB         11.2    80.0 MiB          5.0
";
        let table = memory_table(&rows);
        assert_eq!(table, expected, "\n{table}");
        assert!(text(&rows).contains(expected));
        assert!(!text(&rows[..1]).contains(MEMORY_LEGEND));
        assert_fits(&text(&rows));
    }

    #[test]
    fn the_json_has_one_object_a_row() {
        let memory = Memory {
            peak: 96,
            growth: 64,
            peak_payloads: 1.5,
            peak_growth_payloads: 1.0,
        };
        let rows = [
            row(Route::Duplex, 20),
            Row {
                memory: Some(memory),
                ..row(Route::Stock, 20)
            },
        ];
        let mut expected = json!({
            "route": "duplex",
            "workload": "ping",
            "bytes": 0,
            "strings": 0,
            "concurrency": 1,
            "calls": 20,
            "p50_us": 30.5,
            "p99_us": 61.25,
            "calls_per_s": 32000.0,
            "local": 20,
            "remote": 0,
        });
        assert_eq!(json(&rows[..1]), json!({ "rows": [expected] }));

        let stock = json(&rows)["rows"][1].clone();
        let fields = expected.as_object_mut().unwrap();
        fields.retain(|name, _| !["local", "remote"].contains(&name.as_str()));
        fields["route"] = json!("stock");
        for (name, value) in [
            ("peak_bytes", json!(96)),
            ("peak_growth_bytes", json!(64)),
            ("peak_payloads", json!(1.5)),
            ("peak_growth_payloads", json!(1.0)),
            ("p50_times_stock", json!(1.0)),
        ] {
            fields.insert(name.to_owned(), value);
        }
        assert_eq!(stock, expected);
    }
}
