//! The program in `host-integration/trials/components`, which makes components.

use std::path::PathBuf;

use crate::command::cargo;
use crate::host::build;
use crate::workspace::target_dir;

/// Builds the program and returns where it is. Cargo's progress goes to the terminal.
///
/// # Errors
///
/// When it does not build.
pub fn program() -> anyhow::Result<PathBuf> {
    let mut command = cargo(&["build", "--locked", "--manifest-path"]);
    command.arg("host-integration/trials/components/Cargo.toml");
    command.arg("--target-dir").arg(target_dir());
    build(command, "components")
}
