//! What the callees have told of the calls that have an id, compared with what their callers were told.

use std::time::{Duration, Instant};

use inhost_measure::report::units::thousands;
use inhost_testbed::{last_seen, Tally, Upload};

use super::checks::Check;
use super::disturb::Times;
use super::ledger::Outcome;
use super::load::EXECUTION;
use super::plan::{Kind, Work};

/// How long after a call was taken a restart may still be what has kept it from being carried out.
const RESTARTED_WITHIN: Duration = Duration::from_secs(2);

/// How long the callees may take to tell of what was taken: as long as they may run, and a while.
const TOLD_WITHIN: Duration = EXECUTION.saturating_add(Duration::from_secs(10));

/// A call with an id.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    id: u64,
    kind: Kind,
    /// Whether its caller was told that it was answered, or that its stream was taken.
    done: bool,
    disturbed: bool,
    begin: Instant,
    end: Instant,
}

/// All calls with an id.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries {
    all: Vec<Delivery>,
    /// Whether one without results may have found no room, of which no one could be told.
    is_tight: bool,
}

/// How they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Came {
    streams: OfKind,
    handlers: OfKind,
}

/// How many of one kind came how.
#[derive(Clone, Debug, Default)]
struct OfKind {
    /// Those whose callers were told that they were done: they were carried out,
    once: u64,
    /// or not, as what is called was restarted just then, or there was no room for it.
    lost: u64,
    /// Those that failed.
    failed: u64,
    /// Those that were cut off: the callee has seen it,
    seen_cut: u64,
    /// or was never called,
    not_begun: u64,
    /// or has not told of it, as it was disturbed.
    untold_cut: u64,
    defects: Vec<String>,
}

impl Deliveries {
    pub(super) fn new(is_tight: bool) -> Self {
        Self {
            is_tight,
            ..Self::default()
        }
    }

    /// Notes what the caller of `work` was told, which was begun at `begin` and has ended now.
    pub(super) fn note(&mut self, work: &Work, outcome: &Outcome, disturbed: bool, begin: Instant) {
        self.all.extend(work.id().map(|id| Delivery {
            id,
            kind: work.kind,
            done: *outcome == Outcome::Done,
            disturbed,
            begin,
            end: Instant::now(),
        }));
    }

    /// Waits until the callees have told of all that was taken, or do not in time. Says whether each has come as it
    /// should.
    pub(super) async fn came(&self, tally: &Tally, times: &Times) -> anyhow::Result<Came> {
        let came = async || Ok(self.compare(|id| tally.count(id), times));
        last_seen(TOLD_WITHIN, came, Came::is_clean).await
    }

    fn compare(&self, count: impl Fn(u64) -> u64, times: &Times) -> Came {
        let mut came = Came::default();
        for delivery in &self.all {
            let kind = match delivery.kind {
                Kind::Stream | Kind::CutStream => &mut came.streams,
                _ => &mut came.handlers,
            };
            kind.note(delivery, &count, times, self.is_tight);
        }
        came
    }
}

impl Came {
    fn is_clean(&self) -> bool {
        self.streams.defects.is_empty() && self.handlers.defects.is_empty()
    }

    /// What has to hold. `counted` is how many calls may be lost as the host says, of those without results.
    pub(super) fn checks(&self, counted: u64) -> [Check; 3] {
        let Self { streams, handlers } = self;
        [
            streams.check(
                "every one-way stream that was taken has come whole, and once",
                format!(
                    "{} did and {} were lost; {} failed; of those that were cut off {} were seen to be, \
                     {} were not begun, {} disturbed",
                    thousands(streams.once),
                    thousands(streams.lost),
                    thousands(streams.failed),
                    thousands(streams.seen_cut),
                    thousands(streams.not_begun),
                    thousands(streams.untold_cut),
                ),
            ),
            // It also counts those whose callers had not been told yet.
            Check::new(
                "the host says of each one-way stream that was lost",
                streams.lost <= counted,
                format!("{} were, of {} that it counts", thousands(streams.lost), thousands(counted)),
            ),
            handlers.check(
                "every call of a handler that was answered has run once",
                format!("{} did; {} failed", thousands(handlers.once), thousands(handlers.failed)),
            ),
        ]
    }
}

impl OfKind {
    fn note(
        &mut self,
        delivery: &Delivery,
        count: impl Fn(u64) -> u64,
        times: &Times,
        is_tight: bool,
    ) {
        let Delivery {
            id,
            kind,
            done,
            disturbed,
            begin,
            end,
        } = *delivery;
        let [begun, whole, cut, wrong] =
            [Upload::BEGUN, Upload::WHOLE, Upload::CUT, Upload::WRONG].map(|told| count(id | told));
        // An answer is given when all is done, so nothing of that can be lost.
        let was_restarted = || times.restarted_between(begin, end + RESTARTED_WITHIN);
        let may_be_lost = || kind == Kind::Stream && (is_tight || was_restarted());
        let what = match kind {
            _ if begun > 1 || whole + cut + wrong > 1 => "was carried out more than once",
            _ if wrong > 0 => "was read to its end, and is not what was sent",
            Kind::CutStream if whole > 0 => "was cut off, and read as a whole one",
            Kind::CutStream if cut > 0 => return self.seen_cut += 1,
            Kind::CutStream if begun == 0 => return self.not_begun += 1,
            Kind::CutStream if disturbed => return self.untold_cut += 1,
            Kind::CutStream => "was cut off, and the callee has not seen it",
            _ if !done => return self.failed += 1,
            _ if whole > 0 => return self.once += 1,
            _ if may_be_lost() => return self.lost += 1,
            _ if cut > 0 => "was taken, and cut off before the callee had it",
            _ => "was taken, and not carried out",
        };
        self.defects.push(format!("{id:#x} {what}"));
    }

    fn check(&self, what: &'static str, figures: String) -> Check {
        let first = self.defects.first();
        let first = first.map_or_else(String::new, |first| {
            format!("; {} defects, such as: {first}", self.defects.len())
        });
        Check::new(what, self.defects.is_empty(), figures + &first)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::ledger::tests::work;
    use super::super::ledger::{Cancellation, Disturbance, Failure};
    use super::super::plan::Handler;
    use super::*;

    /// The checks of one call, of which its caller was told `outcome` and the callee has told `told`.
    fn checks(
        kind: Kind,
        outcome: &Outcome,
        disturbed: bool,
        told: &[(u64, u64)],
        times: &Times,
    ) -> [Check; 3] {
        let work = work(kind, 1);
        let id = work.id().unwrap();
        let told: BTreeMap<_, _> = told.iter().map(|(flag, n)| (id | flag, *n)).collect();
        let mut deliveries = Deliveries::default();
        deliveries.note(&work, outcome, disturbed, Instant::now());
        let count = |id| told.get(&id).copied().unwrap_or_default();
        deliveries.compare(count, times).checks(1)
    }

    fn passed(kind: Kind, outcome: &Outcome, disturbed: bool, told: &[(u64, u64)]) -> bool {
        let checks = checks(kind, outcome, disturbed, told, &Times::new());
        checks.iter().all(Check::passed)
    }

    const MESSAGE: Kind = Kind::Handler(Handler::Messaging);
    const REFUSED: Outcome = Outcome::Failed(Failure::Disturbed(Disturbance::Restart));
    const LEFT: Outcome = Outcome::Cancelled(Cancellation::CutOff);

    #[test]
    fn what_was_taken_is_to_come_whole_and_once() {
        for kind in [Kind::Stream, MESSAGE] {
            assert!(passed(kind, &Outcome::Done, false, &[(0, 1)]));
            for told in [
                &[][..],
                &[(0, 2)],
                &[(Upload::CUT, 1)],
                &[(Upload::WRONG, 1)],
                &[(0, 1), (Upload::CUT, 1)],
            ] {
                // A disturbance as such is no excuse.
                for disturbed in [false, true] {
                    assert!(!passed(kind, &Outcome::Done, disturbed, told), "{told:?}");
                }
            }
        }
    }

    #[test]
    fn what_failed_comes_once_at_most() {
        for kind in [Kind::Stream, MESSAGE] {
            assert!(passed(kind, &REFUSED, true, &[]));
            assert!(passed(kind, &REFUSED, true, &[(0, 1)]));
            assert!(!passed(kind, &REFUSED, true, &[(0, 2)]));
        }
    }

    #[test]
    fn what_was_cut_off_is_seen_to_be_and_never_read_as_whole() {
        assert!(passed(
            Kind::CutStream,
            &LEFT,
            false,
            &[(Upload::BEGUN, 1), (Upload::CUT, 1)]
        ));
        // The callee was never called, or was ended before it could tell.
        assert!(passed(Kind::CutStream, &LEFT, false, &[]));
        assert!(passed(Kind::CutStream, &LEFT, true, &[(Upload::BEGUN, 1)]));
        assert!(!passed(
            Kind::CutStream,
            &LEFT,
            false,
            &[(Upload::BEGUN, 1)]
        ));
        for told in [(0, 1), (Upload::WRONG, 1), (Upload::CUT, 2)] {
            assert!(!passed(Kind::CutStream, &LEFT, true, &[told]), "{told:?}");
        }
    }

    #[test]
    fn a_stream_may_be_lost_to_a_restart_and_to_nothing_else() {
        for (how, kind, expected) in [
            (Disturbance::Restart, Kind::Stream, true),
            (Disturbance::Restart, MESSAGE, false),
            (Disturbance::Update, Kind::Stream, false),
            (Disturbance::Scaling, Kind::Stream, false),
        ] {
            let times = Times::new();
            times.begin(how);
            let checks = checks(kind, &Outcome::Done, true, &[], &times);
            let passed = checks.iter().all(Check::passed);
            assert_eq!(passed, expected, "{how:?} {kind:?}");
        }
    }

    #[test]
    fn a_stream_may_be_lost_for_want_of_room_where_there_is_little() {
        let stream = work(Kind::Stream, 1);
        for (is_tight, expected) in [(true, true), (false, false)] {
            let mut deliveries = Deliveries::new(is_tight);
            deliveries.note(&stream, &Outcome::Done, false, Instant::now());
            let came = deliveries.compare(|_| 0, &Times::new());
            assert_eq!(came.checks(1).iter().all(Check::passed), expected);
            let [_, said, _] = came.checks(0);
            assert_eq!(said.passed(), !is_tight, "it is to be said");
        }
    }

    #[test]
    fn a_stream_that_is_lost_without_a_word_is_noticed() {
        let times = Times::new();
        times.begin(Disturbance::Restart);
        let mut deliveries = Deliveries::default();
        let stream = work(Kind::Stream, 1);
        deliveries.note(&stream, &Outcome::Done, true, Instant::now());
        let came = deliveries.compare(|_| 0, &times);
        assert!(came.checks(1).iter().all(Check::passed));
        let [streams, said, handlers] = came.checks(0).map(|it| it.passed());
        assert_eq!((streams, said, handlers), (true, false, true));
    }
}
