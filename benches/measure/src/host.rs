//! The host that is started: one that is built here, or a given one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use xtask::command::cargo;
use xtask::host::{build, Profile};

/// Which host to start.
#[derive(Debug, Args)]
pub struct HostArguments {
    /// Start this host, which has to have both backends, instead of building one
    #[arg(long = "host", value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl HostArguments {
    /// Whether there is nothing to build.
    pub(crate) fn is_given(&self) -> bool {
        self.binary.is_some()
    }

    /// Where the host is. Builds it unless one is given.
    ///
    /// # Errors
    ///
    /// When it does not build.
    pub fn binary(&self) -> anyhow::Result<PathBuf> {
        self.binary_of(Profile::Release)
    }

    /// As [`HostArguments::binary`], in another profile.
    pub(crate) fn binary_of(&self, profile: Profile) -> anyhow::Result<PathBuf> {
        given(self.binary.as_deref(), || build_host(profile))
    }
}

/// The program at `path`, or the one that `build` builds when none is given.
///
/// # Errors
///
/// Those of `build`, and that `path` is empty.
pub fn given(
    path: Option<&Path>,
    build: impl FnOnce() -> anyhow::Result<PathBuf>,
) -> anyhow::Result<PathBuf> {
    match path {
        // Relative to where the user is, not to where it is started.
        Some(path) => std::path::absolute(path)
            .with_context(|| format!("{} is not the path of a program", path.display())),
        None => build(),
    }
}

/// Builds the host and returns where it is. Cargo's progress goes to the terminal.
///
/// The package and its features are those of a plain `cargo build`: whoever has done that does not wait again.
fn build_host(profile: Profile) -> anyhow::Result<PathBuf> {
    eprintln!("Building the host. From nothing this takes some minutes.");
    let mut command = cargo(&["build", "--package", "wasmcloud"]);
    command.args(["--profile", profile.name()]);
    build(command, "wasmcloud")
}
