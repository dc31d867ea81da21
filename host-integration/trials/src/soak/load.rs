//! The callers of a run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use inhost_testbed::{Driver, Upload};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cast::{handled, pinged, Callers};
use super::deliveries::Deliveries;
use super::disturb::Times;
use super::ledger::{Cancellation, Failure, Ledger, Outcome};
use super::plan::{Handler, Kind, Work};
use super::progress::Progress;

/// How long a component may run. Long enough for a batch on a busy machine.
pub(super) const EXECUTION: Duration = Duration::from_secs(10);

/// How long the test waits for what the host should have ended long before.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long the test waits for an answer that it then does not wait for any more, and how long the callee takes.
const ABANDONED_AFTER: Duration = Duration::from_millis(300);
const ABANDONED_MS: u32 = 1_000;

/// How long the callee takes to answer a caller whose time will be over.
const TIME_OUT_MS: u32 = 600_000;

/// How long a one-way stream mostly takes to be begun. A client that goes later is one whose callee learns of it.
const BEGUN_WITHIN: Duration = Duration::from_millis(200);

/// What a run has behind it.
#[derive(Debug)]
pub(super) struct Run {
    state: Mutex<State>,
    /// Whether calls may find no room.
    is_tight: bool,
    /// How many calls have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    deliveries: Deliveries,
    progress: Progress,
}

impl Run {
    /// A run of `calls` calls, on a host in which they may find no room if it `is_tight`.
    pub(super) fn start(calls: u64, is_tight: bool) -> Self {
        Self {
            is_tight,
            state: Mutex::new(State {
                ledger: Ledger {
                    is_tight,
                    ..Ledger::default()
                },
                deliveries: Deliveries::new(is_tight),
                progress: Progress::start(calls),
            }),
            ended: watch::Sender::new(0),
        }
    }

    /// How many calls have ended, to wait for a number of them.
    pub(super) fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Says what is being done.
    pub(super) fn say(&self, what: &str) {
        self.state(|state| state.progress.say(what));
    }

    /// What has become of the calls so far.
    pub(super) fn ledger(&self) -> Ledger {
        self.state(|state| state.ledger.clone())
    }

    /// The calls so far of which their callees tell.
    pub(super) fn deliveries(&self) -> Deliveries {
        self.state(|state| state.deliveries.clone())
    }

    /// Notes that it was asked whether the callees answer.
    pub(super) fn note_probe(&self) {
        self.state(|state| state.ledger.note_probe(Callers::PROBE_CALLS));
    }

    fn note(&self, work: &Work, outcome: Outcome, disturbed: bool, begin: Instant) {
        let ended = self.state(|state| {
            state.deliveries.note(work, &outcome, disturbed, begin);
            state.ledger.note(work, outcome, disturbed);
            state.progress.add(work.calls.into());
            state.ledger.accounted()
        });
        self.ended.send_replace(ended);
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Has `works` done by `concurrency` callers at once.
pub(super) async fn load(
    works: Vec<Work>,
    concurrency: usize,
    callers: &Callers,
    run: &Arc<Run>,
    times: &Arc<Times>,
) -> anyhow::Result<()> {
    let works = Arc::new(Mutex::new(works.into_iter()));
    let mut tasks = JoinSet::new();
    for _ in 0..concurrency {
        let works = Arc::clone(&works);
        let callers = callers.clone();
        let run = Arc::clone(run);
        let times = Arc::clone(times);
        tasks.spawn(async move {
            let next = || works.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(work) = next() {
                let start = Instant::now();
                let answer = ask(&callers, &work).await;
                let disturbance = times.since(start);
                let outcome = judge(&work, answer, start.elapsed(), disturbance, run.is_tight);
                let failed = !matches!(outcome, Outcome::Answered(_) | Outcome::Done);
                run.note(&work, outcome, disturbance.is_some(), start);
                if failed && disturbance.is_some() {
                    // The callee is not there: the next call would fail too.
                    times.quiet().await;
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task?;
    }
    Ok(())
}

/// What came back: the report of a batch, or that a single call was answered.
#[derive(Debug)]
enum Answer {
    Report(inhost_testbed::SoakReport),
    Single,
}

async fn ask(callers: &Callers, work: &Work) -> anyhow::Result<Answer> {
    let patient = |driver: &Driver| driver.clone().with_deadline(DEADLINE);
    let direct = patient(&callers.direct);
    match work.kind {
        Kind::Direct => direct.soak(work.seed, work.calls).await.map(Answer::Report),
        Kind::Chain => {
            let chain = patient(&callers.chain);
            chain.soak(work.seed, work.calls).await.map(Answer::Report)
        }
        Kind::Trap => direct.call_trap("soak").await.map(|_| Answer::Single),
        Kind::Abandoned => {
            let hasty = direct.with_deadline(ABANDONED_AFTER);
            hasty.call_wait(ABANDONED_MS).await.map(|_| Answer::Single)
        }
        Kind::TimeOut => direct.call_wait(TIME_OUT_MS).await.map(|_| Answer::Single),
        Kind::Compute => {
            let computing = patient(&callers.computing);
            let computed = pinged(&computing, work.computes_ms()).await;
            computed.map(|()| Answer::Single)
        }
        Kind::Stream | Kind::CutStream => {
            let (id, size) = (work.id().unwrap_or_default(), work.stream_bytes());
            let sent = async {
                if work.kind == Kind::Stream {
                    return Upload::send(callers.streams, id, size).await;
                }
                let half = Upload::begin(callers.streams, id, size, size / 2).await?;
                // Every other client goes at once.
                if id % 4 > 1 {
                    tokio::time::sleep(BEGUN_WITHIN).await;
                }
                drop(half);
                Ok(())
            };
            let sent = tokio::time::timeout(DEADLINE, sent).await;
            sent.context("there was no answer")?
                .map(|()| Answer::Single)
        }
        Kind::Handler(handler) | Kind::HandlerTrap(handler) => {
            let caller = match handler {
                Handler::Messaging => &callers.messaging,
                Handler::Keyvalue => &callers.keyvalue,
            };
            let caller = caller.clone().with_deadline(DEADLINE);
            // Without an id, the callee traps.
            let id = work.id().unwrap_or_default();
            handled(&caller, id).await.map(|()| Answer::Single)
        }
    }
}

/// What became of `work`, which ended `after` some time, and during which the callee may have been disturbed. If the
/// host `is_tight`, it may have found no room.
fn judge(
    work: &Work,
    answer: anyhow::Result<Answer>,
    after: Duration,
    disturbance: Option<super::ledger::Disturbance>,
    is_tight: bool,
) -> Outcome {
    let error = match answer {
        Ok(Answer::Report(report)) => return Outcome::Answered(report),
        Ok(Answer::Single)
            if matches!(work.kind, Kind::Stream | Kind::Handler(_) | Kind::Compute) =>
        {
            return Outcome::Done
        }
        Ok(Answer::Single) if work.kind == Kind::CutStream => {
            return Outcome::Cancelled(Cancellation::CutOff)
        }
        Ok(Answer::Single) => {
            return Outcome::Unexpected("it was answered, which it should not have been".to_owned())
        }
        Err(error) => error,
    };
    // What is kept waiting, by whoever, is no failure of the callee's.
    let as_planned = match work.kind {
        Kind::Direct
        | Kind::Chain
        | Kind::Compute
        | Kind::Stream
        | Kind::CutStream
        | Kind::Handler(_) => None,
        Kind::Trap | Kind::HandlerTrap(_) => {
            (after < EXECUTION).then_some(Outcome::Failed(Failure::Trap))
        }
        Kind::Abandoned => {
            (after >= ABANDONED_AFTER).then_some(Outcome::Cancelled(Cancellation::Abandoned))
        }
        // Less a little, as the host's clock starts and ends elsewhere.
        Kind::TimeOut => (EXECUTION.mul_f64(0.9)..DEADLINE)
            .contains(&after)
            .then_some(Outcome::Cancelled(Cancellation::TimeOut)),
    };
    match (as_planned, disturbance) {
        (Some(outcome), _) => outcome,
        (None, Some(disturbance)) if after < DEADLINE => {
            Outcome::Failed(Failure::Disturbed(disturbance))
        }
        (None, None) if is_tight && after < DEADLINE => Outcome::Failed(Failure::NoRoom),
        (None, _) => Outcome::Unexpected(format!(
            "failed after {:.1} s: {error:#}",
            after.as_secs_f64()
        )),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::super::ledger::tests::{report, work};
    use super::super::ledger::Disturbance;
    use super::*;

    fn failed(kind: Kind, after: Duration, disturbance: Option<Disturbance>) -> Outcome {
        judge(
            &work(kind, 1),
            Err(anyhow!("no")),
            after,
            disturbance,
            false,
        )
    }

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn an_answered_batch_is_answered_whatever_was_done_meanwhile() {
        let batch = work(Kind::Direct, 10);
        for disturbance in [None, Some(Disturbance::Restart)] {
            let answer = Ok(Answer::Report(report(&batch)));
            let outcome = judge(&batch, answer, SOON, disturbance, false);
            assert_eq!(outcome, Outcome::Answered(report(&batch)));
        }
    }

    #[test]
    fn a_batch_may_fail_only_while_the_callee_is_disturbed() {
        let outcome = failed(Kind::Direct, SOON, Some(Disturbance::Update));
        let expected = Failure::Disturbed(Disturbance::Update);
        assert_eq!(outcome, Outcome::Failed(expected));
        for kind in [Kind::Direct, Kind::Chain] {
            let outcome = failed(kind, SOON, None);
            assert!(matches!(outcome, Outcome::Unexpected(_)), "{outcome:?}");
        }
    }

    #[test]
    fn a_call_may_find_no_room_where_there_is_little_and_may_not_hang() {
        let failed = |kind, after| judge(&work(kind, 1), Err(anyhow!("no")), after, None, true);
        for kind in [Kind::Direct, Kind::Compute, Kind::Abandoned, Kind::Stream] {
            assert_eq!(failed(kind, SOON), Outcome::Failed(Failure::NoRoom));
            let outcome = failed(kind, DEADLINE);
            assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        }
        let trap = Outcome::Failed(Failure::Trap);
        assert_eq!(failed(Kind::Trap, SOON), trap);
    }

    #[test]
    fn what_hangs_is_a_defect_even_while_the_callee_is_disturbed() {
        for kind in [Kind::Direct, Kind::TimeOut, Kind::Stream] {
            let outcome = failed(kind, DEADLINE, Some(Disturbance::Restart));
            assert!(matches!(outcome, Outcome::Unexpected(_)), "{outcome:?}");
        }
    }

    #[test]
    fn single_calls_have_to_end_as_planned() {
        let trap = Outcome::Failed(Failure::Trap);
        assert_eq!(failed(Kind::Trap, SOON, None), trap);
        let abandoned = Outcome::Cancelled(Cancellation::Abandoned);
        assert_eq!(failed(Kind::Abandoned, ABANDONED_AFTER, None), abandoned);
        let time_out = Outcome::Cancelled(Cancellation::TimeOut);
        assert_eq!(failed(Kind::TimeOut, EXECUTION, None), time_out);
        for (kind, after) in [
            (Kind::Trap, EXECUTION),
            (Kind::Abandoned, SOON),
            (Kind::TimeOut, SOON),
        ] {
            let outcome = failed(kind, after, None);
            assert!(matches!(outcome, Outcome::Unexpected(_)), "{outcome:?}");
        }
    }

    #[test]
    fn an_answer_of_what_should_fail_is_a_defect() {
        for kind in [Kind::Trap, Kind::HandlerTrap(Handler::Keyvalue)] {
            let outcome = judge(&work(kind, 1), Ok(Answer::Single), SOON, None, false);
            assert!(matches!(outcome, Outcome::Unexpected(_)), "{outcome:?}");
        }
    }

    #[test]
    fn single_calls_with_an_answer_are_done_or_fail_with_a_reason() {
        for kind in [
            Kind::Stream,
            Kind::Compute,
            Kind::Handler(Handler::Messaging),
        ] {
            let outcome = judge(&work(kind, 1), Ok(Answer::Single), SOON, None, false);
            assert_eq!(outcome, Outcome::Done);
            let outcome = failed(kind, SOON, Some(Disturbance::Restart));
            let expected = Failure::Disturbed(Disturbance::Restart);
            assert_eq!(outcome, Outcome::Failed(expected));
            let outcome = failed(kind, SOON, None);
            assert!(matches!(outcome, Outcome::Unexpected(_)), "{outcome:?}");
        }
        let outcome = judge(
            &work(Kind::CutStream, 1),
            Ok(Answer::Single),
            SOON,
            None,
            false,
        );
        assert_eq!(outcome, Outcome::Cancelled(Cancellation::CutOff));
    }

    #[test]
    fn a_run_knows_how_many_calls_have_ended() {
        let run = Run::start(20, false);
        let ended = run.ended();
        let batch = work(Kind::Direct, 10);
        run.note(
            &batch,
            Outcome::Answered(report(&batch)),
            false,
            Instant::now(),
        );
        let failure = Outcome::Failed(Failure::Disturbed(Disturbance::Restart));
        run.note(&batch, failure, true, Instant::now());
        assert_eq!(*ended.borrow(), 20);
        assert_eq!(run.ledger().succeeded, 10);
    }
}
