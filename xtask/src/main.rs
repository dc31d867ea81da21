//! The workspace's tasks: `cargo xtask test`, `lint`, `tidy`, `guests`, `example`, `vectors`, and
//! the programs that it builds and runs: `fuzz`, `costs`, and those of `host-integration/trials`,
//! which are `demo`, `up`, `bench`, `languages`, `two-hosts`, `soak`, `wash`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks to its user"
)]

mod example;
mod guests;
mod lint;
mod tasks;
mod test;
mod tidy;
mod trials;
mod vectors;

use std::process::ExitCode;

use clap::Parser as _;

use tasks::{Arguments, GuestsArguments, Task};

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => trials::run("demo", &arguments),
        Task::Up(arguments) => trials::run("up", &arguments),
        Task::Bench(arguments) => trials::run("bench", &arguments),
        Task::Languages(arguments) => trials::run("languages", &arguments),
        Task::TwoHosts(arguments) => trials::run("two-hosts", &arguments),
        Task::Soak(arguments) => trials::run("soak", &arguments),
        Task::Costs(arguments) => trials::costs(&arguments),
        Task::Wash(arguments) => trials::run("wash", &arguments),
        Task::Test => test::run(),
        Task::Lint => lint::run(),
        Task::Guests(GuestsArguments { check: true }) => guests::check(),
        Task::Guests(GuestsArguments { check: false }) => guests::build(),
        Task::Example(arguments) => example::build(arguments.language),
        Task::Vectors(arguments) => vectors::run(&arguments),
        Task::Fuzz(arguments) => trials::fuzz(&arguments),
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
