//! The hosts that are measured: one for each route, on one nats-server.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use anyhow::{bail, Context as _};
use inhost_testbed::{Binaries, Counts, Deployment, NatsServer, Route, Search};

/// A host with caller and callee on it, whose calls go one way.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) route: Route,
    pub(crate) deployment: Deployment,
}

impl Stage {
    /// Starts a host for each of `routes`, with caller and callee on it.
    pub(crate) async fn start_all(
        binaries: &Binaries,
        routes: &[Route],
    ) -> anyhow::Result<Vec<Self>> {
        let nats = Arc::new(start_nats().await?);
        let mut stages = Vec::new();
        for &route in routes {
            let host = route.builder(binaries);
            let host = host.with_context(|| format!("the route {route} has no host"))?;
            eprintln!("Starting a host for the route {route}");
            let deployment = Deployment::start_on(Arc::clone(&nats), host).await?;
            deployment.deploy_pair().await?;
            stages.push(Self { route, deployment });
        }
        Ok(stages)
    }

    /// What the host has counted. `None` for a stock host, which does not count.
    pub(crate) async fn counts(&self) -> anyhow::Result<Option<Counts>> {
        if self.route == Route::Stock {
            return Ok(None);
        }
        self.deployment.host().counts().await.map(Some)
    }

    /// Waits for `work`, or until the host ends, which is an error.
    pub(crate) async fn while_running<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let Some(host) = self.deployment.hosts_mut().first_mut() else {
            bail!("there is no host");
        };
        tokio::select! {
            result = work => result,
            ended = host.ended() => Err(ended),
        }
    }

    /// Stops all hosts and the nats-server.
    pub(crate) async fn stop_all(stages: Vec<Self>) -> anyhow::Result<()> {
        for stage in stages {
            stage.deployment.stop().await?;
        }
        Ok(())
    }
}

/// Finds or fetches a nats-server, says where it came from, and starts it.
pub(crate) async fn start_nats() -> anyhow::Result<NatsServer> {
    let found = tokio::task::spawn_blocking(|| Search::from_env().find()).await??;
    let binary = found.binary.display();
    eprintln!("Starting a nats-server ({binary}, {})", found.origin);
    NatsServer::start_binary(&found.binary).await
}

/// Runs `work` on a new tokio runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?
        .block_on(work)
}

/// Someone asked for the end before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted: what was started has been stopped")
    }
}

impl std::error::Error for Interrupted {}

/// Waits for `work`, or until someone asks for the end: with Ctrl-C or `SIGTERM`.
///
/// Returns `None` in the second case. What `work` has started and not given away is killed by then.
pub(crate) async fn until_asked_to_end<T>(
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
