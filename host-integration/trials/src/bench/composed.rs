//! Caller and callee in one component, composed ahead of time by [`xtask::components`].

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use inhost_testbed::Guest;
use tempfile::TempDir;

use xtask::command::run;

/// Composed components, as references by which a host starts them. The files go with this value.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) pair: String,
    pub(crate) chain: String,
    pub(crate) http: String,
    _files: TempDir,
}

impl Composed {
    /// Has `program` compose what the workloads need.
    ///
    /// # Errors
    ///
    /// When a component does not fit the one that calls it, or when a file cannot be written.
    pub(crate) fn make(program: &Path) -> anyhow::Result<Self> {
        let files = tempfile::tempdir().context("cannot create a folder for components")?;
        let compose = |name: &str, guests: &[Guest]| -> anyhow::Result<String> {
            let output = files.path().join(format!("{name}.wasm"));
            let mut command = Command::new(program);
            command
                .arg("compose")
                .arg(&output)
                .args(guests.iter().map(|guest| guest.path()));
            run(&mut command, "The message above says why.")?;
            Ok(format!("file://{}", output.display()))
        };
        Ok(Self {
            pair: compose("pair", &[Guest::Caller, Guest::Callee])?,
            chain: compose("chain", &[Guest::Caller, Guest::Middle, Guest::Callee])?,
            http: compose("http", &[Guest::Http, Guest::Callee])?,
            _files: files,
        })
    }
}
