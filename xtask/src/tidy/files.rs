//! What the repository's files must be: small, and free of a pinned toolchain.

use std::path::Path;

use xtask::workspace::{files, read};

/// A Rust file has fewer lines than this. Files are split by idea: what is far too long has several.
const MAX_LINES: usize = 1000;

/// A pinned toolchain would be fetched on each user's machine.
const TOOLCHAIN_FILES: [&str; 2] = ["rust-toolchain", "rust-toolchain.toml"];

/// The breaches below `root`. Build output and hidden folders are left out.
pub(super) fn breaches(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for path in files(root)? {
        let (name, shown) = (path.file_name().unwrap_or_default(), path.display());
        if TOOLCHAIN_FILES.iter().any(|it| name == *it) {
            breaches.push(format!("{shown} pins a toolchain: rust-version is enough"));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let lines = read(&root.join(&path))?.lines().count();
            if lines >= MAX_LINES {
                breaches.push(format!(
                    "{shown} has {lines} lines: split it below {MAX_LINES}"
                ));
            }
        }
    }
    Ok(breaches)
}
