//! The page of each library crate has an example that runs.

use std::path::Path;

use xtask::workspace::read;

/// The libraries that others may use, by their folders.
const LIBRARIES: [&str; 10] = [
    "registry",
    "dispatch",
    "backend-duplex",
    "backend-mpsc",
    "host-integration",
    "host-integration/backends",
    "host-integration/codec",
    "host-integration/lattice",
    "host-integration/wrpc-runtime-wasmtime",
    "host-integration/wrpc-transport-nats",
];

/// The breaches below `root`.
pub(super) fn breaches(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut breaches = Vec::new();
    for library in LIBRARIES {
        let path = Path::new(library).join("src/lib.rs");
        if !has_running_example(&read(&root.join(&path))?) {
            breaches.push(format!(
                "the page of the crate in {} has no example that runs",
                path.display()
            ));
        }
    }
    Ok(breaches)
}

/// Whether the documentation of a crate has code that `cargo test` runs. `no_run`, `text` and the like do not.
fn has_running_example(text: &str) -> bool {
    let mut is_code = false;
    text.lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .filter_map(|line| line.trim().strip_prefix("```"))
        .any(|language| {
            // Fences open and close in turn.
            is_code = !is_code;
            is_code && language.is_empty()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_runs_is_an_example() {
        assert!(has_running_example("//! ```\n//! code();\n//! ```\n"));
        let two = "//! ```no_run\n//! code();\n//! ```\n//! ```\n//! code();\n//! ```\n";
        assert!(has_running_example(two));
        for text in [
            "//! Text.\n",
            "//! ```no_run\n//! code();\n//! ```\n",
            "//! ```text\n//! words\n//! ```\n",
            "/// ```\n/// code();\n/// ```\n",
        ] {
            assert!(!has_running_example(text), "{text}");
        }
    }
}
