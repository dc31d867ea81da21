//! The workspace's tasks: `cargo xtask demo`, `up`, `test`, `bench`, `soak`, `wash`, `lint`,
//! `tidy`, `guests`, `vectors`, `fuzz`.
//!
//! Each task is a module. [`command`] runs other programs, [`host`] builds the host, [`stage`] starts it,
//! [`measure`] measures it, [`report`] shows the figures.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks to its user"
)]

mod bench;
mod command;
mod demo;
mod fuzz;
mod guests;
mod help;
mod host;
mod lint;
mod measure;
mod progress;
mod report;
mod soak;
mod stage;
mod stock;
mod test;
mod tidy;
mod up;
mod vectors;
mod wash;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use stage::Interrupted;

/// The exit code of a command that was interrupted, as a shell has it for one that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Tasks of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = help::TASKS)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the host, run two components on it, and measure their calls over NATS and in memory
    #[command(after_help = help::DEMO)]
    Demo(demo::Arguments),
    /// Start a host with the two demo components and leave it running until Ctrl-C
    #[command(after_help = help::UP)]
    Up(up::Arguments),
    /// Build and test everything, end to end
    #[command(after_help = help::TEST)]
    Test,
    /// Compare calls on every route: over NATS, in memory, without a host
    #[command(after_help = help::BENCH)]
    Bench(bench::Arguments),
    /// Make many calls of many kinds on one host and check that none is lost and nothing is left
    #[command(after_help = help::SOAK)]
    Soak(soak::Arguments),
    /// Have the published wash and wadm drive the host, as a user's would
    #[command(after_help = help::WASH)]
    Wash(wash::Arguments),
    /// Check format, lints, documentation, dependencies and the rules of `tidy`
    #[command(after_help = help::LINT)]
    Lint,
    /// Build the demo components again; they are part of the repository
    #[command(after_help = help::GUESTS)]
    Guests(GuestsArguments),
    /// Have the published crates make the wire vectors again; they are part of the repository
    #[command(after_help = help::VECTORS)]
    Vectors(vectors::Arguments),
    /// Look for inputs that break the codec, for some minutes; needs a C++ compiler
    #[command(after_help = help::FUZZ)]
    Fuzz(fuzz::Arguments),
    /// Check the rules that ARCHITECTURE.md sets
    #[command(after_help = help::TIDY)]
    Tidy,
}

#[derive(Debug, clap::Args)]
struct GuestsArguments {
    /// Only check that the components belong to their sources
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Up(arguments) => up::run(&arguments),
        Task::Test => test::run(),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Wash(arguments) => wash::run(&arguments),
        Task::Lint => lint::run(),
        Task::Guests(GuestsArguments { check: true }) => guests::check(),
        Task::Guests(GuestsArguments { check: false }) => guests::build(),
        Task::Vectors(arguments) => vectors::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            match err.is::<Interrupted>() {
                true => ExitCode::from(INTERRUPTED),
                false => ExitCode::FAILURE,
            }
        }
    }
}
