//! `cargo xtask test`: everything is built and tested, the host end to end.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use xtask::command::{cargo, output, run as run_command, text, Steps};
use xtask::host::{self, Profile};
use xtask::stock;
use xtask::workspace::target_dir;

use crate::{trials, vectors};

const HINT: &str = "The messages above say why.";

/// The environment variables by which tests are told of programs.
const NATS_SERVER: &str = "NATS_SERVER";
const STOCK_HOST: &str = "STOCK_HOST";

/// The drop-in. With its version: the crate that its tests compare it with has the same name.
const DROP_IN: &str = "wrpc-transport-nats@0.27.9";

/// The sets of backends that a host can be built with, beside all of them.
const FEATURE_SETS: [&[&str]; 3] = [
    &["--no-default-features"],
    &["--no-default-features", "--features", "duplex"],
    &["--no-default-features", "--features", "mpsc"],
];

/// How many tests of a program run at once; libtest reads it.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

const BACKENDS: [&str; 2] = ["duplex", "mpsc"];

pub(crate) fn run() -> anyhow::Result<()> {
    let trials = trials::build()?;
    // First, as nothing end to end works without it, and so that the tests do not all fetch it at once.
    let nats = nats_server(&trials)?;

    let with_nats = |mut command: Command| {
        command.env(NATS_SERVER, &nats);
        command
    };
    // What tests compare with: the host and the codec of published crates.
    let published = OnceCell::new();

    let mut steps = Steps::default();
    steps.step("build the published crates", || {
        let built = stock::all(Profile::Dev)?;
        published.get_or_init(|| built);
        Ok(())
    });
    let mut all = with_nats(all_tests());
    let published = &published;
    steps.step(&text(&all), move || {
        if let Some(published) = published.get() {
            all.env(STOCK_HOST, &published.host);
        }
        run_command(&mut all, HINT)
    });
    for command in tests_by_backends() {
        steps.command(with_nats(command), HINT);
    }
    steps.command(interleavings(), HINT);
    steps.step("vectors --check", || {
        let published = published.get();
        vectors::check(
            &published
                .context("the published crates were not built")?
                .vectors,
        )
    });
    for backend in BACKENDS {
        let mut soak = with_nats(Command::new(&trials));
        soak.args(["soak", "--backend", backend, "--host"]);
        steps.step(&format!("soak over {backend}"), move || {
            // The host that the tests above have just been built with: Cargo only says where it is.
            let mut build = all_tests();
            build.arg("--no-run");
            run_command(soak.arg(host::build(build, "wasmcloud")?), HINT)
        });
    }
    steps.run()
}

/// Everything, with all backends. This builds the host, and tests start it.
///
/// In one command, so that what several packages depend on is built once, with the features of all.
/// A test that fails keeps none of the others from running. Most of the time is that of tests which
/// wait for a host, so there are more of them at once than processors, unless the user says
/// otherwise.
fn all_tests() -> Command {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if std::env::var_os(TEST_THREADS).is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        command.env(TEST_THREADS, (2 * processors).to_string());
    }
    command
}

/// What a set of backends changes: which one is chosen when none is named, and what is said when there is none.
fn tests_by_backends() -> Vec<Command> {
    let commands = FEATURE_SETS.iter().map(|features| {
        let mut command = cargo(&["test", "--package", DROP_IN, "--lib", "--test", "drop_in"]);
        command.args(*features);
        command
    });
    commands.collect()
}

/// Hand-written synchronisation, in all orders in which threads can get to it. The flag swaps the
/// primitives under it for those of loom, so this has a target folder of its own.
fn interleavings() -> Command {
    let mut command = cargo(&["test", "--package", "inhost-dispatch", "--lib"]);
    command.arg("--target-dir").arg(target_dir().join("loom"));
    command.arg("loom");
    command.env("RUSTFLAGS", "--cfg inhost_loom");
    command.env("LOOM_MAX_PREEMPTIONS", "3");
    command
}

/// Has `trials` find a nats-server, or fetch one, and returns where it is.
fn nats_server(trials: &Path) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(trials);
    let path = output(
        command.arg("nats-server"),
        "The tests need a nats-server: see above.",
    )?;
    Ok(PathBuf::from(path.trim()))
}
