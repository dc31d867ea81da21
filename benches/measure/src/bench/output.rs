//! What a run leaves behind: JSON, a report in Markdown, and charts.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{json, Value};

use super::charts;
use super::growth::Curve;
use super::results::Results;
use super::shares::{shares, Shares};
use super::tables::{self, Table};
use super::targets::{targets, Target};
use crate::report::units::{duration, rate, size, thousands};
use crate::report::write_json_value;

/// What is shown on the terminal.
pub(crate) fn text(results: &Results) -> String {
    let parts = [
        tables::rows(results).text(),
        tables::LEGEND.to_owned(),
        missing(results),
        tables::memory(results).text(),
        tables::MEMORY_LEGEND.to_owned(),
        bulleted(&growth(results)),
        tables::targets(&measured(targets(results))).text(),
    ];
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(|part| part.trim_end()).collect();
    parts.join("\n\n")
}

/// Those that something is known about, unless that is nothing.
fn measured(mut targets: Vec<Target>) -> Vec<Target> {
    if targets.iter().any(|target| target.measured.is_some()) {
        targets.retain(|target| target.measured.is_some());
    }
    targets
}

/// Everything, with what follows from it.
pub(crate) fn json(results: &Results) -> Value {
    let mut value = json!(results);
    value["targets"] = json!(targets(results));
    value["shares"] = json!(shares(results));
    let curves = results.curves().into_iter().map(|curve| {
        let mut value = json!(curve);
        value["parts"] = json!(curve.parts());
        value
    });
    value["curves"] = curves.collect();
    value
}

/// Writes report, figures and charts into `folder`, and returns where the report is.
///
/// # Errors
///
/// When something cannot be written or drawn.
pub(crate) fn write(results: &Results, folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    write_json_value(&folder.join("figures.json"), &json(results))?;
    let charts = [
        ("latency.svg", charts::latency(results)?),
        ("throughput.svg", charts::throughput(results)?),
        ("time-of-a-call.svg", charts::time_of_a_call(results)?),
    ];
    let mut drawn = Vec::new();
    for (name, chart) in charts {
        if let Some(chart) = chart {
            put(&folder.join(name), &chart)?;
            drawn.push(name);
        }
    }
    let report = folder.join("report.md");
    put(&report, &markdown(results, &drawn))?;
    Ok(report)
}

fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The report, which shows `charts` beside it.
fn markdown(results: &Results, charts: &[&str]) -> String {
    let kind = if results.quick { "quick" } else { "full" };
    let host = match results.profile {
        Some(profile) => format!("built with the profile `{}`", profile.name()),
        None => "a given program".to_owned(),
    };
    let mut parts = vec![
        "# Calls between two components: every way to make them".to_owned(),
        format!(
            "A {kind} run of `cargo xtask bench`. The host is {host}. {}.",
            results.machine.describe()
        ),
        ROUTES.to_owned(),
        "## What must hold".to_owned(),
        tables::targets(&targets(results)).markdown(),
        "`local` is the better one of duplex and mpsc. Ratios are those of this run.".to_owned(),
    ];
    let chart = |name: &str| format!("![]({name})");
    parts.extend(charts.iter().map(|name| chart(name)));
    parts.extend([
        "## Where the time of one call goes".to_owned(),
        shares_table(results).markdown(),
        SHARES_LEGEND.to_owned(),
        "## How cost grows".to_owned(),
        bulleted(&growth(results)),
        GROWTH_LEGEND.to_owned(),
        "## Memory".to_owned(),
        tables::memory(results).markdown(),
        tables::MEMORY_LEGEND.to_owned(),
        "## All rows".to_owned(),
        tables::rows(results).markdown(),
        tables::LEGEND.to_owned(),
        missing(results),
    ]);
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(|part| part.trim_end()).collect();
    format!("{}\n", parts.join("\n\n"))
}

const ROUTES: &str = "\
| route | what it is |
| --- | --- |
| stock | a host of the published crates, over nats-server. It makes a new NATS client object for each call |
| nats | this host with `--local-dispatch off` |
| duplex, mpsc | this host, calls in memory |
| reuse | duplex, with instances of the callee that serve many calls (`--reuse-instances`) |
| composed | limit: caller and callee composed into one component ahead of time, on this host |
| fresh | floor: called from Rust without a host, a new store and instance for each call |
| warm | floor: the same on one instance |

All use the same components; the caller is a component that loops, except on the floors. Routes take turns, round by round. \
Load generator, hosts and nats-server share the machine. HTTP requests come over connections that are kept. An answer is \
checked outside of the measured time.";

const SHARES_LEGEND: &str = "\
callee: `warm`. store and instance: `fresh` less `warm`. dispatch and caller: the call in memory less `fresh`. broker: `nats` \
less the call in memory. stock codec and client: `stock` less `nats`. Medians, 1 caller.";

const GROWTH_LEGEND: &str = "\
From the slope between neighbouring points on logarithmic axes: flat below 0.25, linear from 0.75 to 1.25.";

/// Where the time of one call goes.
fn shares_table(results: &Results) -> Table {
    let mut titles = vec!["workload"];
    titles.extend(Shares::NAMES);
    let lines = shares(results).into_iter().map(|shares| {
        let mut line = vec![shares.title.clone()];
        line.extend(shares.parts().map(duration));
        line
    });
    Table {
        titles,
        left: &["workload"],
        lines: lines.collect(),
    }
}

/// How cost grows, a line for each curve.
fn growth(results: &Results) -> Vec<String> {
    let curves = results.curves().into_iter();
    curves.map(|curve| line(&curve)).collect()
}

fn line(curve: &Curve) -> String {
    let amount = |work: f64| match curve.work {
        "bytes" => size(work as u32),
        _ => thousands(work.round() as u64),
    };
    let cost = |cost: f64| match curve.cost {
        "µs" => duration(cost),
        unit => format!("{} {unit}", rate(cost)),
    };
    let points = curve.points.iter();
    let points = points.map(|&(work, at)| format!("{}: {}", amount(work), cost(at)));
    let points: Vec<_> = points.collect();
    format!(
        "{}: {} ({})",
        curve.title,
        curve.verdict(amount),
        points.join(", ")
    )
}

/// What could not be measured.
fn missing(results: &Results) -> String {
    let missing = results.missing.iter();
    let missing = missing.map(|m| format!("not measured: {}, {}: {}", m.case, m.route, m.reason));
    bulleted(&missing.collect::<Vec<_>>())
}

fn bulleted(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("- {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Missing;
    use crate::bench::results::tests::results;
    use inhost_testbed::Route;

    #[test]
    fn what_is_missing_is_said() {
        let mut results = results();
        results.missing.push(Missing {
            route: Route::Stock,
            case: "ping, 128 callers".to_owned(),
            reason: "lost".to_owned(),
        });
        let line = "- not measured: ping, 128 callers, stock: lost";
        assert!(text(&results).contains(line));
        assert!(markdown(&results, &[]).contains(line));
    }
}
