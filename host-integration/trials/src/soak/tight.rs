//! A host with little room, `--tight`: its queues are short, what is called has few instances, which are kept for their
//! next invocation, and the pool has not room for all instances that there may be.
//!
//! So calls leave a queue that is full, and come back over NATS; instances that wait are given back for others; and now
//! and then a call finds no room. Such a call has not run. Whoever made it is only told that there are no results, so
//! that as many calls as the host says may fail for it, and no more.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Context as _;
use inhost_measure::report::units::thousands;
use serde::Serialize;
use serde_json::Value;

use super::checks::Check;
use super::ledger::Ledger;
use super::leftovers;

/// How many instances there may be of each component that is called.
pub(super) const CALLED: u32 = 16;

/// The most instances at the same time for each caller, with the core modules in them. All of them would take a little
/// more now and then.
const ROOM_A_CALLER: u32 = 4;

/// What may wait at a function.
const WAITING: u32 = 4;
const WAITING_BYTES: u32 = 64 << 10;

/// How many invocations an instance serves of those that are kept.
const KEPT_FOR: u32 = 100;

/// From how many calls on, and with how many callers, a run is long enough for everything to have been scarce.
const LONG: (u64, u32) = (20_000, 64);

/// What the host's log says when the pool is used up, whoever wanted an instance.
const NO_ROOM: &str = "maximum concurrent limit of";

/// The arguments of such a host, for so many callers. Instances of the components `kept` are.
pub(super) fn arguments(callers: u32, kept: &[&str]) -> Vec<String> {
    let room = ROOM_A_CALLER * callers.max(CALLED);
    let mut arguments = vec![
        format!("--max-components={room}"),
        format!("--local-queue-invocations={WAITING}"),
        format!("--local-queue-bytes={WAITING_BYTES}"),
    ];
    let kept = kept.iter();
    arguments.extend(kept.map(|id| format!("--reuse-instances={id}={KEPT_FOR}")));
    arguments
}

/// How often something was scarce, as the host says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Scarce {
    /// Calls that found a queue full, and went over NATS.
    spilled: u64,
    /// Invocations that found no room for an instance.
    no_room: u64,
    /// How often the log says so. Unlike the number, it has also those that the host library runs by itself, and what
    /// it says of one it may say for each of its callers.
    logged: u64,
    /// Calls without results that were lost.
    lost: u64,
}

impl Scarce {
    /// Reads it from the host's status and its log.
    ///
    /// # Errors
    ///
    /// When the status has no such numbers, or the log cannot be read.
    pub(super) fn read(status: &Value, log: &Path) -> anyhow::Result<Self> {
        let number = |name: &str| {
            let number = status.pointer(name).and_then(Value::as_u64);
            number.with_context(|| format!("the host's status has no number {name}"))
        };
        let file = std::fs::File::open(log);
        let file = file.with_context(|| format!("cannot read {}", log.display()))?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        let logged = lines.filter(|line| line.contains(NO_ROOM)).count();
        Ok(Self {
            spilled: number("/calls/spilled")?,
            no_room: number("/pool_used_up")?,
            logged: logged as u64,
            lost: leftovers::lost(status),
        })
    }

    /// How many calls went over NATS because a queue was full.
    pub(super) fn spilled(self) -> u64 {
        self.spilled
    }

    /// How many calls without results may be lost: one that has left a full queue and finds no room when it is back is
    /// one from elsewhere for the host.
    pub(super) fn may_be_lost(self) -> u64 {
        self.lost + self.no_room
    }

    /// What has to hold of a host with little room, of which `callers` have asked for `calls` calls.
    pub(super) fn checks(self, ledger: &Ledger, calls: u64, callers: u32) -> [Check; 2] {
        let refused = ledger.refused;
        let by_library = ledger.refused_by_library;
        let is_long = calls >= LONG.0 && callers >= LONG.1;
        [
            Check::new(
                "no more calls failed for want of room than the host says",
                refused <= self.no_room && refused + by_library <= self.logged,
                format!(
                    "{} did, of {} that found none, and {} that the host library runs; the log has {}",
                    thousands(refused),
                    thousands(self.no_room),
                    thousands(by_library),
                    thousands(self.logged),
                ),
            ),
            Check::new(
                "queues were full, and the pool was used up",
                !is_long || (self.spilled > 0 && self.no_room > 0),
                format!(
                    "{} calls left a full queue, {} found no room",
                    thousands(self.spilled),
                    thousands(self.no_room)
                ),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::work;
    use super::super::ledger::{Failure, Outcome};
    use super::super::plan::Kind;
    use super::*;

    fn passed(scarce: Scarce, ledger: &Ledger, calls: u64) -> [bool; 2] {
        scarce
            .checks(ledger, calls, LONG.1)
            .map(|check| check.passed())
    }

    #[test]
    fn a_call_that_fails_without_a_word_of_the_host_is_noticed() {
        let mut ledger = Ledger::default();
        for kind in [Kind::Direct, Kind::Stream] {
            let outcome = Outcome::Failed(Failure::NoRoom);
            ledger.note(&work(kind, 1), outcome, false);
        }
        let scarce = |no_room, logged| Scarce {
            spilled: 1,
            no_room,
            logged,
            lost: 0,
        };
        for (scarce, expected) in [
            (scarce(1, 2), true),
            (scarce(3, 9), true),
            (scarce(0, 2), false),
            (scarce(1, 1), false),
        ] {
            let [said, _] = passed(scarce, &ledger, 10);
            assert_eq!(said, expected, "{scarce:?}");
        }
    }

    #[test]
    fn a_long_run_in_which_nothing_was_scarce_has_shown_nothing() {
        let scarce = |spilled, no_room| Scarce {
            spilled,
            no_room,
            ..Scarce::default()
        };
        for (scarce, calls, expected) in [
            (scarce(1, 1), LONG.0, true),
            (scarce(0, 1), LONG.0, false),
            (scarce(1, 0), LONG.0, false),
            (scarce(0, 0), LONG.0 - 1, true),
        ] {
            let [_, was_scarce] = passed(scarce, &Ledger::default(), calls);
            assert_eq!(was_scarce, expected, "{scarce:?} {calls}");
        }
    }

    #[test]
    fn what_the_host_says_is_read_from_its_status_and_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let line = format!("ERROR … {NO_ROOM} 3 for stacks reached\nINFO …\n");
        std::fs::write(&log, line.repeat(2)).unwrap();
        let status = serde_json::json!({
            "calls": { "spilled": 5 }, "pool_used_up": 1, "functions": [{ "failures": { "lost": 4 } }],
        });
        let scarce = Scarce::read(&status, &log).unwrap();
        let expected = Scarce {
            spilled: 5,
            no_room: 1,
            logged: 2,
            lost: 4,
        };
        assert_eq!((scarce, scarce.may_be_lost()), (expected, 5));
        assert!(Scarce::read(&serde_json::json!({}), &log).is_err());
    }
}
