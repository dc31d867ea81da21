//! The program that calls a component without a host, and does what else needs a release build: `benches/worker`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{bail, Context as _};
use inhost_testbed::Usage;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::samples::Batch;

/// A running worker. It is killed when this is dropped, and ends when its input does.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts the program `binary`.
    ///
    /// # Errors
    ///
    /// When it cannot be run.
    pub(crate) fn start(binary: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt typed at a terminal is for this program, which then ends its children.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let input = process.stdin.take().context("the worker has no input")?;
        let output = process.stdout.take().context("the worker has no output")?;
        Ok(Self {
            process,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    /// What the process uses of the machine; `None` when it has ended.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.process.id().map(Usage::of)
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    ///
    /// When the worker says that it failed, or when it has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an answer behind, which the next request would take for its own.
    pub(crate) async fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        let line = format!("{request}\n");
        self.input.write_all(line.as_bytes()).await?;
        let answer = self.output.next_line().await?;
        let answer = answer.with_context(|| format!("the worker ended while it did {request}"))?;
        let answer: Value = serde_json::from_str(&answer)?;
        match answer["error"].as_str() {
            Some(error) => bail!("the worker could not do {request}: {error}"),
            None => Ok(answer),
        }
    }

    /// Asks for calls, and waits until they have been made.
    ///
    /// # Errors
    ///
    /// As for [`Worker::ask`].
    pub(crate) async fn calls(&mut self, request: &Value) -> anyhow::Result<Batch> {
        let mut answer = self.ask(request).await?;
        let durations = serde_json::from_value(answer["durations"].take())?;
        let wall = answer["wall_ns"].as_u64().unwrap_or_default();
        Ok(Batch {
            durations,
            wall: Duration::from_nanos(wall),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A script that answers each line as `sed` rewrites it.
    fn script(folder: &Path, rewrite: &str) -> Worker {
        use std::os::unix::fs::PermissionsExt as _;

        let path = folder.join("worker");
        std::fs::write(&path, format!("#!/bin/sh\nexec sed -u '{rewrite}'\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Worker::start(&path).unwrap()
    }

    #[tokio::test]
    async fn answers_are_read_and_errors_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = script(folder.path(), "s/.*no.*/{\"error\":\"cannot\"}/");
        let request = json!({ "durations": [1, 2], "wall_ns": 5 });
        let batch = worker.calls(&request).await.unwrap();
        assert_eq!(batch.durations, [1, 2]);
        assert_eq!(batch.wall, Duration::from_nanos(5));
        let error = worker.ask(&json!("no")).await.unwrap_err().to_string();
        assert!(error.ends_with("could not do \"no\": cannot"), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_has_ended_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut worker = script(folder.path(), "q 3");
        worker.ask(&json!({})).await.unwrap();
        assert!(worker.ask(&json!({})).await.is_err());
    }
}
