//! When and how the host stops.

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal;
use tokio::time::{timeout, timeout_at, Instant};

use crate::embed::Host;

/// Time to shut down in, unless the command to stop the host came with a time of its own.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for Ctrl-C, for SIGTERM, or for a stop command on the control interface. Returns the time by which a stop
/// command wants the host to be gone, if it said so.
///
/// # Errors
///
/// When signals cannot be listened for, and when the host goes away by itself.
pub(crate) async fn requested(host: &Host) -> anyhow::Result<Option<Instant>> {
    tokio::select! {
        signal = signal::ctrl_c() => signal.context("cannot wait for Ctrl-C").map(|()| None),
        signal = terminated() => signal.context("cannot wait for SIGTERM").map(|()| None),
        deadline = host.stop_requested() => deadline,
    }
}

#[cfg(unix)]
async fn terminated() -> std::io::Result<()> {
    signal::unix::signal(signal::unix::SignalKind::terminate())?
        .recv()
        .await;
    Ok(())
}

#[cfg(not(unix))]
async fn terminated() -> std::io::Result<()> {
    std::future::pending().await
}

/// Runs the host's shutdown until `deadline`, or for at most 10 seconds without one.
///
/// # Errors
///
/// When the shutdown fails or takes longer.
pub(crate) async fn shut_down(
    shutdown: impl Future<Output = anyhow::Result<()>>,
    deadline: Option<Instant>,
) -> anyhow::Result<()> {
    let outcome = match deadline {
        Some(deadline) => timeout_at(deadline, shutdown)
            .await
            .context("the host did not shut down in the time that the stop command gave it"),
        None => timeout(SHUTDOWN_TIMEOUT, shutdown)
            .await
            .with_context(|| format!("the host did not shut down within {SHUTDOWN_TIMEOUT:?}")),
    };
    outcome?.context("the host did not shut down cleanly")
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_shutdown_gets_ten_seconds() {
        let start = Instant::now();
        let error = shut_down(pending(), None).await.expect_err("never done");
        assert_eq!(start.elapsed().as_secs(), 10);
        assert!(error.to_string().contains("within 10s"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_replaces_the_ten_seconds() {
        let start = Instant::now();
        let deadline = start + Duration::from_secs(3);
        let error = shut_down(pending(), Some(deadline)).await;
        assert_eq!(start.elapsed().as_secs(), 3);
        let error = error.expect_err("never done").to_string();
        assert!(error.contains("stop command"), "{error}");

        let late = tokio::time::sleep(Duration::from_secs(60));
        let done = shut_down(
            async {
                late.await;
                Ok(())
            },
            Some(start + Duration::from_secs(120)),
        );
        assert!(done.await.is_ok());
    }

    #[tokio::test]
    async fn a_failed_shutdown_is_reported() {
        let failed = ready(Err(anyhow::anyhow!("no connection")));
        let error = shut_down(failed, None).await.expect_err("it failed");
        assert!(format!("{error:#}").contains("no connection"), "{error:#}");
    }
}
