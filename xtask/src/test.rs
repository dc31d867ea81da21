//! `cargo xtask test`: everything is built and tested, the host end to end.

use std::process::Command;

use inhost_testbed::{Search, STOCK_HOST};

use crate::command::{cargo, Steps};
use crate::stock;

const HINT: &str = "The messages above say why.";

/// The drop-in. With its version: the crate that it uses for the remote path has the same name.
const DROP_IN: &str = "wrpc-transport-nats@0.27.9";

/// The sets of backends that a host can be built with, as arguments for Cargo.
pub(crate) const FEATURE_SETS: [&[&str]; 4] = [
    &["--no-default-features"],
    &["--no-default-features", "--features", "duplex"],
    &["--no-default-features", "--features", "mpsc"],
    &["--no-default-features", "--features", "duplex,mpsc"],
];

/// What a user passes to `cargo build`, beyond the sets above.
const BUILDS: [&[&str]; 5] = [
    &[],
    &["--features", "duplex"],
    &["--features", "mpsc"],
    &["--no-default-features"],
    &["--all-features"],
];

pub(crate) fn run() -> anyhow::Result<()> {
    // First, as nothing end to end works without it, and so that the tests do not all fetch it at once.
    let nats = Search::from_env().find()?;
    println!("nats-server: {} ({})", nats.binary.display(), nats.origin);

    let mut steps = Steps::default();
    let with_nats = |mut command: Command| {
        command.env("NATS_SERVER", &nats.binary);
        command
    };
    for command in commands() {
        steps.command(with_nats(command), HINT);
    }
    // What the tests of the two below compare with: the host and the codec of published crates.
    let mut stock_host = None;
    steps.step("build the stock host", || {
        stock_host = Some(stock::host(stock::Profile::Dev)?);
        Ok(())
    });
    steps.command(vectors(), HINT);
    let mut end_to_end = with_nats(end_to_end());
    if let Some(stock_host) = stock_host {
        end_to_end.env(STOCK_HOST, stock_host);
    }
    steps.command(end_to_end, HINT);
    steps.finish()
}

/// Compares the committed wire vectors with what the published crates make.
fn vectors() -> Command {
    cargo(&["xtask", "vectors", "--check"])
}

/// End to end: this builds the host with all backends, and the tests start it.
fn end_to_end() -> Command {
    cargo(&["test", "--package", "wasmcloud", "--all-features"])
}

/// All commands that need no stock host, the quick ones first.
fn commands() -> Vec<Command> {
    let mut commands = Vec::new();
    // The two packages with backends to choose from follow on their own.
    commands.push(cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "wasmcloud",
        "--exclude",
        DROP_IN,
    ]));
    for features in FEATURE_SETS {
        let mut command = cargo(&["test", "--package", DROP_IN]);
        command.args(features);
        commands.push(command);
    }
    for arguments in BUILDS {
        let mut command = cargo(&["check"]);
        command.args(arguments);
        commands.push(command);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::text;

    #[test]
    fn each_set_of_backends_is_tested_and_each_build_is_checked() {
        let mut commands = commands();
        commands.extend([vectors(), end_to_end()]);
        let commands: Vec<_> = commands.iter().map(text).collect();
        for expected in [
            "cargo test --package wrpc-transport-nats@0.27.9 --no-default-features",
            "cargo test --package wrpc-transport-nats@0.27.9 --no-default-features --features duplex,mpsc",
            "cargo check",
            "cargo check --features duplex",
            "cargo check --features mpsc",
            "cargo check --no-default-features",
            "cargo check --all-features",
            "cargo xtask vectors --check",
            "cargo test --package wasmcloud --all-features",
        ] {
            assert!(
                commands.iter().any(|c| c == expected),
                "{expected} is not in {commands:#?}"
            );
        }
    }
}
