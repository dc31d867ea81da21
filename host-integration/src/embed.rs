//! A host in this process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{sleep, Instant};
use wasmcloud_host::url::Url;
use wasmcloud_host::{WasmbusHost, WasmbusHostConfig};
use wrpc_runtime_wasmtime::{in_ticks, take_turns};
use wrpc_transport_nats::local;

use crate::updates::Updates;
use crate::{host_config, local_dispatch};

/// How long it is looked for the time that a stop command gives, once the host library says that there was one.
const SETTLED: Duration = Duration::from_millis(200);

/// How often it is looked for it.
const LOOK: Duration = Duration::from_millis(2);

/// A wasmCloud v1.5 host with in-host invocation, in this process.
///
/// It does what the `wasmcloud` binary does: the published host library runs it, calls between its
/// components are made in memory, and updates take effect. It needs a NATS server with JetStream.
///
/// ```no_run
/// use inhost::{local, Host};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::builder()
///     .nats("nats://127.0.0.1:4222")
///     .lattice("default")
///     .local(local::Config {
///         backend: Some(local::BackendKind::Duplex),
///         ..local::Config::default()
///     })
///     .start()
///     .await?;
///
/// // Components are started and linked over the control interface, with `wash`, `wadm`, or a client of it.
/// println!("host {} runs", host.id());
/// host.stop_requested().await?;
///
/// println!("{} calls were made in memory", host.status().calls.local);
/// host.shut_down().await?;
/// # Ok(())
/// # }
/// ```
///
/// It runs on any multi-thread runtime of tokio. On one of
/// [`runtime_builder`](crate::runtime_builder), short calls that come one by one take little more
/// than half the time.
///
/// Dropping it without [`Host::shut_down`] leaves the host's components served until the process
/// ends, as the host library has it.
pub struct Host {
    host: Arc<WasmbusHost>,
    id: String,
    shutdown: Pin<Box<dyn Future<Output = anyhow::Result<()>>>>,
    _updates: Option<Updates>,
}

/// What a [`Host`] is started with.
#[derive(Default)]
#[must_use = "a host runs once it is started"]
pub struct HostBuilder {
    config: WasmbusHostConfig,
    nats: Option<String>,
    local: Option<local::Config>,
}

/// Why a host was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address of the NATS server is none.
    #[error("`{url}` is no address of a NATS server: it has the form nats://HOST:PORT")]
    #[non_exhaustive]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// In-host invocation cannot be set up as it was asked for.
    #[error("cannot set up in-host invocation")]
    Local(#[from] local::InstallError),
    /// The host library did not start the host.
    #[error("the host did not start with the NATS server {servers}")]
    #[non_exhaustive]
    Host {
        /// The server, without a password.
        servers: String,
        /// What happened.
        source: anyhow::Error,
    },
}

impl Host {
    /// A host to be configured.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// The host's ID: its public key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is served in this process, and which way calls went. With several hosts in a process,
    /// it is about all of them.
    pub fn status(&self) -> local::Status {
        local::status()
    }

    /// The host library's handle.
    pub fn inner(&self) -> &Arc<WasmbusHost> {
        &self.host
    }

    /// Waits for a command on the control interface to stop the host. Returns the time by which the
    /// command wants the host to be gone, if it said so; it takes a fifth of a second longer to
    /// know that it did not. The host goes on until [`Host::shut_down`].
    ///
    /// # Errors
    ///
    /// When the host has gone by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn stop_requested(&self) -> anyhow::Result<Option<Instant>> {
        let requested = async || {
            let requested = self.host.stopped().await;
            requested.context("the host stopped without a command to")
        };
        let mut deadline = requested().await?;
        // The host library's tasks, which the command ends, say so too, and none of them has the
        // time that the command gives. It says that last.
        let settled = Instant::now() + SETTLED;
        while deadline.is_none() && Instant::now() < settled {
            sleep(LOOK).await;
            deadline = requested().await?;
        }
        Ok(deadline)
    }

    /// Stops the host: tells the lattice, and ends the host's tasks.
    ///
    /// Calls in flight are not waited for. [`local::Local::drain`] does that, for all of the process:
    ///
    /// ```no_run
    /// # async fn example(host: inhost::Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let drained = inhost::local::installed().drain(std::time::Duration::from_secs(15)).await;
    /// println!("calls have come to their end, or were ended: {drained}");
    /// host.shut_down().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Components that were not stopped before are served until the process ends: the host library
    /// counts on that. A runtime that is dropped then waits for each guest that is computing, up to
    /// its maximum execution time; one that is ended with `Runtime::shutdown_timeout` does not.
    ///
    /// # Errors
    ///
    /// Those of the host library.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the host is stopped in part.
    pub async fn shut_down(self) -> anyhow::Result<()> {
        // The host's own tasks end with the last handle to it.
        drop(self.host);
        self.shutdown.await
    }
}

impl HostBuilder {
    /// The host library's configuration. The default is that of the host library, with the NATS server of
    /// `nats://localhost:4222`.
    ///
    /// Its maximum execution time is passed on in [ticks](wrpc_runtime_wasmtime::in_ticks), as
    /// guests take turns when they compute. A host that the same process starts by the host library
    /// alone has to be given it so, too: else its guests are stopped too early.
    pub fn config(mut self, config: WasmbusHostConfig) -> Self {
        self.config = config;
        self
    }

    /// The NATS server, `nats://HOST:PORT`, for the control interface and for calls. The default is that of the
    /// configuration.
    pub fn nats(mut self, url: impl Into<String>) -> Self {
        self.nats = Some(url.into());
        self
    }

    /// The lattice that the host is a member of. The default is `default`.
    pub fn lattice(mut self, lattice: impl AsRef<str>) -> Self {
        self.config.lattice = lattice.as_ref().into();
        self
    }

    /// How calls are carried in memory. It holds for the whole process and can be said once, before the first host is
    /// started; without it, what the process has already, or [`local::Config::default`].
    pub fn local(mut self, config: local::Config) -> Self {
        self.local = Some(config);
        self
    }

    /// Starts the host.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, no host runs. What [`HostBuilder::local`] said stays in force.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<Host, StartError> {
        self.start_boxed().await
    }

    /// As [`run`](crate::run), of a type that keeps the host library in this one.
    fn start_boxed(self) -> Pin<Box<dyn Future<Output = Result<Host, StartError>>>> {
        Box::pin(self.start_host())
    }

    async fn start_host(self) -> Result<Host, StartError> {
        let Self {
            mut config,
            nats,
            local,
        } = self;
        if let Some(url) = nats {
            let parsed = Url::parse(&url).map_err(|error| StartError::Address {
                url,
                source: error.into(),
            })?;
            config.ctl_nats_url = parsed.clone();
            config.rpc_nats_url = parsed;
        }
        if let Some(local) = local {
            local_dispatch::install(local)?;
        }
        let id = host_config::host_id(&mut config);
        let updates = local_dispatch::watch_updates(&mut config).await;
        let servers = host_config::nats_servers(&config);
        // The host counts it in ticks, of which there are more in a second than it knows.
        take_turns();
        config.max_execution_time = in_ticks(config.max_execution_time);
        let started = WasmbusHost::new(config).await;
        let (host, shutdown) = started.map_err(|source| StartError::Host { servers, source })?;
        Ok(Host {
            host,
            id,
            shutdown: Box::pin(shutdown),
            _updates: updates,
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Without the configuration, which holds secrets.
impl fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuilder")
            .field("lattice", &self.config.lattice)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}
