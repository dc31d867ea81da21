//! Starting a host process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

use super::{Backend, Host, LocalDispatch};
use crate::control::Control;
use crate::log::Log;
use crate::nats::NatsServer;
use crate::process::Process;

/// How long a host may take until it answers. A debug build on a busy machine needs some seconds.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// The label by which the host that was started is told from others in its lattice.
const LABEL: &str = "inhost-testbed";

/// What the log line that says the status address contains.
const STATUS_LINE: &str = "is listed at http://";

/// A host to start.
///
/// By default: lattice `default`, files may be loaded, a status address on a free port, in-host invocation as
/// the host itself has it by default. The host does not see the environment's `WASMCLOUD_*`, `OTEL_*`
/// and `RUST_*` variables.
#[derive(Clone, Debug)]
pub struct HostBuilder {
    binary: PathBuf,
    lattice: String,
    local_dispatch: Option<LocalDispatch>,
    backend: Option<Backend>,
    status: bool,
    log_file: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl HostBuilder {
    pub(super) fn new(binary: PathBuf) -> Self {
        Self {
            binary,
            lattice: "default".to_owned(),
            local_dispatch: None,
            backend: None,
            status: true,
            log_file: None,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The lattice that the host joins.
    #[must_use]
    pub fn lattice(mut self, lattice: impl Into<String>) -> Self {
        self.lattice = lattice.into();
        self
    }

    /// Which way calls go.
    #[must_use]
    pub fn local_dispatch(mut self, mode: LocalDispatch) -> Self {
        self.local_dispatch = Some(mode);
        self
    }

    /// What carries calls in memory.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Whether the host has a status address. Turn it off for a stock host, which knows no such option.
    #[must_use]
    pub fn status(mut self, status: bool) -> Self {
        self.status = status;
        self
    }

    /// A file to which the host's log is written too.
    #[must_use]
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_file = Some(path.into());
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts the host, connected to `nats`, and waits until it answers on the control interface.
    ///
    /// # Errors
    ///
    /// When the program cannot be run, ends early, or is not ready within 60 seconds. The error carries the
    /// last log lines.
    pub async fn start(self, nats: &NatsServer) -> anyhow::Result<Host> {
        let log = match &self.log_file {
            Some(path) => Log::to_file(path)?,
            None => Log::new(),
        };
        let label = unique_label();
        let mut process = Process::spawn("the host", self.command(nats.port(), &label), log)?;
        let control = Control::new(nats.client().await?, &self.lattice);
        let log = process.log().clone();
        let ready = async {
            let id = find_host(&control, &label).await?;
            let status = match self.status {
                true => Some(find_status(&log).await?),
                false => None,
            };
            anyhow::Ok((id, status))
        };
        let (id, status) = tokio::select! {
            ready = tokio::time::timeout(START_DEADLINE, ready) => match ready {
                Ok(ready) => ready?,
                Err(_) => anyhow::bail!(
                    "the host was not ready within {START_DEADLINE:?}. Its last lines:\n{}",
                    log.tail(30)
                ),
            },
            ended = process.ended() => return Err(ended),
        };
        tracing::debug!(id, lattice = self.lattice, "started a host");
        Ok(Host {
            process,
            id,
            lattice: self.lattice,
            status,
        })
    }

    fn command(&self, nats_port: u16, label: &str) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            // `RUST_LOG` could keep the host from saying its status address, and with
            // `RUST_BACKTRACE` each error takes its time.
            if ["WASMCLOUD_", "OTEL_", "RUST_"]
                .iter()
                .any(|it| text.starts_with(it))
            {
                command.env_remove(&name);
            }
        }
        command
            .env("NO_COLOR", "1")
            .arg("--nats-host=127.0.0.1")
            .arg(format!("--nats-port={nats_port}"))
            .arg(format!("--lattice={}", self.lattice))
            .arg(format!("--label={LABEL}={label}"))
            .arg("--allow-file-load");
        if self.status {
            command.arg("--local-status=127.0.0.1:0");
        }
        if let Some(mode) = self.local_dispatch {
            command.arg(format!("--local-dispatch={mode}"));
        }
        if let Some(backend) = self.backend {
            command.arg(format!("--local-backend={backend}"));
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A label that no other host has.
fn unique_label() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}", std::process::id())
}

/// Asks until the host with `label` answers, and returns its id.
async fn find_host(control: &Control, label: &str) -> anyhow::Result<String> {
    loop {
        for host in control.ping().await? {
            if host["labels"][LABEL] == label {
                let id = host["id"].as_str().context("a host has no id")?;
                return Ok(id.to_owned());
            }
        }
    }
}

/// Waits for the log line in which the host says its status address.
async fn find_status(log: &Log) -> anyhow::Result<SocketAddr> {
    // The caller has a deadline of its own.
    let line = log.wait_for(STATUS_LINE, START_DEADLINE).await?;
    status_address(&line).with_context(|| format!("there is no address in the line {line:?}"))
}

/// The last `IP:PORT` in `line`, possibly in a URL or in quotes.
fn status_address(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '/' | ','))
        .filter_map(|word| word.parse().ok())
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_address_is_read_in_any_dress() {
        for line in [
            "INFO it is listed at http://127.0.0.1:4321/",
            "INFO it is listed at http://127.0.0.1:4321/ address=127.0.0.1:4321",
            "{\"address\":\"127.0.0.1:4321\",\"message\":\"it is listed at http://127.0.0.1:4321/\"}",
        ] {
            let address = status_address(line).expect(line);
            assert_eq!(address, "127.0.0.1:4321".parse().unwrap());
        }
        assert_eq!(status_address("it is not listed"), None);
    }

    #[tokio::test]
    async fn a_host_that_ends_early_shows_its_log() {
        let nats = NatsServer::start().await.unwrap();
        let builder = Host::builder("sh");
        let error = builder.start(&nats).await.unwrap_err().to_string();
        assert!(error.contains("the host ended unexpectedly"), "{error}");
    }
}
