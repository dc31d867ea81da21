//! Measuring the calls of one component by another, on each route in turn.
//!
//! A row of the result is one workload with one number of simultaneous callers on one route. Its calls are made
//! in several rounds, and in each round every route has its turn: whatever else the machine does at the time
//! hits all routes alike.

use anyhow::Context as _;
use inhost_testbed::Counts;

use super::case::Case;
use crate::bench::callers::{run_callers, settle};
use crate::bench::samples::{Batch, Cost, Row, Samples};
use crate::progress::Progress;
use crate::stage::Stage;

/// How often a round over NATS is tried; see [`round`].
const NATS_ATTEMPTS: u32 = 20;

/// Measures `case` on all `stages`: a row for each.
pub(crate) async fn measure(
    stages: &mut [Stage],
    case: &Case,
    progress: &Progress,
) -> anyhow::Result<Vec<Row>> {
    let mut samples = vec![Samples::default(); stages.len()];
    for stage in stages.iter_mut() {
        let warm_up = case.calls_per_run(stage.route).div_ceil(10).min(100);
        batch_without_loss(stage, case, warm_up, progress).await?;
    }
    for _ in 0..case.rounds {
        for (stage, samples) in stages.iter_mut().zip(&mut samples) {
            round(stage, case, samples, progress).await?;
        }
    }
    let rows = stages.iter().zip(samples);
    Ok(rows
        .map(|(stage, samples)| samples.row(case.case, stage.route))
        .collect())
}

/// One round of one route: its calls are added to `samples`.
///
/// Over NATS a round in which a call failed is repeated. The transport loses a message now and then when many calls
/// are made at once: it may read an answer before it has noted who waits for it. Then the caller waits for minutes, or
/// fails because its results end too early. A fault that is there each time still fails. The routes in memory get no
/// second chance.
async fn round(
    stage: &mut Stage,
    case: &Case,
    samples: &mut Samples,
    progress: &Progress,
) -> anyhow::Result<()> {
    let calls = case.calls_per_run(stage.route);
    let (before, batch) = batch_without_loss(stage, case, calls, progress).await?;
    let after = stage.counts().await?;
    let counts = after.zip(before).map(|(after, before)| after.since(before));
    let cost = Cost {
        counts,
        ..Cost::default()
    };
    samples.add(batch, cost);
    Ok(())
}

/// What the host had counted before a batch in which no call failed, and the batch. See [`round`].
async fn batch_without_loss(
    stage: &mut Stage,
    case: &Case,
    calls: u32,
    progress: &Progress,
) -> anyhow::Result<(Option<Counts>, Batch)> {
    let mut attempts = if stage.route.is_local() {
        1
    } else {
        NATS_ATTEMPTS
    };
    loop {
        attempts -= 1;
        let before = stage.counts().await?;
        match batch(stage, case, calls).await {
            Ok(batch) => return Ok((before, batch)),
            Err(error) if attempts == 0 => return Err(error),
            Err(error) => progress.say(&format!(
                "  a call over NATS was lost ({}), so this round is measured again; see guarantees.md, \"Calls over NATS\"",
                error.root_cause()
            )),
        }
        settle(stage.deployment.nats()).await?;
    }
}

/// Lets all callers of `case` make `calls` calls each.
async fn batch(stage: &mut Stage, case: &Case, calls: u32) -> anyhow::Result<Batch> {
    let driver = stage.deployment.driver().await?;
    let driver = driver.with_deadline(case.deadline(stage.route, calls));
    let (workload, size) = case
        .case
        .load
        .workload()
        .context("the demo asks the caller")?;
    let calls = run_callers(driver, workload, size, case.case.callers, calls);
    let result = stage.deployment.while_running(calls).await;
    result.with_context(|| {
        format!(
            "measuring {} failed. The host's last lines:\n{}\nThe reason",
            case.describe(std::iter::once(stage.route)),
            stage.deployment.host().log().tail(5)
        )
    })
}
