//! `cargo xtask guests`: builds the components that the demo, the tests and the benchmarks deploy.
//!
//! They are committed beside their sources, so that who only wants to run them needs no compiler for
//! WebAssembly. A record of digests shows whether they still fit their sources: [`check`].

mod digest;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context as _};
use xtask::command::run;
use xtask::components;

use digest::{RECORD, TARGET};

/// The members of the guests' workspace. Each is a package `inhost-…` in the folder of its name.
const GUESTS: [&str; 7] = [
    "callee",
    "callee-v2",
    "caller",
    "fetcher",
    "http",
    "middle",
    "streamer",
];

/// Builds all guests, puts each component beside its sources and notes what they were built from.
///
/// # Errors
///
/// When the compiler has no way to build for WebAssembly (the error says how to get one), when a guest does not
/// compile, or when a file cannot be written.
pub(crate) fn build() -> anyhow::Result<()> {
    let guests = folder();
    toolchain::compile(&guests, &guests.join(TARGET))?;
    let components = components::program()?;
    for guest in GUESTS {
        let mut encode = Command::new(&components);
        encode.arg("encode").arg(module(&guests, guest));
        encode.arg(guests.join(prebuilt(guest)));
        run(&mut encode, "The message above says why.")?;
        println!("{}", prebuilt(guest));
    }
    let record = digest::record(&guests, &all_prebuilt())?;
    write(&guests.join(RECORD), record.as_bytes())
}

/// Compares the prebuilt components and their sources with what was noted when they were built.
///
/// # Errors
///
/// When they differ: says in what, and what to run.
pub(crate) fn check() -> anyhow::Result<()> {
    check_in(&folder())
}

fn check_in(guests: &Path) -> anyhow::Result<()> {
    let differences = digest::differences(guests, &all_prebuilt())?;
    ensure!(
        differences.is_empty(),
        "the prebuilt components in {} are stale: {}. Run `cargo xtask guests` and commit what it changes",
        guests.display(),
        differences.join("; "),
    );
    Ok(())
}

/// The folder of the guests' workspace.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("host-integration")
        .join("guests")
}

/// Where Cargo puts the core module of a guest.
fn module(guests: &Path, guest: &str) -> PathBuf {
    guests
        .join(TARGET)
        .join(toolchain::WASM)
        .join("release")
        .join(format!("inhost_{}.wasm", guest.replace('-', "_")))
}

/// Where the component of a guest is, relative to the guests' workspace.
fn prebuilt(guest: &str) -> String {
    format!("{guest}/{guest}.wasm")
}

fn all_prebuilt() -> Vec<String> {
    GUESTS.map(prebuilt).to_vec()
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
