//! Measuring one case on all routes, in rounds: in each round every route has its turn, so that
//! whatever else the machine does at the time hits all alike.

use std::time::{Duration, Instant};

use inhost_testbed::{NatsServer, Route, Usage};

use super::callers::settle;
use super::case::Case;
use super::participant::Participant;
use super::samples::{Batch, Cost, Row, Samples};
use super::worker::Worker;

/// How long a case may take on each route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// For the calls that count.
    pub(crate) calls: Duration,
    /// In so many rounds.
    pub(crate) rounds: u32,
    /// How many calls count at least, for each caller, even where one takes longer than the budget.
    pub(crate) least: u32,
}

/// How many calls a batch has at most: a floor makes a million a second, and each has a duration to keep.
const MOST_CALLS: u32 = 100_000;

/// How many calls a caller makes at least to see how long one takes.
const LEAST_TO_JUDGE: u32 = 4;

/// How often a batch over NATS is tried; see [`Turn::try_batch`].
const NATS_ATTEMPTS: u32 = 5;

/// How long the first call may take, on top of [`BYTE`] for each byte of payload of all callers.
const FIRST_CALL: Duration = Duration::from_secs(1);

/// Twice what the stock host takes to pass a byte there and back.
const BYTE: Duration = Duration::from_micros(1);

/// A route on which a case could not be measured, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Missing {
    pub(crate) route: Route,
    pub(crate) case: String,
    pub(crate) reason: String,
}

/// A route's turn in a case.
struct Turn<'a> {
    participant: &'a mut Participant,
    samples: Samples,
    /// How many calls each caller makes in a round, and how long it all should take.
    calls: u32,
    expected: Duration,
    /// How much of that is for starting the callers and hearing from them.
    around: Duration,
    rounds: u32,
    /// How long the rounds have taken.
    spent: Duration,
    missing: Option<String>,
}

/// Measures `case` on each of the participants that can.
///
/// # Errors
///
/// When a call fails on a route that may not lose any: all but those over NATS.
pub(crate) async fn measure(
    case: Case,
    budget: Budget,
    participants: &mut [Participant],
    load: &mut Worker,
    nats: &NatsServer,
) -> anyhow::Result<(Vec<Row>, Vec<Missing>)> {
    let mut turns = Vec::new();
    for participant in participants {
        if case.is_on(participant.route) {
            reset_peak(participant);
            let mut turn = Turn {
                participant,
                samples: Samples::default(),
                calls: 1,
                expected: FIRST_CALL + BYTE * case.load.bytes().unwrap_or(0) * case.callers,
                around: Duration::ZERO,
                rounds: 0,
                spent: Duration::ZERO,
                missing: None,
            };
            turn.warm_up(case, budget, load, nats).await?;
            turns.push(turn);
        }
    }
    for round in 0..budget.rounds {
        for turn in &mut turns {
            // On a machine that has become slower than it was for warming up, rounds take longer than planned.
            let late = turn.spent > budget.calls * 3 / 2;
            if round < turn.rounds && !late && turn.missing.is_none() {
                let start = Instant::now();
                let done = turn.try_batch(case, load, nats).await?;
                turn.spent += start.elapsed();
                if let Some((batch, cost)) = done {
                    turn.samples.add(batch, cost);
                }
            }
        }
    }
    let (mut rows, mut missing) = (Vec::new(), Vec::new());
    for turn in turns {
        let Turn {
            participant,
            mut samples,
            ..
        } = turn;
        let route = participant.route;
        match turn.missing {
            Some(reason) => missing.push(Missing {
                route,
                case: case.describe(),
                reason,
            }),
            None => {
                let usage = participant.usage();
                samples.peak_bytes = usage.and_then(Usage::peak_resident_bytes);
                rows.push(samples.row(case, route));
            }
        }
    }
    Ok((rows, missing))
}

/// How many calls each of `callers` makes in `time`, when one takes as long as `one`: at least one,
/// and not more than are kept.
fn calls_in(time: Duration, one: Duration, callers: u32) -> u32 {
    let fit = time.as_secs_f64() / one.as_secs_f64().max(1e-9);
    (fit as u32).clamp(1, (MOST_CALLS / callers).max(1))
}

/// How long a caller takes from one call to the next: from the time of a batch of one call each,
/// and from a batch of `calls` each. What a caller does between calls is in it, starting the
/// callers is not.
fn one_call(first: Duration, second: &Batch, calls: u32) -> Duration {
    let more = second.wall.saturating_sub(first) / calls.saturating_sub(1).max(1);
    more.max(mean(&second.durations))
}

/// The mean of durations in nanoseconds.
fn mean(durations: &[u64]) -> Duration {
    let sum: u64 = durations.iter().sum();
    Duration::from_nanos(sum / durations.len().max(1) as u64)
}

fn reset_peak(participant: &Participant) {
    if let Some(Err(error)) = participant.usage().map(Usage::reset_peak) {
        eprintln!("The peak of memory may be older: {error:#}");
    }
}

impl Turn<'_> {
    /// Makes calls to find out how many fit into a round. They count only where one of them takes longer than a round.
    async fn warm_up(
        &mut self,
        case: Case,
        budget: Budget,
        load: &mut Worker,
        nats: &NatsServer,
    ) -> anyhow::Result<()> {
        let round = budget.calls / budget.rounds;
        let Some((first, cost)) = self.try_batch(case, load, nats).await? else {
            return Ok(());
        };
        self.rounds = budget.rounds;
        if first.wall > round {
            // The calls made to warm up are some of the few that there is time for.
            let fit = (budget.calls.as_secs_f64() / first.wall.as_secs_f64()) as u32;
            self.rounds = fit.clamp(budget.least, budget.rounds) - 1;
            self.expected = first.wall;
            self.samples.add(first, cost);
            return Ok(());
        }
        self.plan(case, first.wall, round / 8);
        self.calls = self.calls.max(LEAST_TO_JUDGE);
        let Some((second, _)) = self.try_batch(case, load, nats).await? else {
            return Ok(());
        };
        let one = one_call(first.wall, &second, self.calls);
        self.around = second.wall.saturating_sub(one * self.calls);
        self.samples.clear();
        self.plan(case, one, round);
        Ok(())
    }

    /// Plans batches in which each caller calls for as long as `time`, when a call takes as long as `one`.
    fn plan(&mut self, case: Case, one: Duration, time: Duration) {
        self.calls = calls_in(time, one, case.callers);
        self.expected = self.around + one * self.calls;
    }

    /// Makes a batch of calls. `None` when calls over NATS have been lost again and again.
    ///
    /// A stock host loses a message now and then when many calls are made at once: it may read an
    /// answer before it has noted who waits for it. Then the caller waits for minutes, or fails
    /// because its results end too early. Such a batch is made again. The other routes get no
    /// second chance.
    async fn try_batch(
        &mut self,
        case: Case,
        load: &mut Worker,
        nats: &NatsServer,
    ) -> anyhow::Result<Option<(Batch, Cost)>> {
        let deadline = Duration::from_secs(3) + self.expected * 5;
        let mut attempts = if self.participant.route.is_local() {
            1
        } else {
            NATS_ATTEMPTS
        };
        loop {
            let batch = self.participant.batch(load, case, self.calls, deadline);
            let error = match batch.await {
                Ok(done) => return Ok(Some(done)),
                Err(error) => error,
            };
            attempts -= 1;
            self.samples.repeated += 1;
            let route = self.participant.route;
            if route.is_local() {
                return Err(error.context(format!("{} over {route} failed", case.describe())));
            }
            if attempts == 0 {
                self.missing = Some(format!("{:#}", error.root_cause()));
                return Ok(None);
            }
            settle(nats).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_calls_that_there_is_time_for() {
        let second = Duration::from_secs(1);
        assert_eq!(calls_in(second, Duration::from_micros(500), 1), 2_000);
        assert_eq!(calls_in(second, Duration::from_secs(8), 1), 1);
        assert_eq!(calls_in(second, Duration::from_nanos(40), 1), MOST_CALLS);
        assert_eq!(calls_in(second, Duration::ZERO, 1_000), MOST_CALLS / 1_000);
        assert_eq!(calls_in(second, second, 2 * MOST_CALLS), 1);
    }

    #[test]
    fn what_a_caller_does_between_calls_takes_time_and_starting_it_does_not_count() {
        let ms = Duration::from_millis;
        let batch = |wall, durations: &[u64]| Batch {
            durations: durations.to_vec(),
            wall,
        };
        // Starting takes 10 ms, a call 1 ms, and 4 ms pass between calls.
        assert_eq!(one_call(ms(15), &batch(ms(35), &[1_000_000; 5]), 5), ms(5));
        // The second batch was quicker than the first.
        assert_eq!(one_call(ms(15), &batch(ms(9), &[1_000_000; 5]), 5), ms(1));
        assert_eq!(one_call(ms(15), &batch(ms(18), &[3_000_000]), 1), ms(3));
    }

    #[test]
    fn no_calls_have_no_mean() {
        assert_eq!(mean(&[1_000, 3_000]), Duration::from_micros(2));
        assert_eq!(mean(&[]), Duration::ZERO);
    }
}
