//! What the repository's files must be: small, and free of a pinned toolchain.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// A Rust file has fewer lines than this. Files are split by idea: what is far too long has several.
const MAX_LINES: usize = 1000;

/// A pinned toolchain would be fetched on each user's machine.
const TOOLCHAIN_FILES: [&str; 2] = ["rust-toolchain", "rust-toolchain.toml"];

/// The breaches below `root`. Build output and hidden folders are left out.
pub(super) fn breaches(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot read the folder {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let shown = path.strip_prefix(root).unwrap_or(&path).display();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path.clone());
                }
            } else if TOOLCHAIN_FILES.contains(&&*name) {
                breaches.push(format!("{shown} pins a toolchain: rust-version is enough"));
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let lines = text.lines().count();
                if lines >= MAX_LINES {
                    breaches.push(format!(
                        "{shown} has {lines} lines: split it below {MAX_LINES}"
                    ));
                }
            }
        }
    }
    breaches.sort();
    Ok(breaches)
}
