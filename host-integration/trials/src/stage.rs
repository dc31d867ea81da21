//! The hosts that are measured: one for each route, on one nats-server.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{bail, Context as _};
use clap::ValueEnum;
use inhost_testbed::{Backend, Deployment, Host, HostBuilder, LocalDispatch, NatsServer, Search};
use serde::Serialize;
use serde_json::Value;

/// Which way calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Route {
    /// Over NATS, on a stock host.
    Stock,
    /// Over NATS, as those of a stock host do, on this host.
    Nats,
    /// In memory, over tokio's DuplexStream.
    Duplex,
    /// In memory, over tokio's mpsc channel.
    Mpsc,
    /// In memory, to instances of the callee that serve many calls.
    Reuse,
    /// Inside one component, composed of caller and callee ahead of time.
    Composed,
    /// Without a host: from Rust, to a new instance each time.
    Fresh,
    /// Without a host: from Rust, to one instance.
    Warm,
}

/// What `--reuse-instances` is given for the route [`Route::Reuse`].
const REUSE: &str = "callee=1000";

impl Route {
    /// The routes of the demo.
    pub(crate) const DEMO: [Self; 3] = [Self::Nats, Self::Duplex, Self::Mpsc];

    /// All routes, in the order in which they are shown.
    pub(crate) const ALL: [Self; 8] = [
        Self::Stock,
        Self::Nats,
        Self::Duplex,
        Self::Mpsc,
        Self::Reuse,
        Self::Composed,
        Self::Fresh,
        Self::Warm,
    ];

    /// Whether calls stay in the process.
    pub(crate) fn is_local(self) -> bool {
        !matches!(self, Self::Stock | Self::Nats)
    }

    /// The host whose calls go this way, in a lattice of its own. `None` for a route without a host, and for one without
    /// a program to start.
    pub(crate) fn host(self, binaries: &Binaries) -> Option<HostBuilder> {
        let ours = Host::builder(&binaries.host);
        let host = match self {
            Self::Stock => Host::stock(binaries.stock.as_ref()?),
            Self::Nats => ours.local_dispatch(LocalDispatch::Off),
            Self::Duplex | Self::Composed => ours.backend(Backend::Duplex),
            Self::Mpsc => ours.backend(Backend::Mpsc),
            Self::Reuse => ours.args(["--reuse-instances", REUSE]),
            Self::Fresh | Self::Warm => return None,
        };
        Some(host.lattice(self.to_string()))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stock => "stock",
            Self::Nats => "nats",
            Self::Duplex => "duplex",
            Self::Mpsc => "mpsc",
            Self::Reuse => "reuse",
            Self::Composed => "composed",
            Self::Fresh => "fresh",
            Self::Warm => "warm",
        })
    }
}

/// How many outgoing calls of a host's components went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// In memory.
    pub(crate) local: u64,
    /// Over NATS, for whatever reason.
    pub(crate) remote: u64,
}

impl Counts {
    /// Reads them from the host's status.
    pub(crate) fn read(status: &Value) -> anyhow::Result<Self> {
        let calls = &status["calls"];
        let number = |name: &str| {
            calls[name]
                .as_u64()
                .with_context(|| format!("the host's status has no number calls.{name}: {status}"))
        };
        Ok(Self {
            local: number("local")?,
            remote: number("remote")? + number("spilled")? + number("fallback")?,
        })
    }

    /// What came on top of `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            local: self.local.saturating_sub(before.local),
            remote: self.remote.saturating_sub(before.remote),
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.local += more.local;
        self.remote += more.remote;
    }
}

/// The programs that are started.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// Our host, with both backends.
    pub(crate) host: PathBuf,
    /// The stock host, if it has a part.
    pub(crate) stock: Option<PathBuf>,
}

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
            let host = route.host(binaries);
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
        let status = self.deployment.host().status().await?;
        Counts::read(&status).map(Some)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spilled_and_fallback_calls_count_as_remote() {
        let status = json!({
            "mode": "prefer",
            "calls": { "local": 7, "remote": 1, "spilled": 2, "fallback": 3 },
        });
        let counts = Counts::read(&status).unwrap();
        assert_eq!(
            counts,
            Counts {
                local: 7,
                remote: 6
            }
        );
    }

    #[test]
    fn a_status_without_counters_is_an_error() {
        let error = Counts::read(&json!({ "calls": { "local": 1 } }));
        assert!(error.unwrap_err().to_string().contains("calls.remote"));
    }

    #[test]
    fn counts_are_compared() {
        let before = Counts {
            local: 5,
            remote: 2,
        };
        let after = Counts {
            local: 9,
            remote: 2,
        };
        assert_eq!(
            after.since(before),
            Counts {
                local: 4,
                remote: 0
            }
        );
    }

    #[test]
    fn work_that_ends_gives_its_result() {
        let done = block_on(until_asked_to_end(async { Ok(1) }));
        assert_eq!(done.unwrap(), Some(1));
        assert!(block_on(until_asked_to_end::<()>(async { bail!("no") })).is_err());
    }
}
