//! For programs that start all this for their user, who may ask for the end at any time.

use std::fmt;
use std::future::Future;

use anyhow::Context as _;

use crate::nats::{NatsServer, Search};

/// Finds or fetches a nats-server, says where it came from on standard error, and starts it.
///
/// # Errors
///
/// When there is none, or when it does not start.
#[expect(
    clippy::print_stderr,
    reason = "it is for programs that speak to their user"
)]
pub async fn start_nats() -> anyhow::Result<NatsServer> {
    let found = tokio::task::spawn_blocking(|| Search::from_env().find()).await??;
    let binary = found.binary.display();
    eprintln!("Starting a nats-server ({binary}, {})", found.origin);
    NatsServer::start_binary(&found.binary).await
}

/// Runs `work` on a new tokio runtime.
///
/// # Errors
///
/// Those of `work`, and that the runtime cannot be started.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?
        .block_on(work)
}

/// Someone asked for the end before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted: what was started has been stopped")
    }
}

impl std::error::Error for Interrupted {}

/// Waits for `work`, or until someone asks for the end: with Ctrl-C or `SIGTERM`.
///
/// Returns `None` in the second case. What `work` has started and not given away is killed by then.
///
/// # Errors
///
/// Those of `work`, and that this program cannot be told of signals.
///
/// # Cancel safety
///
/// Dropping the future drops `work`.
pub async fn until_asked_to_end<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    use tokio::signal::unix::{signal, SignalKind};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        result = work => result.map(Some),
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
    }
}
