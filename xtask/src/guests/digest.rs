//! What the prebuilt components were built from, and whether that is still so.
//!
//! The record is a file that `sha256sum --check` understands: a line with the digest of each component, and the
//! digest of all sources in a comment.

use std::fs;
use std::path::Path;

use anyhow::{anyhow, Context as _};
use sha2::{Digest as _, Sha256};
use xtask::workspace::files;

/// The record's name in the folder of the guests.
pub(super) const RECORD: &str = "guests.sha256";

/// The folder in it that Cargo builds into.
pub(super) const TARGET: &str = "target";

/// What stands before the digest of the sources.
const SOURCES: &str = "# sources ";

/// The digests of the sources in `guests` and of its prebuilt `components`, as text.
///
/// `components` are paths relative to `guests`, with `/` between their parts.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn record(guests: &Path, components: &[String]) -> anyhow::Result<String> {
    let mut record = format!("{SOURCES}{}\n", sources(guests)?);
    for component in components {
        let digest = hex(Sha256::new_with_prefix(read(&guests.join(component))?));
        record.push_str(&component_line(&digest, component));
    }
    Ok(record)
}

/// What in `guests` differs from its record, in words, one thing each. Empty when nothing does.
///
/// # Errors
///
/// When a file other than the record or a component cannot be read.
pub(super) fn differences(guests: &Path, components: &[String]) -> anyhow::Result<Vec<String>> {
    let Ok(record) = fs::read_to_string(guests.join(RECORD)) else {
        return Ok(vec![format!("{RECORD} is missing")]);
    };
    // Lines, so that it does not matter how git writes their ends.
    let lines = record.lines().collect::<Vec<_>>();
    let mut differences = Vec::new();
    if !lines.contains(&format!("{SOURCES}{}", sources(guests)?).as_str()) {
        differences.push("the sources have changed since the components were built".to_string());
    }
    for component in components {
        let Ok(content) = fs::read(guests.join(component)) else {
            differences.push(format!("{component} is missing"));
            continue;
        };
        let digest = hex(Sha256::new_with_prefix(content));
        if !lines.contains(&component_line(&digest, component).trim_end()) {
            differences.push(format!("{component} is not the one that was built"));
        }
    }
    Ok(differences)
}

fn component_line(digest: &str, component: &str) -> String {
    format!("{digest}  {component}\n")
}

/// The digest of every source file: of its path and of what is in it.
fn sources(guests: &Path) -> anyhow::Result<String> {
    let paths = files(guests)?.into_iter().map(|path| {
        let path = path.into_os_string().into_string();
        path.map_err(|path| anyhow!("{} is not named in UTF-8", path.to_string_lossy()))
    });
    let mut paths = paths.collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| path != RECORD && !path.ends_with(".wasm"));
    // As text: it is the same order on every system.
    paths.sort();
    let mut digest = Sha256::new();
    for path in paths {
        let content = read(&guests.join(&path))?;
        // With the lengths, nothing can move from a name to a content or from one file to the next unnoticed.
        for part in [path.as_bytes(), &content] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    Ok(hex(digest))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn hex(digest: Sha256) -> String {
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
