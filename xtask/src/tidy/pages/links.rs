//! Links between pages, and from pages to files.

use std::path::{Component, Path, PathBuf};

use super::Page;

/// The links of `page` that lead nowhere. Those to other sites are not followed.
pub(super) fn breaches(page: &Page, pages: &[Page], root: &Path) -> Vec<String> {
    links(&page.text)
        .into_iter()
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .filter_map(|link| {
            let problem = problem(&link, page, pages, root)?;
            Some(format!(
                "{} links to `{link}`, and {problem}",
                page.path.display()
            ))
        })
        .collect()
}

/// What is wrong with `link`, if something is.
fn problem(link: &str, page: &Page, pages: &[Page], root: &Path) -> Option<String> {
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let target = match path {
        "" => page.path.clone(),
        path => {
            let folder = page.path.parent().unwrap_or(Path::new(""));
            below_root(&folder.join(path))
        }
    };
    if !root.join(&target).exists() {
        return Some(format!("there is no {}", target.display()));
    }
    let anchor = anchor?;
    let other = pages.iter().find(|page| page.path == target);
    let found = other.is_some_and(|it| anchors(&it.text).iter().any(|it| it == anchor));
    (!found).then(|| format!("{} has no such heading", target.display()))
}

/// `path` without `..`, unless it leads out of the repository.
fn below_root(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ if plain.pop() => {}
            // Above the root: no page is there.
            _ => return path.to_owned(),
        }
    }
    plain
}

/// The lines of a page that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What a page links to.
fn links(text: &str) -> Vec<String> {
    // Without spans of code: the parts between an even number of backticks.
    let prose: String = prose(text).flat_map(|line| [line, "\n"]).collect();
    let plain: String = prose.split('`').step_by(2).collect();
    plain
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.to_owned())
        .collect()
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> Vec<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

/// The anchor of a heading: lower case, dashes for spaces, and no other punctuation.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Page {
        Page {
            path: path.into(),
            text: text.into(),
        }
    }

    fn found(text: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs")).unwrap();
        for name in ["README.md", "docs/a.md", "docs/b.md"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let pages = [
            page("docs/a.md", text),
            page("docs/b.md", "# Some heading, `--flag`\n```\n# code\n```\n"),
        ];
        breaches(&pages[0], &pages, root.path())
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text =
            "# Here\n[a](b.md), [b](b.md#some-heading---flag), [c](#here), [d](../README.md)\n\
                    [e](https://example.org/x#y) `[f](nowhere)`\n```\n[g](nowhere)\n```\n";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn a_link_to_no_file_is_found() {
        let breaches = found("[a](c.md)");
        assert_eq!(
            breaches,
            ["docs/a.md links to `c.md`, and there is no docs/c.md"]
        );
        assert_eq!(found("[a](../../outside.md)").len(), 1);
    }

    #[test]
    fn a_link_to_no_heading_is_found() {
        let breaches = found("[a](b.md#other) [b](#here) [c](b.md#code)");
        assert_eq!(breaches.len(), 3, "{breaches:?}");
        assert!(
            breaches[0].ends_with("docs/b.md has no such heading"),
            "{breaches:?}"
        );
    }
}
