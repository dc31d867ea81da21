//! A running host process.

mod builder;
mod options;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;

pub use builder::HostBuilder;
pub use options::{Backend, LocalDispatch};

use crate::counts::Counts;
use crate::http::get_json;
use crate::log::Log;
use crate::process::Process;
use crate::usage::Usage;

/// How long the host may take to end when it is asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A running host process.
///
/// Dropping it kills the process. If that happens because a test panics, the host's last log lines are
/// printed.
#[derive(Debug)]
pub struct Host {
    process: Process,
    id: String,
    lattice: String,
    status: Option<SocketAddr>,
}

impl Host {
    /// Describes a host to start from the program `binary`.
    #[must_use]
    pub fn builder(binary: impl Into<std::path::PathBuf>) -> HostBuilder {
        HostBuilder::new(binary.into())
    }

    /// Describes a stock host to start from the program `binary`: one that has no `--local-…` options, and so no
    /// status.
    #[must_use]
    pub fn stock(binary: impl Into<std::path::PathBuf>) -> HostBuilder {
        Self::builder(binary).status(false)
    }

    /// The host's id in the lattice: its public key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The lattice that the host belongs to.
    #[must_use]
    pub fn lattice(&self) -> &str {
        &self.lattice
    }

    /// The id of the process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What the process uses of the machine.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(self.process.id())
    }

    /// The address at which the host lists what it serves and counts its calls, if it was started with one.
    #[must_use]
    pub fn status_address(&self) -> Option<SocketAddr> {
        self.status
    }

    /// What the host says about itself: which functions it serves locally, and how many calls went which way
    /// (`["calls"]`).
    ///
    /// # Errors
    ///
    /// When the host was started without a status address, or does not answer with JSON.
    pub async fn status(&self) -> anyhow::Result<serde_json::Value> {
        let address = self
            .status
            .context("this host was started without --local-status, so it has no status to read")?;
        get_json(address, "/").await
    }

    /// How many outgoing calls of the host's components went which way.
    ///
    /// # Errors
    ///
    /// As for [`Host::status`], and when there are no such numbers.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        Counts::read(&self.status().await?)
    }

    /// What the host has written.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.process.log()
    }

    /// The lines that the host has written, oldest first.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.log().lines()
    }

    /// Waits until the host has written a line that contains `text`, and returns it.
    ///
    /// # Errors
    ///
    /// When there is none within `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for_log(&self, text: &str, deadline: Duration) -> anyhow::Result<String> {
        self.log().wait_for(text, deadline).await
    }

    /// Waits until the process ends, and returns an error that says how it ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn ended(&mut self) -> anyhow::Error {
        self.process.ended().await
    }

    /// Asks the host to stop (`SIGTERM`), and does not wait for that.
    pub fn ask_to_stop(&self) {
        self.process.ask_to_end();
    }

    /// Waits for the host to end by itself, and returns its exit code.
    ///
    /// # Errors
    ///
    /// When the host has to be killed after `deadline`, or was ended by a signal.
    pub async fn ends(&mut self, deadline: Duration) -> anyhow::Result<i32> {
        let status = self.process.ends(deadline).await?;
        let code = status.code();
        code.with_context(|| format!("the host ended with {status}"))
    }

    /// Asks the host to stop (`SIGTERM`), waits for that, and returns its log.
    ///
    /// # Errors
    ///
    /// When the host has to be killed after 30 seconds, or ends with a failure.
    pub async fn stop(mut self) -> anyhow::Result<Log> {
        let status = self.process.terminate(STOP_DEADLINE).await?;
        let log = self.log().clone();
        anyhow::ensure!(
            status.success(),
            "the host ended with {status}. Its last lines:\n{}",
            log.tail(30)
        );
        Ok(log)
    }
}

impl Drop for Host {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it with the failed test"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- the last lines of host {}:\n{}",
                self.id,
                self.log().tail(50)
            );
        }
    }
}
