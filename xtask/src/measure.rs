//! Measuring the calls of one component by another, on each route in turn.
//!
//! A row of the result is one workload with one number of simultaneous callers on one route. Its calls are made
//! in several rounds, and in each round every route has its turn: whatever else the machine does at the time
//! hits all routes alike.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _};
use inhost_testbed::{Driver, Workload};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::stage::{Counts, Route, Stage};

/// How long one run of the caller may take.
const RUN_DEADLINE: Duration = Duration::from_secs(120);

/// How long one run of a caller over NATS may take, beyond [`NATS_CALL`] for each call of all callers. A call is given
/// up as lost after that; see [`round`].
const NATS_RUN_DEADLINE: Duration = Duration::from_secs(15);

/// See [`NATS_RUN_DEADLINE`].
const NATS_CALL: Duration = Duration::from_micros(500);

/// How often a round over NATS is tried; see [`round`].
const NATS_ATTEMPTS: u32 = 20;

/// What is measured in one row of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    workload: Workload,
    /// Bytes of payload of a call, in each direction.
    bytes: u32,
    /// How many callers call at the same time.
    concurrency: u32,
    /// In how many rounds.
    rounds: u32,
    /// How many calls each caller makes in a round, over NATS.
    calls_per_run: u32,
    /// How many times as many it makes in memory, so that rounds take about as long on each route. Starting the
    /// callers would weigh on short rounds.
    local_times: u32,
}

impl Case {
    /// A case with at least `calls` calls, in at most `rounds` rounds.
    fn new(workload: Workload, bytes: u32, concurrency: u32, rounds: u32, calls: u32) -> Self {
        let per_caller = calls.div_ceil(concurrency).max(1);
        let rounds = rounds.min(per_caller);
        Self {
            workload,
            bytes,
            concurrency,
            rounds,
            calls_per_run: per_caller.div_ceil(rounds),
            local_times: if concurrency > 1 { 4 } else { 1 },
        }
    }

    /// How many calls a row over NATS has.
    fn calls(&self) -> u32 {
        self.calls_per_run * self.concurrency * self.rounds
    }

    /// How many calls each caller makes in a round.
    fn calls_per_run(&self, route: Route) -> u32 {
        match route {
            Route::Nats => self.calls_per_run,
            Route::Duplex | Route::Mpsc => self.calls_per_run * self.local_times,
        }
    }

    fn describe(&self) -> String {
        let what = match self.workload {
            Workload::Ping => "ping".to_owned(),
            Workload::Echo => format!("echo of {} bytes", self.bytes),
        };
        let callers = match self.concurrency {
            1 => "1 caller".to_owned(),
            n => format!("{n} callers at once"),
        };
        let calls = match self.local_times {
            1 => format!("{} calls on each route", self.calls()),
            n => format!(
                "{} calls over NATS, {n} times as many in memory",
                self.calls()
            ),
        };
        format!("{what}, {callers}, {calls}")
    }
}

/// How many calls the first row has by default.
pub(crate) const DEFAULT_CALLS: u32 = 5_000;

/// The cases. The first has `calls` calls and the others a number in proportion.
///
/// With [`DEFAULT_CALLS`] they take about a minute in all on a small machine, most of it over NATS.
pub(crate) fn cases(calls: u32) -> Vec<Case> {
    let case = |workload, bytes, concurrency, rounds, default: u32| {
        let calls = u64::from(default) * u64::from(calls) / u64::from(DEFAULT_CALLS);
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        Case::new(workload, bytes, concurrency, rounds, calls)
    };
    let times = calls.div_ceil(DEFAULT_CALLS);
    vec![
        case(Workload::Ping, 0, 1, 10, DEFAULT_CALLS),
        // Runs long enough that starting 32 of them does not weigh, and short enough to be repeated.
        case(Workload::Ping, 0, 32, 6 * times, 30_720),
        case(Workload::Echo, 1 << 10, 1, 10, 2_000),
        case(Workload::Echo, 64 << 10, 1, 10, 200),
        case(Workload::Echo, 1 << 20, 1, 5, 20),
    ]
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) route: Route,
    /// `ping` or `echo`.
    pub(crate) workload: &'static str,
    /// Bytes of payload of a call, in each direction.
    pub(crate) bytes: u32,
    /// Callers at the same time.
    pub(crate) concurrency: u32,
    /// How many calls were made.
    pub(crate) calls: u64,
    /// The median duration of a call, in microseconds.
    pub(crate) p50_us: f64,
    /// What 99 of 100 calls did not exceed, in microseconds.
    pub(crate) p99_us: f64,
    /// Calls a second, of all callers together.
    pub(crate) calls_per_s: f64,
    /// How many calls the host made in memory.
    pub(crate) local: u64,
    /// How many calls the host made over NATS.
    pub(crate) remote: u64,
}

impl Row {
    /// What is wrong with the way that the calls went, if anything is.
    pub(crate) fn wrong_way(&self) -> Option<String> {
        let expected = match self.route.is_local() {
            true => Counts {
                local: self.calls,
                remote: 0,
            },
            false => Counts {
                local: 0,
                remote: self.calls,
            },
        };
        let counted = Counts {
            local: self.local,
            remote: self.remote,
        };
        (counted != expected).then(|| {
            format!(
                "{} of {} bytes with {} callers over {}: expected {} calls in memory and {} over NATS, the host \
                 counted {} and {}",
                self.workload,
                self.bytes,
                self.concurrency,
                self.route,
                expected.local,
                expected.remote,
                counted.local,
                counted.remote,
            )
        })
    }
}

/// An error when there are no rows, or when calls of a row went another way than they should.
pub(crate) fn check_routes(rows: &[Row]) -> anyhow::Result<()> {
    ensure!(!rows.is_empty(), "nothing was measured");
    let wrong: Vec<_> = rows.iter().filter_map(Row::wrong_way).collect();
    ensure!(
        wrong.is_empty(),
        "calls went the wrong way:\n  - {}",
        wrong.join("\n  - ")
    );
    Ok(())
}

/// What has been measured for a row so far.
#[derive(Clone, Debug, Default)]
struct Samples {
    /// The duration of each call in nanoseconds.
    durations: Vec<u64>,
    /// The duration of all batches together.
    wall: Duration,
    counts: Counts,
}

impl Samples {
    fn row(mut self, case: &Case, route: Route) -> Row {
        self.durations.sort_unstable();
        let calls = self.durations.len() as u64;
        // One caller is measured by its own clock: what it does between calls is not counted.
        let seconds = match case.concurrency {
            1 => self.durations.iter().sum::<u64>() as f64 / 1e9,
            _ => self.wall.as_secs_f64(),
        };
        Row {
            route,
            workload: match case.workload {
                Workload::Ping => "ping",
                Workload::Echo => "echo",
            },
            bytes: case.bytes,
            concurrency: case.concurrency,
            calls,
            p50_us: percentile(&self.durations, 50) as f64 / 1e3,
            p99_us: percentile(&self.durations, 99) as f64 / 1e3,
            calls_per_s: if seconds > 0.0 {
                calls as f64 / seconds
            } else {
                0.0
            },
            local: self.counts.local,
            remote: self.counts.remote,
        }
    }
}

/// The smallest of `sorted` that at least `percent` of 100 do not exceed; 0 when there are none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// Measures all `cases` on all `stages`.
pub(crate) async fn measure(stages: &mut [Stage], cases: &[Case]) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in cases {
        eprintln!("Measuring {}", case.describe());
        let mut samples = vec![Samples::default(); stages.len()];
        for stage in stages.iter_mut() {
            let warm_up = case.calls_per_run.div_ceil(10).min(100);
            batch_without_loss(stage, case, warm_up).await?;
        }
        for _ in 0..case.rounds {
            for (stage, samples) in stages.iter_mut().zip(&mut samples) {
                round(stage, case, samples).await?;
            }
        }
        let samples = stages.iter().zip(samples);
        rows.extend(samples.map(|(stage, samples)| samples.row(case, stage.route)));
    }
    Ok(rows)
}

/// One round of one route: its calls are added to `samples`.
///
/// Over NATS a round in which a call failed is repeated. The transport loses a message now and then when many calls
/// are made at once: it may read an answer before it has noted who waits for it. Then the caller waits for minutes, or
/// fails because its results end too early. A fault that is there each time still fails. The routes in memory get no
/// second chance.
async fn round(stage: &mut Stage, case: &Case, samples: &mut Samples) -> anyhow::Result<()> {
    let (before, (durations, wall)) =
        batch_without_loss(stage, case, case.calls_per_run(stage.route)).await?;
    let counts = stage.counts().await?.since(before);
    samples.durations.extend(durations);
    samples.wall += wall;
    samples.counts.local += counts.local;
    samples.counts.remote += counts.remote;
    Ok(())
}

/// What the host had counted before a batch in which no call failed, and the batch. See [`round`].
async fn batch_without_loss(
    stage: &mut Stage,
    case: &Case,
    calls: u32,
) -> anyhow::Result<(Counts, (Vec<u64>, Duration))> {
    let mut attempts = match stage.route {
        Route::Nats => NATS_ATTEMPTS,
        Route::Duplex | Route::Mpsc => 1,
    };
    loop {
        attempts -= 1;
        let before = stage.counts().await?;
        match batch(stage, case, calls).await {
            Ok(batch) => return Ok((before, batch)),
            Err(error) if attempts == 0 => return Err(error),
            Err(error) => eprintln!(
                "  a call over NATS was lost ({}), so this round is measured again; see README.md, \"Calls over NATS\"",
                error.root_cause()
            ),
        }
        settle(stage).await?;
    }
}

/// Waits until the callers of a batch that failed have made their last calls.
async fn settle(stage: &Stage) -> anyhow::Result<()> {
    let mut counts = stage.counts().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = stage.counts().await?;
        if now == counts {
            return Ok(());
        }
        counts = now;
    }
}

/// Lets all callers of `case` make `calls` calls each. Returns the duration of each call, and that of it all.
async fn batch(stage: &mut Stage, case: &Case, calls: u32) -> anyhow::Result<(Vec<u64>, Duration)> {
    let driver = stage.deployment.driver().await?;
    let driver = driver.with_deadline(match stage.route {
        Route::Nats => NATS_RUN_DEADLINE + NATS_CALL * calls * case.concurrency,
        Route::Duplex | Route::Mpsc => RUN_DEADLINE,
    });
    let result = stage.while_running(run_callers(driver, *case, calls)).await;
    result.with_context(|| {
        format!(
            "measuring {} over {} failed. The host's last lines:\n{}\nThe reason",
            case.describe(),
            stage.route,
            stage.deployment.host().log().tail(5)
        )
    })
}

async fn run_callers(
    driver: Driver,
    case: Case,
    calls: u32,
) -> anyhow::Result<(Vec<u64>, Duration)> {
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..case.concurrency {
        let driver = driver.clone();
        callers.spawn(async move { driver.run(case.workload, case.bytes, calls).await });
    }
    let mut durations = Vec::new();
    while let Some(caller) = callers.join_next().await {
        durations.extend(caller??);
    }
    let wall = start.elapsed();
    if durations.len() as u64 != u64::from(calls) * u64::from(case.concurrency) {
        bail!("the callers made {} calls", durations.len());
    }
    Ok((durations, wall))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row in which all went well.
    pub(crate) fn row(route: Route, calls: u64) -> Row {
        Row {
            route,
            workload: "ping",
            bytes: 0,
            concurrency: 1,
            calls,
            p50_us: 30.5,
            p99_us: 61.25,
            calls_per_s: 32_000.0,
            local: if route.is_local() { calls } else { 0 },
            remote: if route.is_local() { 0 } else { calls },
        }
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), 50);
        assert_eq!(percentile(&hundred, 99), 99);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[1, 2, 3], 50), 2);
        assert_eq!(percentile(&[1, 2, 3, 4], 50), 2);
        assert_eq!(percentile(&(1..=20).collect::<Vec<_>>(), 99), 20);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn calls_are_divided_among_callers_and_rounds() {
        let case = Case::new(Workload::Ping, 0, 32, 3, 30_720);
        assert_eq!((case.calls_per_run, case.calls()), (320, 30_720));
        let few = Case::new(Workload::Ping, 0, 32, 3, 1);
        assert_eq!((few.rounds, few.calls_per_run, few.calls()), (1, 1, 32));
        let uneven = Case::new(Workload::Echo, 1, 1, 10, 11);
        assert_eq!((uneven.rounds, uneven.calls()), (10, 20));
        for case in cases(1) {
            assert!(case.calls() >= case.concurrency);
        }
        let calls = |number| cases(number).iter().map(Case::calls).collect::<Vec<_>>();
        assert_eq!(calls(DEFAULT_CALLS), [5_000, 30_720, 2_000, 200, 20]);
        assert_eq!(calls(500), [500, 3_072, 200, 20, 2]);
    }

    #[test]
    fn a_row_is_computed_from_its_samples() {
        let samples = Samples {
            durations: vec![3_000, 1_000, 2_000, 4_000],
            wall: Duration::from_micros(5),
            counts: Counts {
                local: 4,
                remote: 0,
            },
        };
        let case = Case::new(Workload::Echo, 1024, 1, 2, 4);
        let row = samples.clone().row(&case, Route::Duplex);
        assert_eq!((row.calls, row.p50_us, row.p99_us), (4, 2.0, 4.0));
        // 4 calls in 10 microseconds of calling.
        assert!((row.calls_per_s - 400_000.0).abs() < 1e-3);
        assert_eq!((row.workload, row.bytes, row.local), ("echo", 1024, 4));

        // With more callers, their clocks overlap and the wall's counts.
        let case = Case::new(Workload::Echo, 1024, 2, 2, 4);
        let row = samples.row(&case, Route::Duplex);
        assert!((row.calls_per_s - 800_000.0).abs() < 1e-3);
    }

    #[test]
    fn rows_whose_calls_went_the_wrong_way_fail() {
        let good = [
            row(Route::Nats, 5),
            row(Route::Duplex, 5),
            row(Route::Mpsc, 5),
        ];
        check_routes(&good).unwrap();

        let spilled = Row {
            local: 4,
            remote: 1,
            ..row(Route::Duplex, 5)
        };
        let lost = Row {
            local: 4,
            ..row(Route::Mpsc, 5)
        };
        let stayed = Row {
            local: 5,
            remote: 0,
            ..row(Route::Nats, 5)
        };
        for wrong in [spilled, lost, stayed] {
            let error = check_routes(&[good[0].clone(), wrong.clone()]).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&format!("over {}", wrong.route)), "{error}");
        }
        assert!(check_routes(&[]).is_err());
    }
}
