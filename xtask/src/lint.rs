//! `cargo xtask lint`: format, lints, documentation, dependencies, and the rules of `tidy`.

use std::process::Stdio;

use inhost_testbed::target_dir;

use crate::command::{cargo, Steps};
use crate::test::FEATURE_SETS;
use crate::{guests, tidy};

/// The workspaces with lock files of their own, relative to the main one.
const OTHER_WORKSPACES: [&str; 5] = [
    "benches/stock/Cargo.toml",
    "host-integration/examples/embed/Cargo.toml",
    "host-integration/guests/Cargo.toml",
    "benches/compose/Cargo.toml",
    "xtask/wadm/Cargo.toml",
];

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
    for features in FEATURE_SETS {
        let mut command = cargo(&["clippy", "--workspace", "--all-targets"]);
        command.args(features).args(["--", "-D", "warnings"]);
        steps.command(command, "The messages above say what to change.");
    }
    // Into the same target directory: most of what it checks has been checked above.
    let mut stock = cargo(&["clippy", "--manifest-path", "benches/stock/Cargo.toml"]);
    stock.args(["--locked", "--workspace", "--all-targets", "--target-dir"]);
    stock.arg(target_dir()).args(["--", "-D", "warnings"]);
    steps.command(stock, "The messages above say what to change.");
    let mut doc = cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--all-features",
        "--keep-going",
    ]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.command(doc, "The messages above say what to change.");
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
    steps.finish()
}

fn has_cargo_deny() -> bool {
    let mut command = cargo(&["deny", "--version"]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
