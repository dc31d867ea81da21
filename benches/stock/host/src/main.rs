//! The wasmCloud v1.5 host as published: the host library and both wRPC crates unpatched, started with the flags that
//! the testbed passes.
//!
//! Everything that matters in a comparison is as in the `wasmcloud` binary of this repository: defaults, limits,
//! logging, runtime. What is missing here are flags that no measurement and no test sets.

mod flags;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{signal, SignalKind};
use tokio::time::{timeout, timeout_at, Instant};
use tracing_subscriber::util::SubscriberInitExt as _;
use wasmcloud_core::logging::Level;
use wasmcloud_core::OtelConfig;
use wasmcloud_host::WasmbusHost;
use wasmcloud_tracing::configure_observability;

use crate::flags::Flags;

/// Time to shut down in, unless the command to stop the host came with a time of its own.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let otel = OtelConfig::default();
    let (subscriber, _flush) = configure_observability(
        "wasmcloud-host",
        &otel,
        false,
        None::<&Path>,
        Some(&Level::from(flags.log_level)),
        Some(&otel.trace_level),
    )
    .context("cannot set up the log")?;
    subscriber.try_init().context("cannot install the log")?;

    // Boxed because this future is large. Until it is done, a signal ends the process at once.
    let (host, shutdown) = Box::pin(WasmbusHost::new(flags.config(otel)?))
        .await
        .context("the host did not start")?;
    let deadline = asked_to_stop(&host).await?;
    // The host's own tasks end with the last handle to it.
    drop(host);
    shut_down(shutdown, deadline).await
}

/// Waits for Ctrl-C, for SIGTERM or for a stop command, and returns the deadline that the command came with.
async fn asked_to_stop(host: &WasmbusHost) -> anyhow::Result<Option<Instant>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
        deadline = host.stopped() => deadline.context("the host stopped without a command to"),
    }
}

async fn shut_down(
    shutdown: impl Future<Output = anyhow::Result<()>>,
    deadline: Option<Instant>,
) -> anyhow::Result<()> {
    let done = match deadline {
        Some(deadline) => timeout_at(deadline, shutdown).await,
        None => timeout(SHUTDOWN_TIMEOUT, shutdown).await,
    };
    done.context("the host did not shut down in time")?
        .context("the host did not shut down cleanly")
}
