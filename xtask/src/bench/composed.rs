//! Caller and callee in one component, composed ahead of time by the program in `benches/compose`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use inhost_testbed::{target_dir, Guest};
use tempfile::TempDir;

use crate::command::{cargo, run};
use crate::host::build as cargo_build;

/// Composed components, as references by which a host starts them. The files go with this value.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) pair: String,
    pub(crate) chain: String,
    pub(crate) http: String,
    _files: TempDir,
}

impl Composed {
    /// Builds the program that composes, and returns where it is.
    ///
    /// # Errors
    ///
    /// When it does not build.
    pub(crate) fn build() -> anyhow::Result<PathBuf> {
        let mut command = cargo(&["build", "--locked", "--manifest-path"]);
        command.arg("benches/compose/Cargo.toml");
        command.arg("--target-dir").arg(target_dir());
        cargo_build(command, "compose")
    }

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
