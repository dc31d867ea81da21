//! The command line.

use clap::{Parser, Subcommand};
use xtask::help;
use xtask::languages::Language;

use crate::{trials, vectors};

/// Tasks of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = TASKS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Build the host, run two components on it, and measure their calls over NATS and in memory
    #[command(disable_help_flag = true)]
    Demo(trials::Arguments),
    /// Start a host with the two demo components and leave it running until Ctrl-C
    #[command(disable_help_flag = true)]
    Up(trials::Arguments),
    /// Build and test everything, end to end
    #[command(after_help = TEST)]
    Test,
    /// Compare calls on every route: over NATS, in memory, without a host
    #[command(disable_help_flag = true)]
    Bench(trials::Arguments),
    /// Time calls between components in Rust, JavaScript and Python: over NATS, in memory, with reuse
    #[command(disable_help_flag = true)]
    Languages(trials::Arguments),
    /// Time work for a busy component that another host has, too: shared as it is over NATS
    #[command(disable_help_flag = true)]
    TwoHosts(trials::Arguments),
    /// Count instructions, allocations and system calls of a call, and compare them with those on record
    #[command(disable_help_flag = true)]
    Costs(trials::Arguments),
    /// Make many calls of many kinds on one host and check that none is lost and nothing is left
    #[command(disable_help_flag = true)]
    Soak(trials::Arguments),
    /// Have the published wash and wadm drive the host, as a user's would
    #[command(disable_help_flag = true)]
    Wash(trials::Arguments),
    /// Check format, lints, documentation, dependencies and the rules of `tidy`
    #[command(after_help = LINT)]
    Lint,
    /// Build the demo components again; they are part of the repository
    #[command(after_help = GUESTS)]
    Guests(GuestsArguments),
    /// Build the example component in another language than Rust, and fetch what that takes
    #[command(after_help = EXAMPLE)]
    Example(ExampleArguments),
    /// Have the published crates make the wire vectors again; they are part of the repository
    #[command(after_help = VECTORS)]
    Vectors(vectors::Arguments),
    /// Look for inputs that break the codec, for some minutes; needs a C++ compiler
    #[command(disable_help_flag = true)]
    Fuzz(trials::Arguments),
    /// Check the rules that ARCHITECTURE.md sets
    #[command(after_help = TIDY)]
    Tidy,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GuestsArguments {
    /// Only check that the components belong to their sources
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExampleArguments {
    /// Which one, in host-integration/examples/languages
    #[arg(value_enum)]
    pub(crate) language: Language,
}

const TASKS: &str = help!(
    "cargo xtask demo",
    "cargo xtask up",
    "cargo xtask test",
    "cargo xtask demo --help",
);

const TEST: &str = help!("cargo xtask test");

const LINT: &str = help!("cargo xtask lint");

const GUESTS: &str = help!("cargo xtask guests", "cargo xtask guests --check");

const EXAMPLE: &str = help!(
    "cargo xtask example javascript",
    "cargo xtask example python"
);

const VECTORS: &str = help!("cargo xtask vectors", "cargo xtask vectors --check");

const TIDY: &str = help!("cargo xtask tidy");

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn each_command_has_examples_that_it_takes() {
        let mut command = Arguments::command();
        // Those have their help from the program that they run.
        for trial in [
            "demo",
            "up",
            "bench",
            "languages",
            "two-hosts",
            "costs",
            "fuzz",
            "soak",
            "wash",
        ] {
            command = command.mut_subcommand(trial, |it| {
                it.after_help(format!(
                    "  cargo xtask {trial} --calls 5 --json -\nExit codes: 0"
                ))
            });
        }
        let parse = |words: &[&str]| Arguments::try_parse_from(words).map(drop);
        help::check_examples(&command, parse).unwrap();
    }

    #[test]
    fn a_trial_is_given_what_the_user_typed() {
        let words = ["xtask", "demo", "--help", "--json", "-", "-h", "more"];
        let Task::Demo(arguments) = Arguments::parse_from(words).task else {
            panic!("not the demo");
        };
        assert_eq!(arguments.given, words[2..]);
    }
}
