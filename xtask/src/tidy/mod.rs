//! `cargo xtask tidy`: the rules that ARCHITECTURE.md sets and no other tool checks, and what the pages say.

mod dependencies;
mod examples;
mod files;
mod lock;
mod pages;

use anyhow::{ensure, Context as _};
use xtask::workspace::workspace_root;

use xtask::command::cargo;

/// Checks all rules and lists each breach.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = workspace_root();
    let mut breaches = dependencies::breaches(&metadata()?)?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))
        .context("cannot read Cargo.lock, which belongs to the repository")?;
    breaches.extend(lock::breaches(&lock));
    let stock = std::fs::read_to_string(root.join("benches/stock/Cargo.lock"))
        .context("cannot read benches/stock/Cargo.lock, which belongs to the repository")?;
    breaches.extend(lock::stock_breaches(&stock, &lock));
    breaches.extend(files::breaches(root)?);
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
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cannot run `cargo metadata`")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("cannot read what `cargo metadata` says")
}
