//! Someone who types `wash` commands: with a home, a lattice, and perhaps a host of their own.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{bail, ensure, Context as _};
use inhost_testbed::{found, get_json, kill, runs, until, NatsServer};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// How long a command of `wash` may take. It starts components, which compiles them.
const COMMAND: Duration = Duration::from_secs(120);

/// How long the host may take to be there, and to be gone.
const DEADLINE: Duration = Duration::from_secs(30);

/// The release of the host, for `wash up`, which would else ask the internet for the newest.
const RELEASE: &str = "v1.5.1";

/// Where `wash` writes down the ids of the processes that `wash up` starts.
const HOST_ID: &str = "wasmcloud.pid";
pub(super) const WADM_ID: &str = "wadm.pid";

/// Variables of whoever runs this that are not those of the user: for `wash`, the host, `wadm` or
/// NATS, and for where files are.
const FOREIGN: [&str; 7] = [
    "WASMCLOUD_",
    "WASH_",
    "WADM_",
    "NATS_",
    "OTEL_",
    "XDG_",
    "RUST_LOG",
];

/// A user. Dropping one kills what `wash up` has started.
#[derive(Debug)]
pub(super) struct User {
    wash: PathBuf,
    lattice: String,
    nats_port: u16,
    home: TempDir,
    host: Option<StartedHost>,
}

/// The host that `wash up` has started.
#[derive(Debug)]
struct StartedHost {
    process: u32,
    status: SocketAddr,
}

impl User {
    /// A user of `wash` in `lattice`, who has run nothing yet.
    pub(super) fn new(wash: &Path, nats: &NatsServer, lattice: &str) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("inhost-wash-")
            .tempdir()
            .context("cannot create a home for wash")?;
        Ok(Self {
            wash: wash.to_owned(),
            lattice: lattice.to_owned(),
            nats_port: nats.port(),
            home,
            host: None,
        })
    }

    /// Where `wash` puts logs, the ids of processes, and programs that it has downloaded.
    pub(super) fn downloads(&self) -> PathBuf {
        self.home.path().join(".wash").join("downloads")
    }

    /// Runs `wash` with `arguments`, and returns the JSON that it prints.
    ///
    /// # Errors
    ///
    /// When it ends with a failure, says that it had none, or takes too long. The error has the command and its output.
    pub(super) async fn wash(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        self.wash_with(arguments, &[]).await
    }

    async fn wash_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        // Not to pipes: what `wash up` leaves running would hold them open.
        let [mut stdout, mut stderr] = [tempfile::tempfile()?, tempfile::tempfile()?];
        let status = self
            .command()
            .args(arguments)
            .args(["--output", "json"])
            .envs(variables.iter().copied())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .status();
        let status = tokio::time::timeout(COMMAND, status).await;
        let shown = format!("`wash {}`", arguments.join(" "));
        let status = status.with_context(|| format!("{shown} took more than {COMMAND:?}"))?;
        let status = status.with_context(|| format!("cannot run {}", self.wash.display()))?;
        let stdout = whole(&mut stdout)?;
        let answer = answer(&stdout);
        let succeeded = answer.as_ref().is_some_and(|it| it["success"] == true);
        match answer {
            Some(answer) if status.success() && succeeded => Ok(answer),
            _ => bail!(
                "{shown} failed ({status}):\n{stdout}{}",
                whole(&mut stderr)?
            ),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.wash);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if FOREIGN.iter().any(|foreign| text.starts_with(foreign)) {
                command.env_remove(&name);
            }
        }
        let port = self.nats_port.to_string();
        command
            .env("HOME", self.home.path())
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "0")
            .env("WASMCLOUD_LATTICE", &self.lattice)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for variable in ["WASMCLOUD_CTL_PORT", "WASMCLOUD_RPC_PORT"] {
            command.env(variable, &port);
        }
        command
    }

    /// Starts `host` with `wash up`, and waits until it can be asked. `variables` are for the host.
    pub(super) async fn up(
        &mut self,
        host: &Path,
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let host = host.to_string_lossy();
        let port = self.nats_port.to_string();
        let mut arguments = vec![
            "up",
            "--detached",
            "--nats-connect-only",
            "--nats-host=127.0.0.1",
            "--nats-port",
            &port,
            "--wasmcloud-version",
            RELEASE,
            "--host-path",
            &*host,
        ];
        arguments.extend(more);
        let mut variables = variables.to_vec();
        variables.push(("WASMCLOUD_LOCAL_STATUS", "127.0.0.1:0"));
        self.wash_with(&arguments, &variables).await?;
        let process = self.id_in(HOST_ID)?;
        let ready = async {
            let status = found("the host has no listing", DEADLINE, async || {
                let address = listing_address(&self.host_log());
                ensure!(address.is_some() || runs(process), "the host has ended");
                Ok(address)
            });
            let status = status.await?;
            until("there is no host", DEADLINE, async || {
                Ok(self.hosts().await?.len() == 1)
            })
            .await?;
            Ok(status)
        };
        let status: anyhow::Result<_> = ready.await;
        let status = status.with_context(|| format!("its log:\n{}", self.host_log()))?;
        self.host = Some(StartedHost { process, status });
        Ok(())
    }

    /// Waits until the host that `wash up` has started is gone, once it was asked to end.
    pub(super) async fn host_is_gone(&mut self) -> anyhow::Result<()> {
        let process = self.host()?.process;
        until("the host still runs", DEADLINE, async || Ok(!runs(process)))
            .await
            .with_context(|| format!("its log:\n{}", self.host_log()))?;
        self.host = None;
        // Only `wash down` removes it, and the id may soon be another process's.
        let _ = fs::remove_file(self.downloads().join(HOST_ID));
        Ok(())
    }

    /// What the host has written.
    pub(super) fn host_log(&self) -> String {
        fs::read_to_string(self.downloads().join("wasmcloud.log")).unwrap_or_default()
    }

    /// What `wash` has written down as the id of a process, if anything.
    pub(super) fn id_in(&self, file: &str) -> anyhow::Result<u32> {
        let path = self.downloads().join(file);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("wash has not written {}", path.display()))?;
        process_id(&text).with_context(|| format!("there is no id in {}: {text}", path.display()))
    }

    /// The hosts of the lattice, as `wash get hosts` has them.
    pub(super) async fn hosts(&self) -> anyhow::Result<Vec<Value>> {
        let answer = self.wash(&["get", "hosts"]).await?;
        let hosts = answer["hosts"].as_array();
        Ok(hosts.context("`wash get hosts` lists no hosts")?.clone())
    }

    /// The components and providers on the one host, as `wash get inventory` has them.
    pub(super) async fn inventory(&self) -> anyhow::Result<Value> {
        let mut answer = self.wash(&["get", "inventory"]).await?;
        let inventories = answer["inventories"].as_array();
        let count = inventories.map_or(0, Vec::len);
        ensure!(count == 1, "there are {count} inventories: {answer}");
        Ok(answer["inventories"][0].take())
    }

    /// What the host lists at its status address.
    pub(super) async fn listing(&self) -> anyhow::Result<Value> {
        get_json(self.host()?.status, "/").await
    }

    fn host(&self) -> anyhow::Result<&StartedHost> {
        self.host.as_ref().context("`wash up` has started no host")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let host = self.host.as_ref().map(|host| host.process);
        // What was started a moment ago is known from the files only.
        let files = [HOST_ID, WADM_ID];
        let started = files.iter().filter_map(|file| self.id_in(file).ok());
        for process in host.into_iter().chain(started) {
            kill(process);
        }
    }
}

/// What was written to `file`.
fn whole(file: &mut File) -> anyhow::Result<String> {
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .context("the output of wash is not text")?;
    Ok(text)
}

/// The JSON in what `wash` prints; there may be words before it.
fn answer(stdout: &str) -> Option<Value> {
    let start = stdout.find('{')?;
    serde_json::from_str(&stdout[start..]).ok()
}

/// The id in a file of `wash`: a number, or JSON with it as `pid`.
fn process_id(text: &str) -> Option<u32> {
    let json: Value = serde_json::from_str(text.trim()).ok()?;
    let number = json.as_u64().or_else(|| json["pid"].as_u64())?;
    u32::try_from(number).ok()
}

/// The address of the listing in the log of a host.
fn listing_address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("is listed at http://")?;
    rest.split_once('/')?.0.parse().ok()
}
