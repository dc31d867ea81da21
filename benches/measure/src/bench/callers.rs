//! Callers at once, and waiting for those that are left when a batch has failed.

use std::time::{Duration, Instant};

use anyhow::bail;
use inhost_testbed::{Driver, NatsServer, Workload};
use tokio::task::JoinSet;

use super::samples::Batch;

/// Makes the caller component do `calls` calls for each of `callers` at once.
pub(crate) async fn run_callers(
    driver: Driver,
    workload: Workload,
    size: u32,
    callers: u32,
    calls: u32,
) -> anyhow::Result<Batch> {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let driver = driver.clone();
        running.spawn(async move { driver.run(workload, size, calls).await });
    }
    let mut durations = Vec::new();
    while let Some(caller) = running.join_next().await {
        durations.extend(caller??);
    }
    let wall = start.elapsed();
    if durations.len() as u64 != u64::from(calls) * u64::from(callers) {
        bail!("the callers made {} calls", durations.len());
    }
    Ok(Batch { durations, wall })
}

/// Waits until the callers of a batch over NATS that failed have made their last calls.
pub(crate) async fn settle(nats: &NatsServer) -> anyhow::Result<()> {
    // Not by what the host counts, as a stock host does not count. All else on this server is quiet meanwhile.
    let mut messages = nats.messages().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = nats.messages().await?;
        if now == messages {
            return Ok(());
        }
        messages = now;
    }
}
