//! Peers over NATS that are slow to send their parameters, or never send all of them, while others make their calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use inhost_measure::report::units::thousands;
use inhost_testbed::{SlowCall, CALLEE, ECHO};
use tokio::task::JoinSet;

use super::checks::Check;
use super::disturb::Times;
use super::load::{Run, EXECUTION};

/// How many there are at once. Each may take an instance of the callee for as long as an invocation may last.
pub(super) const AT_ONCE: u32 = 4;

/// When an invocation has ended whose parameters have not come: the host's own margin is two seconds.
const GIVEN_UP: Duration = EXECUTION.saturating_add(Duration::from_secs(4));

/// One who trickles sends a byte at a time, and waits in between. In all it has time enough.
const BYTES: u8 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What a sender does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Sends one byte after the other, and gets its answer.
    Trickles,
    /// Sends half of the parameters, and waits to be given up.
    Stops,
    /// Sends half of the parameters, and is not there any more.
    Dies,
}

const TURNS: [Kind; 3] = [Kind::Trickles, Kind::Stops, Kind::Dies];

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    GivenUp,
    Gone,
    /// It was not answered, or not given up in time, and the callee was restarted, updated or scaled meanwhile.
    Disturbed,
    Defect(String),
}

/// What became of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slow {
    begun: u64,
    answered: u64,
    given_up: u64,
    gone: u64,
    disturbed: u64,
    defects: Vec<String>,
}

impl Slow {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Answered => self.answered += 1,
            Outcome::GivenUp => self.given_up += 1,
            Outcome::Gone => self.gone += 1,
            Outcome::Disturbed => self.disturbed += 1,
            Outcome::Defect(what) => self.defects.push(what),
        }
    }

    pub(super) fn check(&self) -> Check {
        let Self {
            begun,
            answered,
            given_up,
            gone,
            disturbed,
            defects,
        } = self;
        let accounted = answered + given_up + gone + disturbed;
        let first = defects.first().map(|it| format!(": {it}"));
        Check::new(
            "every slow sender over NATS is accounted for",
            defects.is_empty() && accounted == *begun,
            format!(
                "{} were answered, {} were given up when their time was over, {} died, {} disturbed, {} defects, of {}{}",
                thousands(*answered),
                thousands(*given_up),
                thousands(*gone),
                thousands(*disturbed),
                defects.len(),
                thousands(*begun),
                first.unwrap_or_default(),
            ),
        )
    }
}

/// Where the callee is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The NATS server.
    pub(super) address: String,
    pub(super) lattice: String,
}

/// Sends slowly until `until` calls have ended, and then to the end of what was begun.
///
/// The last one lasts for as long as an invocation may: `until` is well before the end, as the run waits for it.
pub(super) async fn send(
    place: Place,
    run: &Arc<Run>,
    times: &Arc<Times>,
    until: u64,
) -> anyhow::Result<Slow> {
    let mut senders = JoinSet::new();
    for sender in 0..AT_ONCE as usize {
        let (place, times, ended) = (place.clone(), Arc::clone(times), run.ended());
        senders.spawn(async move {
            let mut slow = Slow::default();
            for kind in TURNS.into_iter().cycle().skip(sender) {
                if *ended.borrow() >= until {
                    break;
                }
                times.quiet().await;
                slow.begun += 1;
                slow.note(one(kind, &place, &times).await);
            }
            slow
        });
    }
    let mut all = Slow::default();
    while let Some(slow) = senders.join_next().await {
        let slow = slow?;
        all.begun += slow.begun;
        all.answered += slow.answered;
        all.given_up += slow.given_up;
        all.gone += slow.gone;
        all.disturbed += slow.disturbed;
        all.defects.extend(slow.defects);
    }
    Ok(all)
}

async fn one(kind: Kind, place: &Place, times: &Times) -> Outcome {
    let start = Instant::now();
    match sent(kind, place).await {
        Ok(outcome) => outcome,
        Err(_) if times.since(start).is_some() => Outcome::Disturbed,
        Err(error) => Outcome::Defect(format!("{kind:?}: {error:#}")),
    }
}

async fn sent(kind: Kind, place: &Place) -> anyhow::Result<Outcome> {
    let nats = inhost_testbed::connect(&place.address).await?;
    let start = Instant::now();
    let to = (&*place.lattice, CALLEE);
    // The length of the list, which is a byte.
    let call = SlowCall::begin(&nats, to, (ECHO, "echo-bytes"), vec![BYTES].into()).await?;
    let sends = match kind {
        Kind::Trickles => BYTES,
        Kind::Stops | Kind::Dies => BYTES / 2,
    };
    for byte in 0..sends {
        tokio::time::sleep(PAUSE).await;
        call.send(vec![byte].into()).await?;
    }
    match kind {
        Kind::Trickles => {
            let results = call.results(EXECUTION).await?;
            let expected: Vec<_> = [BYTES].into_iter().chain(0..BYTES).collect();
            anyhow::ensure!(results == expected, "the answer is {results:?}");
            Ok(Outcome::Answered)
        }
        Kind::Stops => {
            let results = call.results(GIVEN_UP).await;
            let results = results.context("it was not given up")?;
            anyhow::ensure!(results.is_empty(), "the answer is {results:?}");
            let after = start.elapsed();
            // Less a little, as the host's clock starts elsewhere.
            anyhow::ensure!(after >= EXECUTION.mul_f64(0.9), "given up after {after:?}");
            Ok(Outcome::GivenUp)
        }
        Kind::Dies => {
            drop((call, nats));
            // Its instance is taken for that long. What shows that it is free then is that all of them are in the end.
            tokio::time::sleep(GIVEN_UP.saturating_sub(start.elapsed())).await;
            Ok(Outcome::Gone)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_no_one_knows_of_is_missed_and_a_defect_is_one() {
        let mut slow = Slow::default();
        for outcome in [
            Outcome::Answered,
            Outcome::GivenUp,
            Outcome::Gone,
            Outcome::Disturbed,
        ] {
            slow.begun += 1;
            slow.note(outcome);
        }
        assert!(slow.check().passed());
        slow.begun += 1;
        assert!(!slow.check().passed());
        slow.note(Outcome::Defect("Stops: it was not given up".into()));
        assert!(!slow.check().passed());
        assert!(slow.check().line().contains("not given up"));
    }
}
