//! The record of costs: a file in the repository.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{ensure, Context as _};
use serde::{Deserialize, Serialize};

use crate::costs::Costs;

/// What was measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Another compiler makes other instructions of the same program.
    compiler: String,
    costs: BTreeMap<String, Costs>,
}

/// How far a number may be from the one on record: a part of it, and so much at least.
struct Tolerance {
    part: f64,
    least: f64,
}

/// Two runs of one program differ by up to a hundredth: where things are in memory is not the same.
const INSTRUCTIONS: Tolerance = Tolerance {
    part: 0.03,
    least: 5.0,
};
/// Allocations are the same each time, but for what a table that grows takes now and then, and what
/// a thread beside does.
const ALLOCATIONS: Tolerance = Tolerance {
    part: 0.01,
    least: 0.1,
};
const BYTES: Tolerance = Tolerance {
    part: 0.02,
    least: 8.0,
};
/// A thread that ticks makes some, the more the longer it all takes.
const SYSTEM_CALLS: Tolerance = Tolerance {
    part: 0.02,
    least: 0.25,
};

impl Record {
    /// An empty one, for this machine.
    ///
    /// # Errors
    ///
    /// When no compiler is found.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let version = Command::new("rustc").arg("--version").output();
        let version = version.context("cannot run `rustc --version`")?.stdout;
        let version = String::from_utf8(version)?;
        Ok(Self {
            compiler: format!("{}, {}", version.trim(), std::env::consts::ARCH),
            costs: BTreeMap::new(),
        })
    }

    pub(crate) fn add(&mut self, name: String, costs: Costs) {
        self.costs.insert(name, costs);
    }

    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("record.json")
    }

    /// The one in the repository.
    ///
    /// # Errors
    ///
    /// When it is not there, or is no record.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let path = Self::path();
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no record", path.display()))
    }

    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(std::fs::write(Self::path(), text + "\n")?)
    }

    /// Compares this one with what was `measured`.
    pub(crate) fn compare(&self, measured: &Self) -> Compared {
        let mut compared = Compared::default();
        let same_compiler = self.compiler == measured.compiler;
        let missing = |name: &&String| !measured.costs.contains_key(*name);
        for name in self.costs.keys().filter(missing) {
            compared.differ(format!("{name} is on record, and was not measured"));
        }
        for (name, now) in &measured.costs {
            let Some(then) = self.costs.get(name) else {
                compared.differ(format!("{name} is not on record"));
                continue;
            };
            let (then_allocations, now_allocations) =
                (Some(then.allocations), Some(now.allocations));
            let (then_bytes, now_bytes) = (Some(then.allocated_bytes), Some(now.allocated_bytes));
            let rows = [
                (
                    "allocations",
                    then_allocations,
                    now_allocations,
                    ALLOCATIONS,
                ),
                ("allocated bytes", then_bytes, now_bytes, BYTES),
                (
                    "instructions",
                    then.instructions,
                    now.instructions,
                    INSTRUCTIONS,
                ),
                (
                    "system calls",
                    then.system_calls,
                    now.system_calls,
                    SYSTEM_CALLS,
                ),
            ];
            for (what, then, now, tolerance) in rows {
                let counts = what != "instructions" || same_compiler;
                compared.row(name, what, then, now, counts.then_some(tolerance));
            }
        }
        if !same_compiler {
            let (then, now) = (&self.compiler, &measured.compiler);
            compared.say(format!(
                "Instructions are not compared: the record is of {then}, and this is {now}."
            ));
        }
        compared
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.compare(self).fmt(f)
    }
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    lines: Vec<String>,
    differences: usize,
}

impl Compared {
    fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    fn differ(&mut self, line: String) {
        self.differences += 1;
        self.say(format!("{line}  <-- not as on record"));
    }

    /// `None` for a tolerance: it is shown and not compared.
    fn row(
        &mut self,
        name: &str,
        what: &str,
        then: Option<f64>,
        now: Option<f64>,
        tolerance: Option<Tolerance>,
    ) {
        let (Some(then), Some(now)) = (then, now) else {
            return self.say(format!("{name:10} {what:16} not counted"));
        };
        let line = format!("{name:10} {what:16} {now:12.1} {then:12.1} on record");
        let far = |it: Tolerance| (now - then).abs() > it.least.max(then * it.part);
        match tolerance.is_some_and(far) {
            true => self.differ(line),
            false => self.say(line),
        }
    }

    /// # Errors
    ///
    /// When something is not as on record.
    pub(crate) fn result(&self) -> anyhow::Result<()> {
        let count = self.differences;
        ensure!(
            count == 0,
            "{count} costs are not those on record. Where that is meant, `cargo xtask costs --write` puts them on \
             record, and the commit says why"
        );
        Ok(())
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(compiler: &str, change: impl FnOnce(&mut Costs)) -> Record {
        let mut costs = Costs {
            allocations: 60.0,
            allocated_bytes: 9_000.0,
            instructions: Some(50_000.0),
            system_calls: Some(4.0),
        };
        change(&mut costs);
        Record {
            compiler: compiler.to_owned(),
            costs: BTreeMap::from([("ping".to_owned(), costs)]),
        }
    }

    fn differs(change: impl FnOnce(&mut Costs)) -> bool {
        let compared = record("a", |_| ()).compare(&record("a", change));
        compared.result().is_err()
    }

    #[test]
    fn what_costs_more_is_told_from_noise() {
        assert!(!differs(|_| ()));
        assert!(!differs(|costs| costs.instructions = Some(51_400.0)));
        assert!(differs(|costs| costs.instructions = Some(51_600.0)));
        assert!(differs(|costs| costs.allocations = 61.0));
        assert!(differs(|costs| costs.allocated_bytes = 9_200.0));
        assert!(differs(|costs| costs.system_calls = Some(5.0)));
    }

    #[test]
    fn what_costs_less_is_put_on_record_too() {
        assert!(differs(|costs| costs.instructions = Some(40_000.0)));
        assert!(differs(|costs| costs.allocations = 59.0));
    }

    #[test]
    fn what_cannot_be_counted_is_said_and_not_compared() {
        let (then, now) = (
            record("a", |_| ()),
            record("a", |costs| costs.instructions = None),
        );
        let compared = then.compare(&now);
        assert!(compared.result().is_ok());
        assert!(compared
            .to_string()
            .contains("instructions     not counted"));
    }

    #[test]
    fn instructions_of_another_compiler_are_not_compared() {
        let (then, now) = (
            record("a", |_| ()),
            record("b", |costs| costs.instructions = Some(1.0)),
        );
        let compared = then.compare(&now);
        assert!(compared.result().is_ok());
        assert!(compared.to_string().contains("not compared"));
        let now = record("b", |costs| costs.allocations = 1.0);
        assert!(then.compare(&now).result().is_err());
    }

    #[test]
    fn a_row_that_is_missing_on_one_side_is_a_difference() {
        let none = Record {
            compiler: "a".to_owned(),
            costs: BTreeMap::new(),
        };
        let one = record("a", |_| ());
        assert!(none.compare(&one).result().is_err());
        assert!(one.compare(&none).result().is_err());
    }
}
