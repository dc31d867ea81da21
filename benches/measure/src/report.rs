//! Showing what was measured: tables for people, JSON for programs.

pub(crate) mod layout;
pub mod units;

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// Writes `value` as JSON to the file `path`.
pub(crate) fn write_json_value(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = format!("{value:#}\n");
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Gives `value` as JSON to whoever asked for it at `path`: in a file, or on standard output when it is `-`.
///
/// # Errors
///
/// When the file cannot be written.
pub fn give_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    if is_stdout(path) {
        println!("{value:#}");
        return Ok(());
    }
    write_json_value(path, value)?;
    eprintln!("The figures are in {}", path.display());
    Ok(())
}

/// Shows `text` to people: on standard output, or on standard error when the JSON goes to standard output.
pub fn show(text: &str, json: Option<&Path>) {
    match json {
        Some(path) if is_stdout(path) => eprintln!("{text}"),
        _ => println!("{text}"),
    }
}

/// Whether standard output is meant.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Fails now rather than after the measurement when `path` cannot be written.
///
/// # Errors
///
/// When the file cannot be opened for that.
pub fn check_writable(path: &Path) -> anyhow::Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    open.map(drop)
        .with_context(|| format!("cannot write {}", path.display()))
}
