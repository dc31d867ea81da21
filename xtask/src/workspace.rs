//! Where the workspace and its build output are.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder of the workspace's `Cargo.toml`.
///
/// # Panics
///
/// When the crate was moved out of `xtask`.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is in a folder of the workspace")
}

/// The files in `folder` and the folders in it, by their paths below it and in their order. Build
/// output and hidden folders are left out.
///
/// # Errors
///
/// When a folder cannot be read.
pub fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let shown = folder.join(&below);
        let entries = fs::read_dir(&shown);
        for entry in entries.with_context(|| format!("cannot read {}", shown.display()))? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), below.join(entry.file_name()));
            if !entry.path().is_dir() {
                files.push(path);
            } else if name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file.
///
/// # Errors
///
/// When it cannot be read: says which.
pub fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The folder that Cargo builds into: `CARGO_TARGET_DIR`, or `target` of the workspace.
#[must_use]
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace_root().join(dir),
        None => workspace_root().join("target"),
    }
}
