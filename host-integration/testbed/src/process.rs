//! A child process that does not outlive its parent.
//!
//! Dropping a [`Process`] kills it. That is not enough when the parent itself is killed, as nothing is dropped
//! then. So each process has a watchdog: a shell that reads from a pipe whose other end the parent holds. When
//! the parent goes, for whatever reason, the shell reads the end of the pipe and kills the process's group.
//! The process and its watchdog are in groups of their own: an interrupt typed at a terminal reaches only the
//! parent, which then stops its children in order.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::log::Log;
use crate::signal::signal;

/// How long the last lines of a process that has ended may take to arrive.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a process that is killed may take to end.
const KILL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    id: u32,
    child: Child,
    watchdog: Option<Child>,
    log: Log,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`. What it writes goes to `log`.
    pub(crate) fn spawn(
        name: &'static str,
        mut command: Command,
        log: Log,
    ) -> anyhow::Result<Self> {
        let program = command.as_std().get_program().to_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {name}: is {} a program that this machine can run?",
                    program.to_string_lossy()
                )
            })?;
        let id = child
            .id()
            .with_context(|| format!("{name} ended as it started"))?;
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(log.clone().read_from(stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(log.clone().read_from(stderr)));
        }
        Ok(Self {
            name,
            id,
            child,
            watchdog: Some(watchdog(id)?),
            log,
            readers,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Waits until the process ends by itself, and returns an error that tells how, with its last log lines.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(err) => err.to_string(),
        };
        self.watchdog = None;
        self.drain().await;
        anyhow::anyhow!(
            "{} ended unexpectedly ({how}). Its last lines:\n{}",
            self.name,
            self.log.tail(30)
        )
    }

    /// Asks the process to end (`SIGTERM`).
    ///
    /// It has not been waited for, so its id is still its own.
    pub(crate) fn ask_to_end(&self) {
        if !signal("TERM", self.id) {
            tracing::warn!(name = self.name, id = self.id, "SIGTERM could not be sent");
        }
    }

    /// Asks the process to end (`SIGTERM`) and waits for it.
    ///
    /// When it is still there after `deadline` it is killed, and that is an error.
    pub(crate) async fn terminate(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            self.watchdog = None;
            return Ok(status);
        }
        self.ask_to_end();
        self.ends(deadline).await
    }

    /// Waits for the process to end.
    ///
    /// When it is still there after `deadline` it is killed, and that is an error.
    pub(crate) async fn ends(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(deadline, self.child.wait()).await;
        self.watchdog = None;
        let Ok(status) = ended else {
            self.child.kill().await?;
            bail!(
                "{} did not end within {deadline:?} of being asked to, and was killed. Its last lines:\n{}",
                self.name,
                self.log.tail(30)
            );
        };
        self.drain().await;
        Ok(status?)
    }

    /// Waits for the last lines of a process that has ended.
    async fn drain(&mut self) {
        for reader in self.readers.drain(..) {
            // A grandchild may hold the pipe open: then the lines that came so far have to do.
            let _ = tokio::time::timeout(DRAIN, reader).await;
        }
    }
}

impl Drop for Process {
    /// Kills the process and waits a moment for its end, so that it is gone when the files that it uses are
    /// removed.
    fn drop(&mut self) {
        let end = Instant::now() + KILL;
        let _ = self.child.start_kill();
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A shell that kills the group of process `id` when this process ends.
fn watchdog(id: u32) -> anyhow::Result<Child> {
    let script = "read -r _; kill -s KILL -- \"-$1\" 2>/dev/null";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(id.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("cannot start sh, which watches over the processes that are started")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        Process::spawn("a script", command, Log::new()).unwrap()
    }

    #[tokio::test]
    async fn an_early_end_shows_the_last_lines() {
        let mut process = script("echo one; echo two >&2; exit 3");
        let error = process.ended().await.to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("one") && error.contains("two"), "{error}");
    }

    #[tokio::test]
    async fn terminate_asks_first() {
        let deadline = Duration::from_secs(20);
        let mut process =
            script("trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
        process.log().wait_for("ready", deadline).await.unwrap();
        assert_eq!(process.terminate(deadline).await.unwrap().code(), Some(5));
        assert!(process.log().find(|line| line == "asked").is_some());
    }

    #[tokio::test]
    async fn terminate_kills_what_does_not_listen() {
        let mut process = script("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        let ready = process.log().wait_for("ready", Duration::from_secs(20));
        ready.await.unwrap();
        let error = process.terminate(Duration::from_millis(100)).await;
        assert!(error.unwrap_err().to_string().contains("was killed"));
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone() {
        let process = script("trap '' TERM; sleep 1000");
        let id = process.id();
        drop(process);
        assert!(!signal("0", id));
    }

    #[tokio::test]
    async fn the_watchdog_kills_the_group_when_its_pipe_ends() {
        let mut process = script("echo ready; sleep 1000");
        let ready = process.log().wait_for("ready", Duration::from_secs(20));
        ready.await.unwrap();
        // What the kernel does when the parent is killed.
        drop(process.watchdog.as_mut().unwrap().stdin.take());
        let error = tokio::time::timeout(Duration::from_secs(20), process.ended())
            .await
            .expect("the watchdog kills the process");
        assert!(error.to_string().contains("signal: 9"), "{error}");
    }
}
