//! Restarts, updates and scalings of what is called while it is called.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::try_join_all;
use inhost_testbed::{until, Control};
use tokio::sync::watch;

use super::cast::{Cast, Target};
use super::ledger::Disturbance;
use super::load::Run;

/// There is one disturbance in this many calls.
const CALLS_A_DISTURBANCE: u64 = 2_500;

/// The most of them.
const MAX: u64 = 40;

/// How long the callee may take to answer again.
const ANSWERS_DEADLINE: Duration = Duration::from_secs(30);

/// How many calls are to have ended when each disturbance begins, in a run that has `from` behind it and goes on to
/// `to`.
pub(super) fn schedule(from: u64, to: u64) -> Vec<(u64, Disturbance)> {
    const TURNS: [Disturbance; 3] = [
        Disturbance::Restart,
        Disturbance::Update,
        Disturbance::Scaling,
    ];
    let calls = to.saturating_sub(from);
    let number = (calls / CALLS_A_DISTURBANCE).min(MAX);
    let turns = TURNS.into_iter().cycle();
    (0..number)
        .zip(turns)
        // In the middle of its share, so that there are calls before and after each.
        .map(|(index, turn)| (from + calls * (2 * index + 1) / (2 * number), turn))
        .collect()
}

/// When the callee was disturbed.
#[derive(Debug)]
pub(super) struct Times {
    times: Mutex<Vec<Time>>,
    /// Whether it is being disturbed now.
    now: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    how: Disturbance,
    start: Instant,
    end: Option<Instant>,
}

impl Times {
    pub(super) fn new() -> Self {
        Self {
            times: Mutex::default(),
            now: watch::Sender::new(false),
        }
    }

    pub(super) fn begin(&self, how: Disturbance) {
        self.now.send_replace(true);
        self.change(|times| {
            times.push(Time {
                how,
                start: Instant::now(),
                end: None,
            });
        });
    }

    fn end(&self) {
        self.change(|times| {
            if let Some(time) = times.last_mut() {
                time.end = Some(Instant::now());
            }
        });
        self.now.send_replace(false);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Time>) -> T) -> T {
        change(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the callee was disturbed at some time between `start` and now, if it was. The first one counts: a call
    /// that is lost then fails much later, when its time is over.
    pub(super) fn since(&self, start: Instant) -> Option<Disturbance> {
        self.change(|times| {
            let mut times = times.iter();
            let time = times.find(|time| time.end.is_none_or(|end| end >= start))?;
            Some(time.how)
        })
    }

    /// Whether the callees were being restarted at some time between the two.
    pub(super) fn restarted_between(&self, start: Instant, end: Instant) -> bool {
        self.change(|times| {
            let mut restarts = times.iter().filter(|it| it.how == Disturbance::Restart);
            restarts.any(|it| it.start <= end && it.end.is_none_or(|it| it >= start))
        })
    }

    /// How often each was done.
    pub(super) fn count(&self, how: Disturbance) -> u64 {
        self.change(|times| times.iter().filter(|time| time.how == how).count()) as u64
    }

    /// Waits until the callee is not disturbed.
    pub(super) async fn quiet(&self) {
        // It cannot fail: the sender is here.
        let _ = self.now.subscribe().wait_for(|now| !now).await;
    }
}

/// Who disturbs the callees.
#[derive(Debug)]
pub(super) struct Disturber<'a> {
    pub(super) control: Control,
    pub(super) host_id: String,
    pub(super) cast: &'a Cast,
    /// Where copies of the callees can be.
    pub(super) files: &'a Path,
    /// How many instances of each there may be.
    pub(super) count: u32,
}

impl Disturber<'_> {
    /// Disturbs all callees at once when as many calls have ended as `schedule` says, and notes
    /// when that was in `times`.
    ///
    /// Ends early, without an error, when no more calls are to end.
    pub(super) async fn disturb(
        self,
        schedule: Vec<(u64, Disturbance)>,
        run: &Run,
        times: &Times,
    ) -> anyhow::Result<()> {
        let mut ended = run.ended();
        for (number, (calls, how)) in schedule.into_iter().enumerate() {
            if ended.wait_for(|ended| *ended >= calls).await.is_err() {
                break;
            }
            times.begin(how);
            let targets = &self.cast.targets;
            let all = targets.iter().map(|it| self.disturb_one(it, how, number));
            let done = match try_join_all(all).await {
                Ok(_) => self.until_they_answer(run).await,
                Err(error) => Err(error),
            };
            times.end();
            done.with_context(|| format!("while the callees were being {how}"))?;
        }
        Ok(())
    }

    async fn disturb_one(
        &self,
        target: &Target,
        how: Disturbance,
        number: usize,
    ) -> anyhow::Result<()> {
        let Self {
            control, host_id, ..
        } = self;
        let id = target.id;
        match how {
            Disturbance::Restart => {
                control.stop_component(host_id, id).await?;
                let reference = target.reference()?;
                control.scale(host_id, &reference, id, self.count).await?;
            }
            Disturbance::Update => {
                let copy = target.copy_to(self.files, number)?;
                control.update(host_id, &copy, id).await?;
            }
            Disturbance::Scaling => {
                let inventory = control.inventory(host_id).await?;
                let listed = inventory.component(id);
                let listed = listed.with_context(|| format!("the host does not list {id}"))?;
                // To another number and back.
                for count in [self.count + 1, self.count] {
                    let reference = &listed.image_ref;
                    control.scale(host_id, reference, id, count).await?;
                }
            }
        }
        Ok(())
    }

    async fn until_they_answer(&self, run: &Run) -> anyhow::Result<()> {
        let mut last = None;
        let what = "a callee does not answer any more";
        let answer = until(what, ANSWERS_DEADLINE, async || {
            run.note_probe();
            last = self.cast.callers.probe().await.err();
            Ok(last.is_none())
        });
        let answer = answer.await;
        answer.map_err(|waited| match last {
            Some(last) => last.context(waited),
            None => waited,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn disturbances_take_turns_and_are_spread_over_the_run() {
        let schedule = schedule(2_000, 20_000);
        assert_eq!(schedule.len(), 7);
        assert_eq!(schedule[0], (3_285, Disturbance::Restart));
        assert_eq!(schedule[1].1, Disturbance::Update);
        assert_eq!(schedule[2].1, Disturbance::Scaling);
        assert!(schedule.is_sorted_by(|one, next| one.0 < next.0));
        assert!(schedule[6].0 < 20_000);
    }

    #[test]
    fn a_short_run_is_not_disturbed_and_a_long_one_not_all_the_time() {
        assert!(schedule(10, 100).is_empty());
        assert!(schedule(100, 10).is_empty());
        assert_eq!(schedule(0, 10_000_000).len(), 40);
    }

    #[test]
    fn what_overlaps_with_a_disturbance_is_disturbed() {
        let times = Times::new();
        let before = Instant::now();
        assert_eq!(times.since(before), None);
        times.begin(Disturbance::Update);
        let meanwhile = Instant::now();
        assert_eq!(times.since(meanwhile), Some(Disturbance::Update));
        times.end();
        assert_eq!(times.since(before), Some(Disturbance::Update));
        assert_eq!(times.since(meanwhile), Some(Disturbance::Update));
        let after = Instant::now() + Duration::from_nanos(1);
        assert_eq!(times.since(after), None);
        times.begin(Disturbance::Scaling);
        assert_eq!(times.since(after), Some(Disturbance::Scaling));
        // What has lasted since the first one may have been lost in it.
        assert_eq!(times.since(before), Some(Disturbance::Update));
        assert_eq!(times.count(Disturbance::Update), 1);
        assert_eq!(times.count(Disturbance::Restart), 0);
        assert!(!times.restarted_between(before, Instant::now()));
    }

    #[test]
    fn only_a_restart_is_one_and_only_while_it_lasts() {
        let times = Times::new();
        let before = Instant::now();
        let just_before = before - Duration::from_nanos(1);
        times.begin(Disturbance::Restart);
        let meanwhile = Instant::now();
        assert!(times.restarted_between(meanwhile, meanwhile));
        assert!(!times.restarted_between(just_before, just_before));
        times.end();
        assert!(times.restarted_between(just_before, Instant::now()));
        let after = Instant::now() + Duration::from_nanos(1);
        assert!(!times.restarted_between(after, after));
    }

    #[test]
    fn quiet_waits_for_the_end_of_a_disturbance() {
        let times = Times::new();
        assert_eq!(times.quiet().now_or_never(), Some(()));
        times.begin(Disturbance::Restart);
        assert_eq!(times.quiet().now_or_never(), None, "it did not wait");
        times.end();
        assert_eq!(times.quiet().now_or_never(), Some(()));
    }
}
