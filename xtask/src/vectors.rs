//! `cargo xtask vectors`: values and their encoding by the published crates, for the tests of our codec.
//!
//! They are committed, so that the tests need neither the published crates nor the time to build them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{ensure, Context as _};
use clap::Args;
use xtask::workspace::workspace_root;

use xtask::command::output;
use xtask::host::Profile;
use xtask::stock;

/// Where the vectors are, relative to the workspace.
const FILE: &str = "host-integration/wrpc-runtime-wasmtime/tests/data/wire-vectors.json";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only check that the vectors are what the published crates make
    #[arg(long)]
    check: bool,
}

/// Has the published crates make the vectors, and writes them to the repository or compares.
///
/// # Errors
///
/// When the published crates do not build or do not agree with each other, and with `--check` when the committed
/// vectors are others.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    eprintln!("Building the published crates. From nothing this takes some minutes.");
    let generator = stock::all(Profile::Dev)?.vectors;
    if arguments.check {
        return check(&generator);
    }
    let made = make(&generator)?;
    fs::write(workspace_root().join(FILE), &made)
        .with_context(|| format!("cannot write {FILE}"))?;
    println!("{FILE}: {} bytes", made.len());
    Ok(())
}

/// Compares the committed vectors with what `generator` makes.
///
/// # Errors
///
/// When they differ, or when the published crates do not agree with each other.
pub(crate) fn check(generator: &Path) -> anyhow::Result<()> {
    let committed = workspace_root().join(FILE);
    let committed =
        fs::read_to_string(&committed).with_context(|| format!("cannot read {FILE}"))?;
    ensure!(
        committed == make(generator)?,
        "{FILE} is not what the published crates make. Run `cargo xtask vectors` and look at what it changes before \
         committing it"
    );
    println!("{FILE} is what the published crates make.");
    Ok(())
}

/// What `generator` writes.
fn make(generator: &Path) -> anyhow::Result<String> {
    let hint = "What it says above is about the published crates: they do not agree.";
    output(&mut Command::new(generator), hint)
}
