//! The stock host, which is built from what this workspace does not patch.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{bail, ensure, Context as _};

use crate::workspace::{target_dir, workspace_root};

/// The environment variable that gives the path of a stock host that is there already.
pub const STOCK_HOST: &str = "STOCK_HOST";

/// The package and the program.
const NAME: &str = "stock-host";

/// Where a stock host is: the one that the variable [`STOCK_HOST`] names, else one that Cargo builds now, for
/// development. A build from nothing takes some minutes and blocks the thread. It is done once in a process.
///
/// # Errors
///
/// When the variable names no file, or when the host cannot be built; the error carries Cargo's last lines.
pub fn stock_host() -> anyhow::Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let found = match std::env::var_os(STOCK_HOST).filter(|path| !path.is_empty()) {
            Some(path) => given(Path::new(&path)),
            None => build(),
        };
        found.map_err(|error| format!("{error:#}"))
    });
    found.clone().map_err(anyhow::Error::msg)
}

fn given(path: &Path) -> anyhow::Result<PathBuf> {
    ensure!(
        path.is_file(),
        "the variable {STOCK_HOST} names {}, which is not a file",
        path.display()
    );
    std::path::absolute(path).with_context(|| format!("{} is not a path", path.display()))
}

fn build() -> anyhow::Result<PathBuf> {
    let target = target_dir();
    let manifest = workspace_root()
        .join("benches")
        .join("stock")
        .join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--locked", "--package", NAME, "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .output()
        .context("cannot run cargo to build the stock host")?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = messages.lines().collect();
        bail!(
            "cargo could not build the stock host from {} ({}):\n{}",
            manifest.display(),
            output.status,
            lines[lines.len().saturating_sub(20)..].join("\n")
        );
    }
    given(&target.join("debug").join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_no_file_is_an_error_that_says_so() {
        let error = given(Path::new("/missing/stock-host"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("STOCK_HOST") && error.contains("/missing/stock-host"),
            "{error}"
        );
    }
}
