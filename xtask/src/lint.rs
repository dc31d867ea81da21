//! `cargo xtask lint`: format, lints, documentation, dependencies, and the rules of `tidy`.

use std::process::{Command, Stdio};

use xtask::command::{cargo, Steps};
use xtask::workspace::target_dir;

use crate::{guests, tidy};

/// The workspaces with lock files of their own, relative to the main one.
const OTHER_WORKSPACES: [&str; 5] = [
    "benches/stock/Cargo.toml",
    EMBED,
    "host-integration/guests/Cargo.toml",
    "host-integration/trials/components/Cargo.toml",
    "host-integration/trials/wadm/Cargo.toml",
];

/// The program outside of the workspace that has the drop-ins, as another host would.
const EMBED: &str = "host-integration/examples/embed/Cargo.toml";

/// The builds that a user can ask for. Features add backends, so that `--features duplex` is the first one, too.
const BUILDS: [&[&str]; 4] = [
    &[],
    &["--no-default-features"],
    &["--no-default-features", "--features", "duplex"],
    &["--no-default-features", "--features", "mpsc"],
];

const CHANGE: &str = "The messages above say what to change.";

pub(crate) fn run() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    steps.command(
        cargo(&["fmt", "--all", "--check"]),
        "Run `cargo fmt --all`.",
    );
    for manifest in OTHER_WORKSPACES {
        let mut command = cargo(&["fmt", "--all", "--check", "--manifest-path"]);
        command.arg(manifest);
        steps.command(command, "Run it without `--check`.");
    }
    for command in clippy() {
        steps.command(command, CHANGE);
    }
    let embed = elsewhere("check", EMBED);
    steps.command(
        embed,
        "If its lock file is not up to date: copy Cargo.lock to host-integration/examples/embed and let \
         `cargo metadata --manifest-path host-integration/examples/embed/Cargo.toml` trim it.",
    );
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--keep-going"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.command(doc, CHANGE);
    if has_cargo_deny() {
        steps.command(
            cargo(&["deny", "check"]),
            "Change the dependency, or say in deny.toml why it stays.",
        );
    } else {
        steps.skip(
            "cargo deny check",
            "cargo-deny is not installed: `cargo install --locked cargo-deny`",
        );
    }
    steps.step("guests --check", guests::check);
    steps.step("tidy", tidy::run);
    steps.run()
}

/// Everything there is with all backends, then what each build of the host takes in without tests:
/// features of tests do not help it there.
fn clippy() -> Vec<Command> {
    let mut all = cargo(&["clippy", "--workspace", "--all-targets"]);
    all.args(["--", "-D", "warnings"]);
    let mut commands = vec![all];
    for arguments in BUILDS {
        let mut command = cargo(&["clippy"]);
        command.args(arguments).args(["--", "-D", "warnings"]);
        commands.push(command);
    }
    let mut stock = elsewhere("clippy", "benches/stock/Cargo.toml");
    stock.args(["--workspace", "--all-targets", "--", "-D", "warnings"]);
    commands.push(stock);
    commands
}

/// A command for another workspace. It goes into the same target folder: most of what it checks has
/// been checked before.
fn elsewhere(command: &str, manifest: &str) -> Command {
    let mut command = cargo(&[command, "--locked", "--manifest-path", manifest]);
    command.arg("--target-dir").arg(target_dir());
    command
}

fn has_cargo_deny() -> bool {
    let mut command = cargo(&["deny", "--version"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
