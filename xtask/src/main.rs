//! The workspace's tasks: `cargo xtask demo`, `up`, `test`, `bench`, `soak`, `lint`, `tidy`,
//! `guests`, `vectors`, `fuzz`.
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
mod host;
mod lint;
mod measure;
mod report;
mod soak;
mod stage;
mod stock;
mod test;
mod tidy;
mod up;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the host, run two components on it, and measure their calls over NATS and in memory
    Demo(demo::Arguments),
    /// Start a host with the two demo components and leave it running until Ctrl-C
    Up(up::Arguments),
    /// Build and test everything, end to end
    Test,
    /// Compare calls on every route: over NATS, in memory, without a host
    Bench(bench::Arguments),
    /// Make many calls of many kinds on one host and check that none is lost and nothing is left
    Soak(soak::Arguments),
    /// Check format, lints, documentation, dependencies and the rules of `tidy`
    Lint,
    /// Build the demo components again; they are part of the repository
    Guests(GuestsArguments),
    /// Have the published crates make the wire vectors again; they are part of the repository
    Vectors(vectors::Arguments),
    /// Look for inputs that break the codec, for some minutes; needs a C++ compiler
    Fuzz(fuzz::Arguments),
    /// Check the rules that ARCHITECTURE.md sets
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
            ExitCode::FAILURE
        }
    }
}
