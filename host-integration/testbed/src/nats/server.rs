//! Starting and stopping a nats-server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{ensure, Context as _};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use super::search::Search;
use crate::http::get_json;
use crate::log::Log;
use crate::process::Process;

/// How long the server may take to be ready, and to end.
const DEADLINE: Duration = Duration::from_secs(20);

/// How often a condition that cannot be awaited is looked at again.
const POLL: Duration = Duration::from_millis(10);

/// A running nats-server with JetStream, on free ports of the loopback interface.
///
/// Dropping it kills the server and removes its files.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    client: SocketAddr,
    monitor: SocketAddr,
    // After the process: the server is gone when its files go.
    _files: TempDir,
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
        let files = tempfile::Builder::new()
            .prefix("inhost-nats-")
            .tempdir()
            .context("cannot create a folder for the nats-server")?;
        let ports = files.path().join("ports");
        std::fs::create_dir(&ports)?;
        let mut command = Command::new(binary);
        // Port -1 is a free port that the server picks itself: nothing can take it in between.
        command
            .args(["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-js", "-sd"])
            .arg(files.path().join("jetstream"))
            .arg("--ports_file_dir")
            .arg(&ports);
        let mut process = Process::spawn("the nats-server", command, Log::new())?;

        let ready = async {
            let ports = read_ports(&ports).await?;
            let client = loopback(&ports.nats)?;
            let monitor = loopback(&ports.monitoring)?;
            while tokio::net::TcpStream::connect(client).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
            anyhow::Ok((client, monitor))
        };
        let (client, monitor) = tokio::select! {
            ready = tokio::time::timeout(DEADLINE, ready) => ready.with_context(|| {
                format!("the nats-server was not ready within {DEADLINE:?}")
            })??,
            ended = process.ended() => return Err(ended),
        };
        tracing::debug!(%client, binary = %binary.display(), "started a nats-server");
        Ok(Self {
            process,
            client,
            monitor,
            _files: files,
        })
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

    /// What the server has written.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.process.log()
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
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.process.terminate(DEADLINE).await.map(drop)
    }
}

/// Reads the file in which the server says its ports. It comes a moment after the start.
async fn read_ports(folder: &Path) -> anyhow::Result<Ports> {
    loop {
        for entry in std::fs::read_dir(folder)? {
            // A file that is still being written does not parse.
            let content = std::fs::read(entry?.path())?;
            if let Ok(ports) = serde_json::from_slice(&content) {
                return Ok(ports);
            }
        }
        tokio::time::sleep(POLL).await;
    }
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

        let files = server._files.path().to_owned();
        server.stop().await.unwrap();
        assert!(!files.exists());
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

    #[test]
    fn addresses_are_read_from_urls() {
        let address = loopback(&["nats://127.0.0.1:4222".to_owned()]).unwrap();
        assert_eq!(address.port(), 4222);
        assert!(loopback(&["nats://192.0.2.1:4222".to_owned()]).is_err());
        assert!(loopback(&[]).is_err());
    }
}
