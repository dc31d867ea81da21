//! What has to hold at the end of a run.

use serde::Serialize;

use inhost_measure::report::units::{mebibytes, thousands};
use inhost_testbed::Counts;

use super::ledger::{Invocations, Ledger};
use super::leftovers::Footprint;

/// Something that has to hold, and whether it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What has to hold.
    what: &'static str,
    passed: bool,
    /// The figures.
    figures: String,
}

impl Check {
    pub(super) fn new(what: &'static str, passed: bool, figures: impl Into<String>) -> Self {
        Self {
            what,
            passed,
            figures: figures.into(),
        }
    }

    /// That there is nothing in `left`.
    pub(super) fn nothing_left(what: &'static str, left: &[String]) -> Self {
        let figures = match left.len() {
            0 => "nothing is left".to_owned(),
            // The functions of a component are many, and alike.
            number => format!(
                "{number} left, such as: {}",
                left.iter().take(3).cloned().collect::<Vec<_>>().join("; ")
            ),
        };
        Self::new(what, left.is_empty(), figures)
    }

    pub(super) fn passed(&self) -> bool {
        self.passed
    }

    pub(super) fn line(&self) -> String {
        let passed = if self.passed { "passed" } else { "FAILED" };
        format!("{passed}  {}: {}", self.what, self.figures)
    }
}

/// That the host has counted as many calls as were made. Each call through two components counts twice.
pub(super) fn of_count(what: &'static str, invocations: Invocations, counted: Counts) -> Check {
    let made = counted.local + counted.remote;
    let Invocations { least, most, .. } = invocations;
    Check::new(
        what,
        (least..=most).contains(&made),
        format!(
            "{}, of {} to {}",
            thousands(made),
            thousands(least),
            thousands(most)
        ),
    )
}

/// What has to hold of the calls, of which there were to be `calls`. `counted` is what the host counted; `spilled` of
/// them left a queue that was full, where that may be.
pub(super) fn of_calls(
    ledger: &Ledger,
    calls: u64,
    counted: Counts,
    spilled: Option<u64>,
) -> Vec<Check> {
    let invocations = ledger.invocations;
    vec![
        Check::new(
            "every call is accounted for",
            ledger.accounted() == calls,
            format!(
                "{} succeeded + {} wrong + {} failed + {} cancelled + {} defects = {}, of {}",
                thousands(ledger.succeeded),
                thousands(ledger.wrong),
                thousands(ledger.failed()),
                thousands(ledger.cancelled()),
                thousands(ledger.unexpected),
                thousands(ledger.accounted()),
                thousands(calls),
            ),
        ),
        Check::new(
            "no call failed without a reason",
            ledger.unexpected == 0,
            format!("{} did", thousands(ledger.unexpected)),
        ),
        Check::new(
            "every answer is right",
            ledger.wrong == 0 && ledger.not_as_planned == 0,
            format!(
                "{} wrong answers, {} batches that are not what was asked for",
                thousands(ledger.wrong),
                thousands(ledger.not_as_planned)
            ),
        ),
        Check::new(
            "some calls succeeded",
            ledger.succeeded > calls / 2,
            format!("{} of {}", thousands(ledger.succeeded), thousands(calls)),
        ),
        of_count(
            "the host has counted the calls that were made",
            invocations,
            counted,
        ),
        of_remote(invocations, counted, spilled),
    ]
}

fn of_remote(invocations: Invocations, counted: Counts, spilled: Option<u64>) -> Check {
    let left = spilled.map(|it| format!(", {} as a queue was full", thousands(it)));
    Check::new(
        match spilled {
            None => "calls went over NATS only while the callee was disturbed",
            Some(_) => "calls went over NATS only as a queue was full, or the callee disturbed",
        },
        counted.remote <= invocations.disturbed + spilled.unwrap_or_default(),
        format!(
            "{} over NATS, {} in memory, {} at most while it was disturbed{}",
            thousands(counted.remote),
            thousands(counted.local),
            thousands(invocations.disturbed),
            left.unwrap_or_default(),
        ),
    )
}

/// What has to hold of the host's process. `None` where the system does not say.
pub(super) fn of_process(before: Option<Footprint>, after: Option<Footprint>) -> Vec<Check> {
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    let (memory, limit) = (after.resident_bytes, before.memory_limit());
    vec![
        Check::new(
            "memory is flat",
            memory <= limit,
            format!(
                "{} after the first calls, {} at the end, {} allowed",
                mebibytes(before.resident_bytes),
                mebibytes(memory),
                mebibytes(limit)
            ),
        ),
        Check::new(
            "threads are as many as before",
            after.threads <= before.threads,
            format!("{} before, {} at the end", before.threads, after.threads),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::{ledger, work};
    use super::super::ledger::Outcome;
    use super::super::plan::Kind;
    use super::*;

    fn counts(local: u64, remote: u64) -> Counts {
        Counts { local, remote }
    }

    fn failed(checks: &[Check]) -> Vec<&'static str> {
        let failed = checks.iter().filter(|check| !check.passed());
        failed.map(|check| check.what).collect()
    }

    #[test]
    fn a_run_in_which_all_is_known_passes() {
        for counted in [counts(20, 0), counts(35, 0), counts(22, 3)] {
            let checks = of_calls(&ledger(20, 15), 35, counted, None);
            assert!(failed(&checks).is_empty(), "{checks:#?}");
        }
    }

    #[test]
    fn a_call_that_no_one_knows_of_is_missed() {
        let checks = of_calls(&ledger(20, 15), 36, counts(30, 0), None);
        assert_eq!(failed(&checks), ["every call is accounted for"]);
    }

    #[test]
    fn a_host_that_loses_the_count_is_noticed() {
        for counted in [counts(19, 0), counts(36, 0)] {
            let checks = of_calls(&ledger(20, 15), 35, counted, None);
            let expected = ["the host has counted the calls that were made"];
            assert_eq!(failed(&checks), expected);
        }
    }

    #[test]
    fn calls_over_nats_without_need_are_noticed() {
        let checks = of_calls(&ledger(20, 15), 35, counts(10, 16), None);
        let expected = ["calls went over NATS only while the callee was disturbed"];
        assert_eq!(failed(&checks), expected);
        // Queues that are full are a reason.
        let checks = of_calls(&ledger(20, 15), 35, counts(10, 16), Some(1));
        assert!(failed(&checks).is_empty(), "{checks:#?}");
    }

    #[test]
    fn wrong_answers_and_defects_fail() {
        let mut wrong = ledger(20, 15);
        wrong.wrong = 1;
        wrong.succeeded -= 1;
        let checks = of_calls(&wrong, 35, counts(30, 0), None);
        assert_eq!(failed(&checks), ["every answer is right"]);

        let mut defect = ledger(20, 15);
        let outcome = Outcome::Unexpected("lost".to_owned());
        defect.note(&work(Kind::Direct, 1), outcome, false);
        let checks = of_calls(&defect, 36, counts(30, 0), None);
        assert_eq!(failed(&checks), ["no call failed without a reason"]);
    }

    #[test]
    fn a_run_in_which_nearly_all_fails_is_no_success() {
        let checks = of_calls(&ledger(0, 10), 10, counts(0, 0), None);
        assert_eq!(failed(&checks), ["some calls succeeded"]);
    }

    #[test]
    fn a_process_that_has_grown_is_noticed() {
        let footprint = |mib: u64, threads| {
            let resident_bytes = mib << 20;
            Some(Footprint {
                resident_bytes,
                threads,
            })
        };
        let before = footprint(100, 8);
        assert!(failed(&of_process(before, footprint(110, 8))).is_empty());
        assert_eq!(
            failed(&of_process(before, footprint(200, 8))),
            ["memory is flat"]
        );
        assert_eq!(
            failed(&of_process(before, footprint(100, 9))),
            ["threads are as many as before"]
        );
        assert!(of_process(None, before).is_empty());
    }
}
