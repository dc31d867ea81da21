//! What became of each call.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use inhost_testbed::SoakReport;
use serde::Serialize;

use super::plan::{Expected, Handler, Kind, Work};

/// How many of the outcomes that should not have been are kept as text.
const KEPT: usize = 5;

/// What was done to the callee while calls were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Disturbance {
    /// It was stopped and started again.
    Restart,
    /// It was replaced by the same code under another reference.
    Update,
    /// Its number of instances was changed.
    Scaling,
}

/// Why calls failed, where that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// The callee was asked to trap.
    Trap,
    /// The callee was not there, or not there any more.
    Disturbed(Disturbance),
    /// There was no room for an instance of the callee, or of a caller.
    NoRoom,
    /// An earlier call of the batch failed, or a later one: when a call fails, its caller ends too, and with it
    /// what it knows.
    WithItsBatch,
}

/// Who had enough of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cancellation {
    /// The test.
    Abandoned,
    /// The host: the caller had run for as long as it may.
    TimeOut,
    /// A client, in the middle of a stream.
    CutOff,
}

/// What became of a [`Work`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All calls of the batch were answered.
    Answered(SoakReport),
    /// A single call was answered, or its stream was taken.
    Done,
    /// It failed, as it should or as it may.
    Failed(Failure),
    /// It was cancelled, as it should.
    Cancelled(Cancellation),
    /// It ended in a way that is a defect: says which.
    Unexpected(String),
}

/// What became of each call of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) succeeded: u64,
    pub(super) wrong: u64,
    pub(super) failed: BTreeMap<Failure, u64>,
    pub(super) cancelled: BTreeMap<Cancellation, u64>,
    pub(super) unexpected: u64,
    /// The calls of batches that were answered, by what was called.
    pub(super) pings: u64,
    pub(super) echoes: u64,
    pub(super) strings: u64,
    pub(super) records: u64,
    /// What they sent.
    pub(super) bytes: u64,
    /// The single calls that were answered, by what was called.
    pub(super) messages: u64,
    pub(super) keyvalues: u64,
    pub(super) computations: u64,
    pub(super) streams: u64,
    /// What the streams had.
    pub(super) stream_bytes: u64,
    pub(super) longest: Duration,
    /// Batches about which the caller says something else than what was planned.
    pub(super) not_as_planned: u64,
    /// How many works failed for want of room, by who runs what is called: the runtime's side of a call, or the host
    /// library.
    pub(super) refused: u64,
    pub(super) refused_by_library: u64,
    /// Whether any call may find no room, unnoticed by what is made of it here.
    pub(super) is_tight: bool,
    /// The first defects, in words.
    pub(super) defects: Vec<String>,
    pub(super) invocations: Invocations,
}

/// How many calls of components the host should have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Invocations {
    /// At least so many.
    pub(super) least: u64,
    /// At most so many: those of batches that failed may have been made or not.
    pub(super) most: u64,
    /// So many of the most were made while the callee was restarted, updated or scaled.
    pub(super) disturbed: u64,
}

impl Ledger {
    /// Notes what became of `work`. `disturbed` says whether the callee was disturbed meanwhile.
    pub(super) fn note(&mut self, work: &Work, outcome: Outcome, disturbed: bool) {
        self.count_invocations(work, &outcome, disturbed);
        let calls = u64::from(work.calls);
        match outcome {
            Outcome::Answered(report) => self.note_report(work, report),
            Outcome::Done => {
                self.succeeded += calls;
                self.stream_bytes += work.stream_bytes();
                match work.kind {
                    Kind::Handler(Handler::Messaging) => self.messages += calls,
                    Kind::Handler(Handler::Keyvalue) => self.keyvalues += calls,
                    Kind::Compute => self.computations += calls,
                    _ => self.streams += calls,
                }
            }
            Outcome::Failed(failure) => {
                *self.failed.entry(failure).or_default() += 1;
                if failure == Failure::NoRoom {
                    match work.is_run_by_library() {
                        false => self.refused += 1,
                        true => self.refused_by_library += 1,
                    }
                }
                if calls > 1 {
                    *self.failed.entry(Failure::WithItsBatch).or_default() += calls - 1;
                }
            }
            Outcome::Cancelled(cancellation) => {
                *self.cancelled.entry(cancellation).or_default() += calls;
            }
            Outcome::Unexpected(what) => {
                self.unexpected += calls;
                self.keep(work, &what);
            }
        }
    }

    fn note_report(&mut self, work: &Work, report: SoakReport) {
        let calls = u64::from(work.calls);
        let wrong = u64::from(report.wrong).min(calls);
        self.wrong += wrong;
        self.succeeded += calls - wrong;
        if let Some(first) = &report.first_wrong {
            self.keep(work, first);
        }
        let SoakReport {
            pings,
            echoes,
            strings,
            records,
            bytes,
            ..
        } = report;
        let done = Expected {
            pings,
            echoes,
            strings,
            records,
            bytes,
        };
        let expected = work.expected();
        if done != expected {
            self.not_as_planned += 1;
            self.keep(work, &format!("did {done:?} instead of {expected:?}"));
        }
        self.pings += u64::from(pings);
        self.echoes += u64::from(echoes);
        self.strings += u64::from(strings);
        self.records += u64::from(records);
        self.bytes += bytes;
        self.longest = self.longest.max(report.longest);
    }

    fn count_invocations(&mut self, work: &Work, outcome: &Outcome, disturbed: bool) {
        let made = work.invocations();
        let sure = match outcome {
            Outcome::Answered(_) | Outcome::Done => true,
            // Its only call has reached the callee, unless something was in its way.
            Outcome::Failed(Failure::Trap) | Outcome::Cancelled(Cancellation::TimeOut) => {
                !disturbed && !self.is_tight
            }
            // The test may have gone before the caller had begun.
            Outcome::Cancelled(Cancellation::Abandoned | Cancellation::CutOff) => false,
            Outcome::Failed(_) | Outcome::Unexpected(_) => false,
        };
        // What a callee would tell of itself, if it is not sure to.
        let untold = match sure && !disturbed && !self.is_tight {
            true => 0,
            false => work.told(),
        };
        self.invocations.most += made + untold;
        if sure {
            self.invocations.least += made;
        }
        if disturbed {
            self.invocations.disturbed += made + untold;
        }
    }

    /// Notes that the callees were asked whether they answer, with so many calls at most.
    pub(super) fn note_probe(&mut self, calls: u64) {
        self.invocations.most += calls;
        self.invocations.disturbed += calls;
    }

    fn keep(&mut self, work: &Work, what: &str) {
        if self.defects.len() < KEPT {
            let Work { kind, seed, calls } = work;
            self.defects
                .push(format!("{kind:?}, seed {seed}, calls {calls}: {what}"));
        }
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    pub(super) fn cancelled(&self) -> u64 {
        self.cancelled.values().sum()
    }

    /// All calls whose end is known.
    pub(super) fn accounted(&self) -> u64 {
        self.succeeded + self.wrong + self.failed() + self.cancelled() + self.unexpected
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Restart => "restarted",
            Self::Update => "updated",
            Self::Scaling => "scaled",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap => f.write_str("the callee trapped, as it was asked to"),
            Self::Disturbed(how) => write!(f, "the callee was being {how}"),
            Self::NoRoom => f.write_str("there was no room for an instance"),
            Self::WithItsBatch => {
                f.write_str("in the batch of one of these, so not known to be done")
            }
        }
    }
}

impl fmt::Display for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abandoned => "the test did not wait for the answer",
            Self::TimeOut => "the caller's time was over",
            Self::CutOff => "the client went in the middle of a stream",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::Kind;
    use super::*;

    pub(in super::super) fn work(kind: Kind, calls: u32) -> Work {
        Work {
            kind,
            seed: 9,
            calls,
        }
    }

    /// What a caller says that has done `work`.
    pub(in super::super) fn report(work: &Work) -> SoakReport {
        let Expected {
            pings,
            echoes,
            strings,
            records,
            bytes,
        } = work.expected();
        SoakReport {
            pings,
            echoes,
            strings,
            records,
            bytes,
            longest: Duration::from_millis(3),
            ..SoakReport::default()
        }
    }

    /// That many calls that were answered, and those of a batch that a restart ended.
    pub(in super::super) fn ledger(answered: u32, ended: u32) -> Ledger {
        let mut ledger = Ledger::default();
        let batch = work(Kind::Direct, answered);
        ledger.note(&batch, Outcome::Answered(report(&batch)), false);
        let failure = Failure::Disturbed(Disturbance::Restart);
        ledger.note(&work(Kind::Direct, ended), Outcome::Failed(failure), true);
        ledger
    }

    #[test]
    fn an_answered_batch_has_succeeded() {
        let mut ledger = Ledger::default();
        for kind in [Kind::Direct, Kind::Chain] {
            let batch = work(kind, 10);
            ledger.note(&batch, Outcome::Answered(report(&batch)), false);
        }
        assert_eq!((ledger.succeeded, ledger.accounted()), (20, 20));
        let kinds = ledger.pings + ledger.echoes + ledger.strings + ledger.records;
        assert_eq!(kinds, 20);
        assert_eq!(ledger.longest, Duration::from_millis(3));
        // Each call of the chain has made another one.
        let expected = Invocations {
            least: 30,
            most: 30,
            disturbed: 0,
        };
        assert_eq!(ledger.invocations, expected);
        assert!(ledger.defects.is_empty());
    }

    #[test]
    fn wrong_answers_are_no_success() {
        let mut ledger = Ledger::default();
        let batch = work(Kind::Direct, 10);
        let wrong = SoakReport {
            wrong: 3,
            first_wrong: Some("ping answered 1 instead of 2".to_owned()),
            ..report(&batch)
        };
        ledger.note(&batch, Outcome::Answered(wrong), false);
        assert_eq!((ledger.succeeded, ledger.wrong), (7, 3));
        assert_eq!(ledger.accounted(), 10);
        assert!(ledger.defects[0].contains("ping answered 1"), "{ledger:?}");
    }

    #[test]
    fn a_caller_that_did_something_else_is_noticed() {
        let mut ledger = Ledger::default();
        let batch = work(Kind::Direct, 10);
        let mut other = report(&batch);
        other.bytes += 1;
        ledger.note(&batch, Outcome::Answered(other), false);
        assert_eq!(ledger.not_as_planned, 1);
        assert_eq!(ledger.defects.len(), 1);
    }

    #[test]
    fn the_calls_of_a_failed_batch_are_accounted_for() {
        let mut ledger = Ledger::default();
        let failure = Failure::Disturbed(Disturbance::Restart);
        ledger.note(&work(Kind::Chain, 10), Outcome::Failed(failure), true);
        ledger.note(&work(Kind::Direct, 1), Outcome::Failed(failure), true);
        assert_eq!(ledger.failed[&failure], 2);
        assert_eq!(ledger.failed[&Failure::WithItsBatch], 9);
        assert_eq!(ledger.accounted(), 11);
        // No one knows how many of them the host has seen.
        let expected = Invocations {
            least: 0,
            most: 21,
            disturbed: 21,
        };
        assert_eq!(ledger.invocations, expected);
    }

    #[test]
    fn single_calls_have_been_made_unless_something_was_in_their_way() {
        let mut ledger = Ledger::default();
        let trap = Outcome::Failed(Failure::Trap);
        ledger.note(&work(Kind::Trap, 1), trap.clone(), false);
        ledger.note(&work(Kind::Trap, 1), trap, true);
        let time_out = Outcome::Cancelled(Cancellation::TimeOut);
        ledger.note(&work(Kind::TimeOut, 1), time_out, false);
        let abandoned = Outcome::Cancelled(Cancellation::Abandoned);
        ledger.note(&work(Kind::Abandoned, 1), abandoned, false);
        let expected = Invocations {
            least: 2,
            most: 4,
            disturbed: 1,
        };
        assert_eq!(ledger.invocations, expected);
        assert_eq!((ledger.failed(), ledger.cancelled()), (2, 2));
    }

    #[test]
    fn single_calls_that_are_answered_have_succeeded() {
        let mut ledger = Ledger::default();
        for kind in [
            Kind::Stream,
            Kind::Compute,
            Kind::Handler(Handler::Messaging),
            Kind::Handler(Handler::Keyvalue),
        ] {
            ledger.note(&work(kind, 1), Outcome::Done, false);
        }
        assert_eq!((ledger.succeeded, ledger.accounted()), (4, 4));
        assert_eq!(ledger.computations, 1);
        let by_kind = (ledger.streams, ledger.messages, ledger.keyvalues);
        assert_eq!(by_kind, (1, 1, 1));
        assert_eq!(ledger.stream_bytes, work(Kind::Stream, 1).stream_bytes());
        let cut = Outcome::Cancelled(Cancellation::CutOff);
        ledger.note(&work(Kind::CutStream, 1), cut, false);
        ledger.note_probe(2);
        // The one that was cut off may have been called or not, and have told of it or not.
        let expected = Invocations {
            least: 4,
            most: 9,
            disturbed: 2,
        };
        assert_eq!(ledger.invocations, expected);
    }

    #[test]
    fn what_found_no_room_is_counted_by_work_and_by_who_runs_it() {
        let mut ledger = Ledger {
            is_tight: true,
            ..Ledger::default()
        };
        let refused = Outcome::Failed(Failure::NoRoom);
        for (kind, calls) in [(Kind::Direct, 10), (Kind::Compute, 1), (Kind::Stream, 1)] {
            ledger.note(&work(kind, calls), refused.clone(), false);
        }
        assert_eq!((ledger.refused, ledger.refused_by_library), (2, 1));
        assert_eq!(ledger.accounted(), 12);
        // Whether one that traps has reached the callee is not known either.
        ledger.note(&work(Kind::Trap, 1), Outcome::Failed(Failure::Trap), false);
        assert_eq!(ledger.invocations.least, 0);
    }

    #[test]
    fn defects_are_counted_and_the_first_are_kept() {
        let mut ledger = Ledger::default();
        for number in 0..20 {
            let outcome = Outcome::Unexpected(format!("number {number}"));
            ledger.note(&work(Kind::Direct, 10), outcome, false);
        }
        assert_eq!((ledger.unexpected, ledger.accounted()), (200, 200));
        assert_eq!(ledger.defects.len(), KEPT);
        assert!(ledger.defects[0].ends_with("number 0"));
    }
}
