//! The certificates of `--tls-ca-path`.

use std::path::PathBuf;

use anyhow::{bail, Context as _};

/// Checks that `files`, when there are any, hold at least one certificate, so that a mistyped path is reported at
/// start-up rather than as a failed download later.
///
/// # Errors
///
/// When a file cannot be read or is not PEM, and when all of them together hold no certificate.
pub(crate) fn require_any(files: &[PathBuf]) -> anyhow::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let found = wasmcloud_core::tls::load_certs_from_paths(files)
        .with_context(|| format!("cannot load the certificates of `--tls-ca-path` {files:?}"))?;
    if found.is_empty() {
        bail!("`--tls-ca-path` {files:?} holds no certificate: give the path of a file with PEM certificates");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_is_fine_and_a_missing_file_is_named() {
        assert!(require_any(&[]).is_ok());
        let error = require_any(&["no/such/ca.pem".into()]).expect_err("there is no such file");
        assert!(error.to_string().contains("no/such/ca.pem"), "{error}");
    }
}
