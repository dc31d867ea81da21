//! `cargo xtask tidy`: the rules that ARCHITECTURE.md sets and no other tool checks, and what the pages say.

mod dependencies;
mod examples;
mod files;
mod lines;
mod lock;
mod pages;

use anyhow::{ensure, Context as _};
use xtask::workspace::{read, workspace_root};

use xtask::command::{cargo, output};

/// Checks all rules and lists each breach.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = workspace_root();
    let mut breaches = dependencies::breaches(&metadata()?)?;
    let lock = read(&root.join("Cargo.lock"))?;
    breaches.extend(lock::breaches(&lock));
    let stock = read(&root.join("benches/stock/Cargo.lock"))?;
    breaches.extend(lock::stock_breaches(&stock, &lock));
    breaches.extend(files::breaches(root)?);
    breaches.extend(lines::breaches(root)?);
    breaches.extend(examples::breaches(root)?);
    breaches.extend(pages::breaches(root)?);
    ensure!(
        breaches.is_empty(),
        "the workspace is not tidy:\n  - {}",
        breaches.join("\n  - ")
    );
    println!("The workspace is tidy.");
    Ok(())
}

/// What Cargo knows about the workspace's packages.
fn metadata() -> anyhow::Result<serde_json::Value> {
    let mut command = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata = output(&mut command, "The message above says why.")?;
    serde_json::from_str(&metadata).context("cannot read what `cargo metadata` says")
}
