//! What the pages say: links lead somewhere, and flags, environment variables and tests that are named exist.

mod links;
mod names;

use std::path::{Path, PathBuf};

use xtask::workspace::{files, read};

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
    for path in files(root)? {
        if path.extension().is_some_and(|it| it == "md") || is_for_operators(&path) {
            let text = read(&root.join(&path))?;
            pages.push(Page { path, text });
        }
    }
    let known = names::Known::read(root)?;
    let mut breaches = Vec::new();
    for page in &pages {
        if page.path.extension().is_some_and(|it| it == "md") {
            breaches.extend(links::breaches(page, &pages, root));
        }
        if is_for_operators(&page.path) {
            breaches.extend(names::breaches(page, &known));
        }
    }
    breaches.sort();
    Ok(breaches)
}

fn is_for_operators(path: &Path) -> bool {
    // A picture has no text.
    let is_text = path.extension().is_none_or(|it| it != "png");
    is_text && FOR_OPERATORS.iter().any(|it| path.starts_with(it))
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
