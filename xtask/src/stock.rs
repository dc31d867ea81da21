//! The packages in `benches/stock`, which see the published crates where the workspace sees the drop-ins.

use std::path::PathBuf;

use crate::command::cargo;
use crate::host::{build, executables, Profile};
use crate::workspace::target_dir;

/// The programs of published crates.
#[derive(Clone, Debug)]
pub struct Published {
    /// The v1.5 host.
    pub host: PathBuf,
    /// What writes wire vectors.
    pub vectors: PathBuf,
}

/// Builds the v1.5 host as published and returns where it is. Cargo's progress goes to the terminal.
///
/// It goes into the workspace's target directory: what it shares with our host is built once.
///
/// # Errors
///
/// When it does not build. From nothing that takes some minutes, and the crates have to be at hand or fetched.
pub fn host(profile: Profile) -> anyhow::Result<PathBuf> {
    let mut command = command(profile);
    command.args(["--package", HOST]);
    build(command, HOST)
}

/// Builds both programs and returns where they are.
///
/// # Errors
///
/// As for [`host`].
pub fn all(profile: Profile) -> anyhow::Result<Published> {
    let mut command = command(profile);
    command.arg("--workspace");
    let [host, vectors] = executables(command, [HOST, VECTORS])?;
    Ok(Published { host, vectors })
}

const HOST: &str = "stock-host";

const VECTORS: &str = "stock-vectors";

fn command(profile: Profile) -> std::process::Command {
    let mut command = cargo(&["build", "--manifest-path", "benches/stock/Cargo.toml"]);
    command.args(["--locked", "--profile", profile.name()]);
    command.arg("--target-dir").arg(target_dir());
    command
}
