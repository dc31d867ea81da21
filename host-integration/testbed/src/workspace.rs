//! Where the workspace and its build output are.

use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`.
///
/// # Panics
///
/// When the crate was moved out of `host-integration/testbed`.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate is in host-integration/testbed of the workspace")
}

/// The folder that Cargo builds into: `CARGO_TARGET_DIR`, or `target` of the workspace.
#[must_use]
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace_root().join(dir),
        None => workspace_root().join("target"),
    }
}
