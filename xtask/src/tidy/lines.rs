//! Comments and pages have lines that fit beside something else.

use std::path::Path;

use xtask::workspace::{files, read};

/// A line has no more characters than this. Code is rustfmt's, and a text that a program prints is
/// one line.
const LONGEST: usize = 120;

/// A word with more characters than this, as an address can be, makes a line as long as it is.
const LONG_WORD: usize = 80;

/// What is written by a program, and what the prebuilt components are built from: the record of
/// them is of comments, too.
const LEFT_OUT: [&str; 2] = ["benches/results", "host-integration/guests"];

/// The breaches below `root`. Build output and hidden folders are left out.
pub(super) fn breaches(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for path in files(root)? {
        let is = |wanted: &str| path.extension().is_some_and(|it| it == wanted);
        let is_left_out = LEFT_OUT.iter().any(|it| path.starts_with(it));
        if is_left_out || !(is("rs") || is("md")) {
            continue;
        }
        let text = read(&root.join(&path))?;
        let found = too_long(&text, is("rs"));
        breaches.extend(found.map(|number| {
            let shown = path.display();
            format!("{shown}:{number} has more than {LONGEST} characters: break the line")
        }));
    }
    Ok(breaches)
}

/// The numbers of the lines that are too long: in Rust code, those of comments. Tables and blocks
/// of code may be wider.
fn too_long(text: &str, is_rust: bool) -> impl Iterator<Item = usize> + '_ {
    let mut is_code = false;
    let found = text.lines().zip(1..).filter(move |(line, _)| {
        let prose = if is_rust { comment(line) } else { Some(*line) };
        let Some(prose) = prose.map(str::trim_start) else {
            // A block of code ends with its comment.
            is_code = false;
            return false;
        };
        let is_fence = prose.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !prose.starts_with('|') && is_too_long(line)
    });
    found.map(|(_, number)| number)
}

fn is_too_long(line: &str) -> bool {
    let is_long = |word: &str| word.chars().count() > LONG_WORD;
    line.chars().count() > LONGEST && !line.split_whitespace().any(is_long)
}

/// What a line of Rust code says, if it is one of a comment.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_broken_is_found_and_tables_code_and_addresses_are_not() {
        let long = "word ".repeat(30);
        let text = format!(
            "{long}\n| {long} |\n```\n{long}\n```\n- {long}\nhttps://{} word word word\nword\n",
            "a".repeat(120)
        );
        let found: Vec<_> = too_long(&text, false).collect();
        assert_eq!(found, [1, 6]);
        let text =
            format!("let a = \"{long}\";\n/// ```\n/// {long}\nfn a() {{}}\n    //! {long}\n");
        let found: Vec<_> = too_long(&text, true).collect();
        assert_eq!(found, [5]);
    }
}
