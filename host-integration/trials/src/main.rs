//! `cargo xtask demo`, `up`, `bench`, `languages`, `two-hosts`, `soak` and `wash`: programs that
//! start this host and use it.
//!
//! Those that measure are modules of `inhost_measure`, the others are here. What is started is
//! built first, by `xtask`, which also starts this program.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks to its user"
)]

mod help;
mod soak;
mod up;
mod wash;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use inhost_measure::{bench, demo, languages, two_hosts};
use inhost_testbed::{Interrupted, Search};

/// The exit code of a command that was interrupted, as a shell has it for one that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Programs that start this host and use it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = help::TRIALS)]
struct Arguments {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Debug, Subcommand)]
enum Trial {
    /// Build the host, run two components on it, and measure their calls over NATS and in memory
    #[command(after_help = help::DEMO)]
    Demo(demo::Arguments),
    /// Start a host with the two demo components and leave it running until Ctrl-C
    #[command(after_help = help::UP)]
    Up(up::Arguments),
    /// Compare calls on every route: over NATS, in memory, without a host
    #[command(after_help = help::BENCH)]
    Bench(bench::Arguments),
    /// Time calls between components in Rust, JavaScript and Python: over NATS, in memory, with reuse
    #[command(after_help = help::LANGUAGES)]
    Languages(languages::Arguments),
    /// Time work for a busy component that another host has, too: shared as it is over NATS
    #[command(after_help = help::TWO_HOSTS)]
    TwoHosts(two_hosts::Arguments),
    /// Make many calls of many kinds on one host and check that none is lost and nothing is left
    #[command(after_help = help::SOAK)]
    Soak(soak::Arguments),
    /// Have the published wash and wadm drive the host, as a user's would
    #[command(after_help = help::WASH)]
    Wash(wash::Arguments),
    /// Find a nats-server, or fetch one, and print where it is
    #[command(hide = true, after_help = help::NATS_SERVER)]
    NatsServer,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().trial) {
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

fn run(trial: &Trial) -> anyhow::Result<()> {
    // All need one. That there is none should not be said after minutes of building.
    let nats = Search::from_env().find()?;
    match trial {
        Trial::Demo(arguments) => demo::run(arguments),
        Trial::Up(arguments) => up::run(arguments),
        Trial::Bench(arguments) => bench::run(arguments),
        Trial::Languages(arguments) => languages::run(arguments),
        Trial::TwoHosts(arguments) => two_hosts::run(arguments),
        Trial::Soak(arguments) => soak::run(arguments),
        Trial::Wash(arguments) => wash::run(arguments),
        Trial::NatsServer => {
            eprintln!("nats-server: {} ({})", nats.binary.display(), nats.origin);
            println!("{}", nats.binary.display());
            Ok(())
        }
    }
}
