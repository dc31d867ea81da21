//! When and how the host stops.

use std::future::Future;
use std::time::Duration;

use anyhow::{bail, Context as _};
use tokio::signal;
use tokio::time::{timeout, timeout_at, Instant};
use tracing::{info, warn};
use wrpc_transport_nats::local::Drained;

use crate::embed::Host;

/// What is left of the time that a stop command gives when calls are ended: to tell their callers, and to shut down.
const FOR_THE_REST: Duration = Duration::from_millis(1500);

/// Time to shut down in, unless the command to stop the host came with a time of its own.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The signals that stop a host: Ctrl-C and SIGTERM. While this lives, neither ends the process by itself.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: signal::unix::Signal,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    ///
    /// When they cannot be listened for.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        #[cfg(unix)]
        let terminate = signal::unix::signal(signal::unix::SignalKind::terminate())
            .context("cannot wait for SIGTERM")?;
        Ok(Self {
            #[cfg(unix)]
            terminate,
        })
    }

    /// Waits for the next one.
    ///
    /// # Errors
    ///
    /// When Ctrl-C cannot be listened for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            signal = signal::ctrl_c() => signal.context("cannot wait for Ctrl-C"),
            () = self.terminated() => Ok(()),
        }
    }

    #[cfg(unix)]
    async fn terminated(&mut self) {
        if self.terminate.recv().await.is_none() {
            std::future::pending().await
        }
    }

    #[cfg(not(unix))]
    async fn terminated(&mut self) {
        std::future::pending().await
    }
}

/// Waits for a signal, or for a stop command on the control interface. Returns the time by which a
/// stop command wants the host to be gone, if it said so.
///
/// # Errors
///
/// When signals cannot be listened for, and when the host goes away by itself.
pub(crate) async fn requested(
    host: &Host,
    signals: &mut Signals,
) -> anyhow::Result<Option<Instant>> {
    tokio::select! {
        signal = signals.next() => signal.map(|()| None),
        deadline = host.stop_requested() => deadline,
    }
}

/// How long calls may go on: `within`, or less when a stop command wants the host to be gone before.
pub(crate) fn time_for_calls(within: Duration, deadline: Option<Instant>) -> Duration {
    match deadline {
        Some(deadline) => within.min(
            deadline
                .saturating_duration_since(Instant::now())
                .saturating_sub(FOR_THE_REST),
        ),
        None => within,
    }
}

/// Runs `end`, unless a signal comes meanwhile.
///
/// # Errors
///
/// Those of `end`, and a signal.
pub(crate) async fn unless_told_again<T>(
    signals: &mut Signals,
    end: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        ended = end => ended,
        signal = signals.next() => {
            signal?;
            bail!("the host was told to stop once more, so what it did was not brought to an end")
        }
    }
}

/// Says what became of the calls.
pub(crate) fn log_drained(drained: &Drained) {
    let Drained {
        finished,
        begun,
        ended,
        lost,
        ..
    } = *drained;
    match drained.is_complete() {
        true => info!(finished, begun, ended, lost, "calls have come to their end"),
        false => warn!(
            finished,
            begun, ended, lost, "the time for calls to come to their end was over: some were ended"
        ),
    }
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
    async fn calls_get_their_time_or_what_a_stop_command_leaves_of_it() {
        let within = Duration::from_secs(15);
        let of = |seconds| {
            let deadline = Instant::now() + Duration::from_secs(seconds);
            time_for_calls(within, Some(deadline))
        };
        assert_eq!(time_for_calls(within, None), within);
        assert_eq!(of(60), within);
        assert_eq!(of(10), Duration::from_millis(8500));
        assert_eq!(of(1), Duration::ZERO);
        assert_eq!(of(0), Duration::ZERO);
    }

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
