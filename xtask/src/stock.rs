//! The packages in `benches/stock`, which see the published crates where the workspace sees the drop-ins.

use std::path::PathBuf;

use inhost_testbed::target_dir;

use crate::command::cargo;
use crate::host::{build, Profile};

/// Builds the v1.5 host as published and returns where it is. Cargo's progress goes to the terminal.
///
/// It goes into the workspace's target directory: what it shares with our host is built once.
///
/// # Errors
///
/// When it does not build. From nothing that takes some minutes, and the crates have to be at hand or fetched.
pub(crate) fn host(profile: Profile) -> anyhow::Result<PathBuf> {
    package("stock-host", profile)
}

/// Builds the program that writes wire vectors and returns where it is.
///
/// # Errors
///
/// When it does not build.
pub(crate) fn vectors() -> anyhow::Result<PathBuf> {
    package("stock-vectors", Profile::Dev)
}

fn package(name: &str, profile: Profile) -> anyhow::Result<PathBuf> {
    let mut command = cargo(&["build", "--manifest-path", "benches/stock/Cargo.toml"]);
    command.args(["--package", name, "--locked", "--profile", profile.name()]);
    command.arg("--target-dir").arg(target_dir());
    build(command, name)
}
