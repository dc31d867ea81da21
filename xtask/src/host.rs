//! Programs that are built here.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::command::{minutes, text};
use crate::without;

/// How to build, as the manifest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For tests.
    Dev,
    /// For who waits for it.
    Release,
    /// For production and for figures: optimised as a whole.
    Dist,
}

impl Profile {
    /// What Cargo calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }
}

/// A build that takes less has found everything built.
const WORTH_SAYING: Duration = Duration::from_secs(5);

/// Runs `command`, a `cargo build`, and returns where the executable `name` is.
///
/// # Errors
///
/// When it does not build, or builds no such executable.
pub fn build(command: Command, name: &str) -> anyhow::Result<PathBuf> {
    executables(command, [name]).map(|[path]| path)
}

/// As [`build`], for several executables.
///
/// # Errors
///
/// As for [`build`].
pub fn executables<const N: usize>(
    mut command: Command,
    names: [&str; N],
) -> anyhow::Result<[PathBuf; N]> {
    // Cargo says on standard output, as JSON, what it has built.
    command.args(["--message-format", "json-render-diagnostics"]);
    let start = Instant::now();
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", text(&command)))?;
    if !output.status.success() {
        let hint = without::cause();
        bail!(
            "`{}` failed ({}). {}",
            text(&command),
            output.status,
            hint.as_deref().unwrap_or("The messages above say why."),
        );
    }
    if start.elapsed() > WORTH_SAYING {
        let built = names.join(" and ");
        eprintln!("Built {built} in {}.", minutes(start.elapsed()));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut paths = std::array::from_fn(|_| PathBuf::new());
    for (path, name) in paths.iter_mut().zip(names) {
        *path = executable(&messages, name)
            .with_context(|| format!("cargo built {name} but did not say where it put it"))?;
    }
    Ok(paths)
}

/// The executable `name` in Cargo's messages, one JSON object a line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines();
    let messages = messages.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == name)
        // When tests are built, the executable with the program's own unit tests has its name too.
        .filter(|message| message["profile"]["test"] != true)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargo_s_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"wasmcloud"},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","target":{"name":"wasmcloud"},"executable":"/t/wasmcloud"}"#,
        );
        let found = executable(messages, "wasmcloud");
        assert_eq!(found, Some(PathBuf::from("/t/wasmcloud")));
        assert_eq!(executable("", "wasmcloud"), None);
    }

    #[test]
    fn unit_tests_are_not_taken_for_the_program() {
        let messages = concat!(
            r#"{"target":{"name":"wasmcloud"},"profile":{"test":true},"executable":"/t/wasmcloud-1"}"#,
            "\n",
            r#"{"target":{"name":"wasmcloud"},"profile":{"test":false},"executable":"/t/wasmcloud"}"#,
        );
        let found = executable(messages, "wasmcloud");
        assert_eq!(found, Some(PathBuf::from("/t/wasmcloud")));
    }
}
