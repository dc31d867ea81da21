//! The hosts that are measured: one for each route, on one nats-server.

use std::sync::Arc;

use anyhow::Context as _;
use inhost_testbed::{start_nats, Binaries, Counts, Deployment, Route};

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

    /// Stops all hosts and the nats-server.
    pub(crate) async fn stop_all(stages: Vec<Self>) -> anyhow::Result<()> {
        for stage in stages {
            stage.deployment.stop().await?;
        }
        Ok(())
    }
}
