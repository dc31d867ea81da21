//! Showing what a run has brought.

use std::path::Path;
use std::time::Duration;

use inhost_measure::report;
use inhost_measure::report::units::{duration, mebibytes, rate, thousands};
use inhost_testbed::{Backend, Counts};
use serde_json::{json, Value};

use super::checks::Check;
use super::ledger::Ledger;
use super::leftovers::Footprint;
use super::tight::Scarce;

/// All that is known about a run.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) calls: u64,
    pub(super) concurrency: u32,
    pub(super) backend: Backend,
    pub(super) seed: u64,
    /// From the first call to the last.
    pub(super) wall: Duration,
    pub(super) ledger: Ledger,
    pub(super) counted: Counts,
    /// How often the callee was restarted, updated and scaled.
    pub(super) disturbances: [(&'static str, u64); 3],
    /// After the first calls, at the end, and when all components were stopped.
    pub(super) footprints: [Option<Footprint>; 3],
    /// What was scarce on a host with little room.
    pub(super) scarce: Option<Scarce>,
    pub(super) checks: Vec<Check>,
}

impl Summary {
    pub(super) fn text(&self) -> String {
        let ledger = &self.ledger;
        let seconds = self.wall.as_secs_f64();
        let mut lines = vec![
            format!(
                "{} calls by {} callers over {}, seed {}: {seconds:.1} s, {} calls/s",
                thousands(self.calls),
                self.concurrency,
                self.backend,
                self.seed,
                rate(self.calls as f64 / seconds.max(f64::MIN_POSITIVE)),
            ),
            count("succeeded", ledger.succeeded),
            format!(
                "           {} ping, {} bytes, {} strings, {} record; {} there and back",
                thousands(ledger.pings),
                thousands(ledger.echoes),
                thousands(ledger.strings),
                thousands(ledger.records),
                mebibytes(ledger.bytes),
            ),
            format!(
                "           {} messages, {} keyvalue, {} computed, {} one-way streams with {}",
                thousands(ledger.messages),
                thousands(ledger.keyvalues),
                thousands(ledger.computations),
                thousands(ledger.streams),
                mebibytes(ledger.stream_bytes),
            ),
            count("failed", ledger.failed()),
        ];
        lines.extend(reasons(&ledger.failed));
        lines.push(count("cancelled", ledger.cancelled()));
        lines.extend(reasons(&ledger.cancelled));
        let [restarts, updates, scalings] = self.disturbances.map(|(_, number)| number);
        lines.push(format!(
            "What is called was restarted {restarts} times, updated {updates} times, scaled {scalings} times."
        ));
        lines.push(format!("The longest call took {}.", time(ledger.longest)));
        if let Some(stopped) = self.footprints[2] {
            lines.push(format!(
                "Without components the host has {} and {} threads.",
                mebibytes(stopped.resident_bytes),
                stopped.threads
            ));
        }
        lines.push(String::new());
        lines.extend(self.checks.iter().map(Check::line));
        lines.extend(
            ledger
                .defects
                .iter()
                .map(|defect| format!("        {defect}")),
        );
        lines.join("\n")
    }

    /// Gives the figures; see [`report::give_json`].
    pub(super) fn give_json(&self, path: &Path) -> anyhow::Result<()> {
        report::give_json(path, &self.json())
    }

    fn json(&self) -> Value {
        let ledger = &self.ledger;
        let texts = |reasons: Vec<(String, u64)>| -> Value {
            reasons
                .into_iter()
                .map(|(reason, calls)| (reason, json!(calls)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let [warm, end, stopped] = self.footprints;
        json!({
            "calls": self.calls,
            "concurrency": self.concurrency,
            "backend": self.backend.to_string(),
            "seed": self.seed,
            "wall_s": self.wall.as_secs_f64(),
            "succeeded": ledger.succeeded,
            "wrong": ledger.wrong,
            "failed": texts(pairs(&ledger.failed)),
            "cancelled": texts(pairs(&ledger.cancelled)),
            "defects": { "calls": ledger.unexpected, "first": ledger.defects },
            "answered": {
                "ping": ledger.pings,
                "echo-bytes": ledger.echoes,
                "echo-strings": ledger.strings,
                "echo-record": ledger.records,
                "messaging": ledger.messages,
                "keyvalue": ledger.keyvalues,
                "computing": ledger.computations,
                "one-way-streams": ledger.streams,
            },
            "bytes": ledger.bytes,
            "stream_bytes": ledger.stream_bytes,
            "longest_us": ledger.longest.as_secs_f64() * 1e6,
            "host_counted": self.counted,
            "host_should_count": ledger.invocations,
            "disturbances": self.disturbances.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "footprint": { "after_the_first_calls": warm, "end": end, "without_components": stopped },
            "scarce": self.scarce,
            "checks": self.checks,
        })
    }
}

fn count(title: &str, calls: u64) -> String {
    format!("{title:<10} {:>10}", thousands(calls))
}

fn reasons<R: ToString>(reasons: &std::collections::BTreeMap<R, u64>) -> Vec<String> {
    let pairs = pairs(reasons).into_iter();
    pairs
        .map(|(reason, calls)| format!("           {:>10}  {reason}", thousands(calls)))
        .collect()
}

fn pairs<R: ToString>(reasons: &std::collections::BTreeMap<R, u64>) -> Vec<(String, u64)> {
    let reasons = reasons.iter();
    reasons
        .map(|(reason, calls)| (reason.to_string(), *calls))
        .collect()
}

fn time(time: Duration) -> String {
    duration(time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::{ledger, work};
    use super::super::ledger::{Cancellation, Outcome};
    use super::super::plan::Kind;
    use super::*;

    fn summary() -> Summary {
        let mut ledger = ledger(1_000, 10);
        let cancellation = Outcome::Cancelled(Cancellation::TimeOut);
        ledger.note(&work(Kind::TimeOut, 1), cancellation, false);
        Summary {
            calls: 1_011,
            concurrency: 4,
            backend: Backend::Mpsc,
            seed: 7,
            wall: Duration::from_secs(2),
            ledger,
            counted: Counts::default(),
            disturbances: [("restarts", 1), ("updates", 0), ("scalings", 0)],
            footprints: [None; 3],
            scarce: None,
            checks: vec![Check::new("memory is flat", false, "it is not")],
        }
    }

    #[test]
    fn the_json_has_the_same_figures() {
        let json = summary().json();
        assert_eq!(json["succeeded"], 1_000);
        assert_eq!(json["failed"]["the callee was being restarted"], 1);
        assert_eq!(json["cancelled"]["the caller's time was over"], 1);
        assert_eq!(json["disturbances"]["restarts"], 1);
        assert_eq!(json["checks"][0]["passed"], false);
    }
}
