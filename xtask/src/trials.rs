//! The programs of `host-integration/trials`, the one in `benches/costs`, and the one beside the
//! fuzz targets: built here, and run in place of this one.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use xtask::command::{cargo, text};
use xtask::host;

/// What is passed on.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// See `--help`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) given: Vec<OsString>,
}

/// The program's package and name.
const PROGRAM: &str = "inhost-trials";

/// That in `benches/costs`.
const COSTS: &str = "inhost-bench-costs";

/// That beside the fuzz targets.
const FUZZ: &str = "inhost-codec-fuzz-runner";

/// Builds the program and returns where it is. Cargo's progress goes to the terminal.
///
/// Cargo is asked for it among all packages, so that what it depends on is built with the features that it has in
/// `cargo xtask test`: once for both.
///
/// # Errors
///
/// When it does not build.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let command = cargo(&["build", "--workspace", "--bin", PROGRAM]);
    host::build(command, PROGRAM)
}

/// Builds the program that compares what calls cost with what is on record, optimised, and becomes it.
///
/// # Errors
///
/// When it does not build, or cannot be run.
pub(crate) fn costs(arguments: &Arguments) -> anyhow::Result<()> {
    let command = cargo(&["build", "--release", "--workspace", "--bin", COSTS]);
    become_it(Command::new(host::build(command, COSTS)?).args(&arguments.given))
}

/// Builds the program that builds and runs the fuzz targets, and becomes it.
///
/// # Errors
///
/// When it does not build, or cannot be run.
pub(crate) fn fuzz(arguments: &Arguments) -> anyhow::Result<()> {
    let command = cargo(&["build", "--workspace", "--bin", FUZZ]);
    become_it(Command::new(host::build(command, FUZZ)?).args(&arguments.given))
}

/// Builds the program, and becomes what runs `trial`: exit code and signals are its own.
///
/// # Errors
///
/// When it does not build, or cannot be run.
pub(crate) fn run(trial: &str, arguments: &Arguments) -> anyhow::Result<()> {
    become_it(Command::new(build()?).arg(trial).args(&arguments.given))
}

fn become_it(command: &mut Command) -> anyhow::Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run `{}`", text(command)))
}
