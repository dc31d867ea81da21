//! `cargo xtask test`: everything is built and tested, the host end to end.

use std::path::Path;
use std::process::Command;

use inhost_testbed::{target_dir, Backend, Search, STOCK_HOST};

use crate::command::{cargo, run as run_command, Steps};
use crate::{host, stock};

const HINT: &str = "The messages above say why.";

const EMBED_HINT: &str = "If its lock file is not up to date: copy Cargo.lock to host-integration/examples/embed and let \
    `cargo metadata --manifest-path host-integration/examples/embed/Cargo.toml` trim it.";

/// The drop-in. With its version: the crate that its tests compare it with has the same name.
const DROP_IN: &str = "wrpc-transport-nats@0.27.9";

const EMBED: &str = "host-integration/examples/embed/Cargo.toml";

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
    steps.command(interleavings(), HINT);
    steps.command(embed(), EMBED_HINT);
    // What the tests of the two below compare with: the host and the codec of published crates.
    let mut stock_host = None;
    steps.step("build the stock host", || {
        stock_host = Some(stock::host(host::Profile::Dev)?);
        Ok(())
    });
    steps.command(vectors(), HINT);
    let mut end_to_end = with_nats(end_to_end_tests());
    if let Some(stock_host) = stock_host {
        end_to_end.env(STOCK_HOST, stock_host);
    }
    steps.command(end_to_end, HINT);
    for backend in [Backend::Duplex, Backend::Mpsc] {
        steps.step(&format!("soak over {backend}"), || {
            // The host that the tests above have just been built with: Cargo only says where it is.
            let mut build = end_to_end_tests();
            build.arg("--no-run");
            let host = host::build(build, "wasmcloud")?;
            run_command(&mut with_nats(soak(&host, backend)), HINT)
        });
    }
    steps.finish()
}

/// Hand-written synchronisation, in all orders in which threads can get to it. The flag swaps the primitives under it for
/// those of loom, so this has a target folder of its own.
fn interleavings() -> Command {
    let mut command = cargo(&["test", "--package", "inhost-dispatch", "--lib"]);
    command.arg("--target-dir").arg(target_dir().join("loom"));
    command.arg("loom");
    command.env("RUSTFLAGS", "--cfg inhost_loom");
    command.env("LOOM_MAX_PREEMPTIONS", "3");
    command
}

/// The program outside of the workspace that has the drop-ins, as another host would.
fn embed() -> Command {
    let mut command = cargo(&["check", "--locked", "--manifest-path", EMBED]);
    command.arg("--target-dir").arg(target_dir());
    command
}

/// Compares the committed wire vectors with what the published crates make.
fn vectors() -> Command {
    cargo(&["xtask", "vectors", "--check"])
}

/// End to end: this builds the host with all backends, and the tests start it.
fn end_to_end_tests() -> Command {
    cargo(&["test", "--package", "wasmcloud"])
}

/// Many calls on this host.
fn soak(host: &Path, backend: Backend) -> Command {
    let mut command = cargo(&["xtask", "soak", "--backend", &backend.to_string(), "--host"]);
    command.arg(host);
    command
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
    fn no_test_of_a_package_is_left_out() {
        // An example in the documentation is a test, too, unless only other kinds are asked for.
        let mut commands = commands();
        commands.push(end_to_end_tests());
        for command in &commands {
            let kinds = ["--lib", "--bins", "--tests", "--test", "--examples"];
            let limited = command
                .get_args()
                .any(|it| kinds.iter().any(|kind| it == *kind));
            assert!(!limited, "{}", text(command));
        }
    }

    #[test]
    fn each_set_of_backends_is_tested_and_each_build_is_checked() {
        let mut commands = commands();
        commands.extend([embed(), vectors(), end_to_end_tests()]);
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
            &format!(
                "cargo check --locked --manifest-path {EMBED} --target-dir {}",
                target_dir().display()
            ),
            "cargo test --package wasmcloud",
        ] {
            assert!(
                commands.iter().any(|c| c == expected),
                "{expected} is not in {commands:#?}"
            );
        }
    }
}
