//! What the pages say: links lead somewhere, and flags, environment variables and tests that are named exist.

mod links;
mod names;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A page, or another file for those who run the host.
struct Page {
    /// Its path below the root.
    path: PathBuf,
    text: String,
}

/// Where there is something for those who run the host. What is said there of flags and variables is checked.
const FOR_OPERATORS: [&str; 3] = [
    "README.md",
    "host-integration/docs",
    "host-integration/deploy",
];

/// The breaches below `root`.
pub(super) fn breaches(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut pages = Vec::new();
    collect(root, Path::new(""), &mut pages)?;
    let known = names::Known::read(root)?;
    let mut breaches = Vec::new();
    for page in &pages {
        if page.path.extension().is_some_and(|it| it == "md") {
            breaches.extend(links::breaches(page, &pages, root));
        }
        if FOR_OPERATORS.iter().any(|it| page.path.starts_with(it)) {
            breaches.extend(names::breaches(page, &known));
        }
    }
    breaches.sort();
    Ok(breaches)
}

/// Reads the pages in `folder`. Build output and hidden folders are left out.
fn collect(root: &Path, folder: &Path, pages: &mut Vec<Page>) -> anyhow::Result<()> {
    let shown = root.join(folder);
    let entries = fs::read_dir(&shown)
        .with_context(|| format!("cannot read the folder {}", shown.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        let (path, full) = (folder.join(&name), shown.join(&name));
        if full.is_dir() {
            if text != "target" && !text.starts_with('.') {
                collect(root, &path, pages)?;
            }
        } else if text.ends_with(".md") || FOR_OPERATORS.iter().any(|it| path.starts_with(it)) {
            let text = fs::read_to_string(&full)
                .with_context(|| format!("cannot read {}", full.display()))?;
            pages.push(Page { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::workspace::workspace_root;

    #[test]
    fn the_pages_of_this_repository_are_sound() {
        assert_eq!(breaches(workspace_root()).unwrap(), Vec::<String>::new());
    }
}
