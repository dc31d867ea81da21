//! Starting and stopping a nats-server.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{ensure, Context as _};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use super::configured::config_file;
use super::search::Search;
use crate::http::get_json;
use crate::log::Log;
use crate::process::Process;
use crate::signal::{signal, state};
use crate::usage::Usage;
use crate::wait::{found, listens, until};

/// How long the server may take to be ready, and to end.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A running nats-server with JetStream, on free ports of the loopback interface.
///
/// It can be killed and started again, and it can be paused, to see how others take that. Dropping it kills the server
/// and removes its files.
#[derive(Debug)]
pub struct NatsServer {
    /// `None` while it is killed.
    process: Mutex<Option<Process>>,
    binary: PathBuf,
    pub(super) log: Log,
    client: SocketAddr,
    monitor: SocketAddr,
    // After the process: the server is gone when its files go.
    pub(super) files: TempDir,
}

/// What the server writes to its ports file.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

impl NatsServer {
    /// Finds a server as [`Search::find`] does, starts it and waits until it accepts clients.
    ///
    /// # Errors
    ///
    /// When no server is found, or when it does not start; the error carries its last log lines.
    pub async fn start() -> anyhow::Result<Self> {
        let found = tokio::task::spawn_blocking(|| Search::from_env().find()).await??;
        Self::start_binary(&found.binary).await
    }

    /// Starts the server at `binary` and waits until it accepts clients.
    ///
    /// # Errors
    ///
    /// When it does not start; the error carries its last log lines.
    pub async fn start_binary(binary: &Path) -> anyhow::Result<Self> {
        Self::start_in(files()?, binary).await
    }

    pub(super) async fn start_in(files: TempDir, binary: &Path) -> anyhow::Result<Self> {
        let ports = files.path().join("ports");
        std::fs::create_dir(&ports)?;
        let log = Log::new();
        // Port -1 is a free port that the server picks itself: nothing can take it in between.
        let mut command = command(binary, files.path(), "-1", "-1");
        command.arg("--ports_file_dir").arg(&ports);
        let mut process = Process::spawn("the nats-server", command, log.clone())?;
        let addresses = async {
            let ports = read_ports(&ports).await?;
            let client = loopback(&ports.nats)?;
            listens(client, DEADLINE).await?;
            anyhow::Ok((client, loopback(&ports.monitoring)?))
        };
        let (client, monitor) = ready(&mut process, addresses).await?;
        tracing::debug!(%client, binary = %binary.display(), "started a nats-server");
        Ok(Self {
            process: Mutex::new(Some(process)),
            binary: binary.to_owned(),
            log,
            client,
            monitor,
            files,
        })
    }

    /// Kills the server (`SIGKILL`): its connections break, and no one listens on its port. What JetStream has stored
    /// stays.
    ///
    /// # Panics
    ///
    /// When it is killed already.
    pub fn kill(&self) {
        let process = self.process().take();
        // Dropping it kills, and waits until it is gone.
        drop(process.expect("the nats-server runs"));
    }

    /// Starts the server that was [killed](Self::kill), on the same ports and with the same store, and waits until it
    /// accepts clients.
    ///
    /// # Errors
    ///
    /// When it does not start, for example because its port was taken meanwhile; the error carries its last log lines.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let [client, monitor] = [self.client, self.monitor].map(|addr| addr.port().to_string());
        let command = command(&self.binary, self.files.path(), &client, &monitor);
        let mut process = Process::spawn("the nats-server", command, self.log.clone())?;
        ready(&mut process, listens(self.client, DEADLINE)).await?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Stops the server in its tracks (`SIGSTOP`): its connections stay, and nothing moves on them.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent, or does not stop the server.
    ///
    /// # Panics
    ///
    /// When the server is killed.
    pub async fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP")?;
        // The signal has been sent, but a thread that runs on another core goes on until it sees it.
        let id = self.process().as_ref().map(Process::id);
        let id = id.expect("the nats-server runs");
        let what = "the nats-server does not stop";
        until(what, DEADLINE, async || Ok(is_stopped(id))).await
    }

    /// Lets a [paused](Self::pause) server go on (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    ///
    /// # Panics
    ///
    /// When the server is killed.
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    pub(super) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.process().as_ref().map(Process::id);
        let id = id.expect("the nats-server runs");
        let sent = signal(name, id);
        ensure!(sent, "SIG{name} could not be sent to the nats-server");
        Ok(())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        // It is only ever replaced as a whole.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server's process uses of the machine; `None` while it is killed.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let process = self.process();
        process.as_ref().map(|process| Usage::of(process.id()))
    }

    /// The port for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.client.port()
    }

    /// The address for clients, as `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.client)
    }

    /// What the server has written, before and after a restart.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A new connection.
    ///
    /// # Errors
    ///
    /// When the server does not accept it.
    pub async fn client(&self) -> anyhow::Result<async_nats::Client> {
        async_nats::connect(self.url()).await.with_context(|| {
            format!(
                "cannot connect to {}. The server's last lines:\n{}",
                self.url(),
                self.log().tail(5)
            )
        })
    }

    /// The subjects that clients are subscribed to and that begin with `prefix`, each as often as there are
    /// subscriptions.
    ///
    /// # Errors
    ///
    /// When the server's monitoring address does not answer.
    pub async fn subscriptions(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            subscriptions_list: Vec<Subscription>,
        }
        #[derive(Deserialize)]
        struct Subscription {
            subject: String,
        }
        let page = get_json(self.monitor, "/subsz?subs=1&limit=1000000").await?;
        let page: Page = serde_json::from_value(page).context("cannot read the subscriptions")?;
        let subjects = page.subscriptions_list.into_iter().map(|s| s.subject);
        Ok(subjects.filter(|s| s.starts_with(prefix)).collect())
    }

    /// How many messages clients have sent to the server since its start.
    ///
    /// # Errors
    ///
    /// When the server's monitoring address does not answer.
    pub async fn messages(&self) -> anyhow::Result<u64> {
        let state = get_json(self.monitor, "/varz").await?;
        state["in_msgs"]
            .as_u64()
            .context("the nats-server does not say how many messages it got")
    }

    /// Ends the server in an orderly way.
    ///
    /// # Errors
    ///
    /// When it has to be killed.
    pub async fn stop(self) -> anyhow::Result<()> {
        let process = self.process().take();
        match process {
            Some(mut process) => process.terminate(DEADLINE).await.map(drop),
            None => Ok(()),
        }
    }
}

/// A folder for a server's files.
pub(super) fn files() -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("inhost-nats-").tempdir();
    folder.context("cannot create a folder for the nats-server")
}

/// The server with its files in `files`, on these ports of the loopback interface.
fn command(binary: &Path, files: &Path, client_port: &str, monitor_port: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .args(["-a", "127.0.0.1", "-p", client_port, "-m", monitor_port])
        .args(["-js", "-sd"])
        .arg(files.join("jetstream"));
    let config = config_file(files);
    if config.exists() {
        command.arg("-c").arg(config);
    }
    command
}

/// Waits for `ready`, or for the process to end before that.
async fn ready<T>(
    process: &mut Process,
    ready: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        ready = ready => ready.context("the nats-server is not ready"),
        ended = process.ended() => Err(ended),
    }
}

/// Whether each thread of the process is stopped, as proc(5) has it; where there is no `/proc`, yes.
fn is_stopped(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.all(|thread| {
        // A thread that has ended meanwhile moves nothing any more.
        state(&thread.path().join("status")).is_none_or(|state| state == 'T')
    })
}

/// Reads the file in which the server says its ports. It comes a moment after the start.
async fn read_ports(folder: &Path) -> anyhow::Result<Ports> {
    found("the nats-server says no ports", DEADLINE, async || {
        for entry in std::fs::read_dir(folder)? {
            // A file that is still being written does not parse.
            let content = std::fs::read(entry?.path())?;
            if let Ok(ports) = serde_json::from_slice(&content) {
                return Ok(Some(ports));
            }
        }
        Ok(None)
    })
    .await
}

/// The socket address in the first of `urls`.
fn loopback(urls: &[String]) -> anyhow::Result<SocketAddr> {
    let url = urls.first().context("the nats-server says no port")?;
    let (_, address) = url.split_once("://").unwrap_or(("", url));
    let address: SocketAddr = address
        .parse()
        .with_context(|| format!("the nats-server says the address {url}, which is not one"))?;
    ensure!(
        address.ip().is_loopback(),
        "{url} is not on the loopback interface"
    );
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;

    #[tokio::test]
    async fn a_server_carries_messages_lists_subscriptions_and_ends() {
        let server = NatsServer::start().await.unwrap();
        let client = server.client().await.unwrap();
        let mut subscription = client.subscribe("lattice.one.two").await.unwrap();
        crate::wrpc::settle(&client).await.unwrap();
        assert_eq!(
            server.subscriptions("lattice.one.").await.unwrap(),
            ["lattice.one.two"]
        );
        assert!(server
            .subscriptions("lattice.two.")
            .await
            .unwrap()
            .is_empty());
        client
            .publish("lattice.one.two", "hello".into())
            .await
            .unwrap();
        assert_eq!(subscription.next().await.unwrap().payload, "hello");
        assert!(server.messages().await.unwrap() >= 1);

        let context = async_nats::jetstream::new(client);
        context.query_account().await.expect("JetStream is on");

        let files = server.files.path().to_owned();
        server.stop().await.unwrap();
        assert!(!files.exists());
    }

    #[tokio::test]
    async fn a_killed_server_comes_back_on_its_port_with_what_it_stored() {
        let server = NatsServer::start().await.unwrap();
        let client = server.client().await.unwrap();
        let mut subscription = client.subscribe("hello").await.unwrap();
        let context = async_nats::jetstream::new(client.clone());
        let config = async_nats::jetstream::kv::Config {
            bucket: "kept".to_owned(),
            ..Default::default()
        };
        let store = context.create_key_value(config).await.unwrap();
        store.put("key", "value".into()).await.unwrap();

        server.kill();
        assert!(server.client().await.is_err(), "no one listens");
        server.restart().await.unwrap();
        let value = store.get("key").await.unwrap();
        assert_eq!(value.as_deref(), Some(b"value".as_slice()));
        // The client has connected again by itself, with its subscriptions.
        crate::wrpc::settle(&client).await.unwrap();
        client.publish("hello", "again".into()).await.unwrap();
        assert_eq!(subscription.next().await.unwrap().payload, "again");
    }

    #[tokio::test]
    async fn nothing_moves_while_a_server_is_paused() {
        let server = NatsServer::start().await.unwrap();
        let client = server.client().await.unwrap();
        server.pause().await.unwrap();
        let settled = crate::wrpc::settle(&client);
        let waited = tokio::time::timeout(Duration::from_millis(100), settled).await;
        assert!(waited.is_err(), "it answered");
        server.resume().await.unwrap();
        crate::wrpc::settle(&client).await.unwrap();
    }

    #[tokio::test]
    async fn two_servers_do_not_get_in_each_other_s_way() {
        let one = NatsServer::start().await.unwrap();
        let two = NatsServer::start().await.unwrap();
        assert_ne!(one.port(), two.port());
    }

    #[tokio::test]
    async fn a_program_that_is_no_server_is_an_error() {
        let error = NatsServer::start_binary(Path::new("/bin/false")).await;
        assert!(error
            .unwrap_err()
            .to_string()
            .contains("ended unexpectedly"));
    }
}
