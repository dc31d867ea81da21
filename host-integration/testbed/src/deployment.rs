//! A nats-server, hosts on it, and components on them.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure, Context as _};

use crate::control::{Control, Link};
use crate::driver::{Driver, Workload, CALLEE, CALLER};
use crate::guests::Guest;
use crate::host::{Host, HostBuilder};
use crate::nats::NatsServer;
use crate::wait::{listens, until};
use crate::wrpc::Peer;

/// How many instances of a component may run at once when nothing else is said: more than any test or
/// measurement has simultaneous calls.
pub const DEFAULT_COUNT: u32 = 100;

/// The id under which [`Deployment::deploy_http`] starts the HTTP guest.
pub const HTTP: &str = "http";

/// How long the server may take to know of a component's functions after the host has started it.
const SERVED_DEADLINE: Duration = Duration::from_secs(10);

/// A nats-server and one or more hosts in one lattice.
///
/// Dropping it kills them. [`Deployment::stop`] ends them in an orderly way.
#[derive(Debug)]
pub struct Deployment {
    hosts: Vec<Host>,
    control: Control,
    client: async_nats::Client,
    lattice: String,
    // After the hosts: they go first.
    nats: Arc<NatsServer>,
}

impl Deployment {
    /// The arguments with which a host has a built-in HTTP server.
    pub const HTTP_SERVER: [&str; 2] = ["--feature", "builtin-http-server"];

    /// Starts a nats-server and a host.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub async fn start(host: HostBuilder) -> anyhow::Result<Self> {
        let nats = Arc::new(NatsServer::start().await?);
        Self::start_on(nats, host).await
    }

    /// Starts a host on a nats-server that is there already, and that other deployments may share.
    ///
    /// # Errors
    ///
    /// When the host does not start.
    pub async fn start_on(nats: Arc<NatsServer>, host: HostBuilder) -> anyhow::Result<Self> {
        let host = host.start(&nats).await?;
        let client = nats.client().await?;
        let lattice = host.lattice().to_owned();
        Ok(Self {
            hosts: vec![host],
            control: Control::new(client.clone(), &lattice),
            client,
            lattice,
            nats,
        })
    }

    /// Starts one more host, in the same lattice whatever the builder says, and returns its number for
    /// [`Deployment::hosts`].
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn add_host(&mut self, host: HostBuilder) -> anyhow::Result<usize> {
        let host = host.lattice(&self.lattice).start(&self.nats).await?;
        self.hosts.push(host);
        Ok(self.hosts.len() - 1)
    }

    /// Takes a host out of the deployment, for example to stop it.
    ///
    /// # Panics
    ///
    /// When there is no host with this number.
    pub fn take_host(&mut self, number: usize) -> Host {
        self.hosts.remove(number)
    }

    /// The first host.
    ///
    /// # Panics
    ///
    /// When all hosts have been taken out.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.hosts.first().expect("the deployment has a host")
    }

    /// All hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Waits for `work`, or until the host ends, which is an error.
    ///
    /// # Errors
    ///
    /// Those of `work`, and how the host has ended.
    ///
    /// # Panics
    ///
    /// When all hosts have been taken out of the deployment.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work`.
    pub async fn while_running<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let host = self.hosts.first_mut().expect("the deployment has a host");
        tokio::select! {
            result = work => result,
            ended = host.ended() => Err(ended),
        }
    }

    /// The nats-server.
    #[must_use]
    pub fn nats(&self) -> &Arc<NatsServer> {
        &self.nats
    }

    /// A connection to the nats-server.
    #[must_use]
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// The lattice's name.
    #[must_use]
    pub fn lattice(&self) -> &str {
        &self.lattice
    }

    /// The lattice's control interface.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// A component of the lattice, to call it from outside.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn peer(&self, component_id: &str) -> anyhow::Result<Peer> {
        Peer::new(&self.client, &self.lattice, component_id).await
    }

    /// The caller that [`Deployment::deploy_pair`] started.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn driver(&self) -> anyhow::Result<Driver> {
        self.peer(CALLER).await.map(Driver::new)
    }

    /// Starts a guest on the first host, with at most `count` instances at once. Its functions can be called
    /// when this returns.
    ///
    /// # Errors
    ///
    /// When the guest's file is missing or the host cannot start it.
    pub async fn deploy(&self, guest: Guest, component_id: &str, count: u32) -> anyhow::Result<()> {
        self.deploy_on(self.host(), &guest.reference()?, component_id, count)
            .await
    }

    /// Starts the component `reference` on `host`, which does not have it yet. Its functions can be called when
    /// this returns.
    ///
    /// # Errors
    ///
    /// When the host cannot start it, or when it serves no function.
    pub async fn deploy_on(
        &self,
        host: &Host,
        reference: &str,
        component_id: &str,
        count: u32,
    ) -> anyhow::Result<()> {
        let before = self.served(component_id).await?;
        self.control
            .scale(host.id(), reference, component_id, count)
            .await
            .with_context(|| format!("the host's last lines:\n{}", host.log().tail(10)))?;
        // The host says that it has started the component over one connection and subscribes over another.
        let what = format!("{component_id} was started but serves no function");
        until(&what, SERVED_DEADLINE, async || {
            Ok(self.served(component_id).await? > before)
        })
        .await
    }

    /// How many functions are served over NATS for `component_id`, on all hosts together.
    ///
    /// # Errors
    ///
    /// When the nats-server does not answer.
    pub async fn served(&self, component_id: &str) -> anyhow::Result<usize> {
        let prefix = format!("{}.{component_id}.wrpc.0.0.1.", self.lattice);
        Ok(self.nats.subscriptions(&prefix).await?.len())
    }

    /// Starts the callee and the caller on the first host, with at most [`DEFAULT_COUNT`] instances each, and
    /// links them.
    ///
    /// # Errors
    ///
    /// When one of them cannot be started or the link is refused.
    pub async fn deploy_pair(&self) -> anyhow::Result<()> {
        self.deploy_pair_of(DEFAULT_COUNT, DEFAULT_COUNT).await
    }

    /// As [`Deployment::deploy_pair`], with at most `callees` and `callers` instances.
    ///
    /// # Errors
    ///
    /// As for [`Deployment::deploy_pair`].
    pub async fn deploy_pair_of(&self, callees: u32, callers: u32) -> anyhow::Result<()> {
        self.deploy(Guest::Callee, CALLEE, callees).await?;
        self.deploy(Guest::Caller, CALLER, callers).await?;
        self.link(CALLER, CALLEE, "echo").await
    }

    /// Starts the HTTP guest as [`HTTP`] on a host that was started with [`Deployment::HTTP_SERVER`], behind the host's
    /// built-in HTTP server, and returns the server's address. It is to be linked to an `echo`.
    ///
    /// A request reaches the component without a message over NATS.
    ///
    /// # Errors
    ///
    /// When one of them cannot be started, or when the server does not listen.
    pub async fn deploy_http(&self, host: &Host) -> anyhow::Result<SocketAddr> {
        self.deploy_http_as(host, &Guest::Http.reference()?).await
    }

    /// As [`Deployment::deploy_http`], with the component `reference` in place of the HTTP guest.
    ///
    /// # Errors
    ///
    /// As for [`Deployment::deploy_http`].
    pub async fn deploy_http_as(&self, host: &Host, reference: &str) -> anyhow::Result<SocketAddr> {
        // The server takes its address from a configuration, so it has to be known before.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = format!("http-{}", address.port());
        let server = format!("http-server-{}", address.port());
        self.control
            .scale(host.id(), reference, HTTP, DEFAULT_COUNT)
            .await?;
        let entries = [("address", address.to_string())];
        let entries = entries.each_ref().map(|(name, value)| (*name, &**value));
        self.control.config_put(&config, &entries).await?;
        self.control
            .provider_start(host.id(), "wasmcloud+builtin://http-server", &server, &[])
            .await?;
        // The host that is sent the link hands it to the server in one message, which may be another host than the
        // server's; the server says that it has started over one connection and subscribes over another.
        let links = format!("wasmbus.rpc.{}.{server}.linkdefs.put", self.lattice);
        let what = format!("{server} was started but hears of no link");
        until(&what, SERVED_DEADLINE, async || {
            Ok(!self.nats.subscriptions(&links).await?.is_empty())
        })
        .await?;
        let link = Link::new(&server, HTTP, "wasi:http", "incoming-handler");
        self.control
            .link_put(&link.with_source_config(&[&config]))
            .await?;
        listens(address, SERVED_DEADLINE).await.map_err(|error| {
            let log = host.log().tail(10);
            anyhow!("the HTTP server: {error}; the host's last lines:\n{log}")
        })?;
        Ok(address)
    }

    /// Links `source` to `target` for `interface` of the package `inhost:demo`, such as `echo` or `tally`.
    ///
    /// # Errors
    ///
    /// When the host refuses.
    pub async fn link(&self, source: &str, target: &str, interface: &str) -> anyhow::Result<()> {
        let link = Link::new(source, target, "inhost:demo", interface);
        self.control.link_put(&link).await
    }

    /// Makes the caller do `calls` calls of the callee. Returns the duration of each in nanoseconds.
    ///
    /// # Errors
    ///
    /// When a call fails, or when the caller did another number of calls.
    pub async fn driver_run(
        &self,
        workload: Workload,
        size: u32,
        calls: u32,
    ) -> anyhow::Result<Vec<u64>> {
        let durations = self.driver().await?.run(workload, size, calls).await?;
        ensure!(
            durations.len() == calls as usize,
            "{calls} calls were asked for, {} were made",
            durations.len()
        );
        Ok(durations)
    }

    /// Stops the hosts, and the nats-server if no other deployment shares it.
    ///
    /// # Errors
    ///
    /// When one of them has to be killed or ends with a failure.
    pub async fn stop(self) -> anyhow::Result<()> {
        for host in self.hosts {
            host.stop().await?;
        }
        match Arc::into_inner(self.nats) {
            Some(nats) => nats.stop().await,
            None => Ok(()),
        }
    }
}
