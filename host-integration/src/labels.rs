//! The host's labels: from `--label`, and from environment variables whose name starts with `WASMCLOUD_LABEL_`.

use std::collections::HashMap;
use std::ffi::OsString;

use anyhow::{bail, Context as _};
use tracing::warn;

const VARIABLE_PREFIX: &str = "WASMCLOUD_LABEL_";

/// The variable of the label with this key.
pub(crate) fn variable(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{key}")
}

/// Collects labels from the values of `--label` and from `environment` (name and value of each variable).
///
/// A label of a flag wins over one of the environment. Of two flags with the same key, the later one wins.
///
/// # Errors
///
/// When a flag's value is not `key=value` with exactly one `=`, and when a label of the environment is not UTF-8.
pub(crate) fn collect(
    flags: &[String],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<HashMap<String, String>> {
    let mut labels = HashMap::new();
    for flag in flags {
        let (key, value) = parse(flag)?;
        labels.insert(key.to_string(), value.to_string());
    }
    let from_flags = labels.clone();
    for (name, value) in environment {
        let Some(key) = name
            .to_str()
            .and_then(|name| name.strip_prefix(VARIABLE_PREFIX))
        else {
            continue;
        };
        if from_flags.contains_key(key) {
            warn!(
                key,
                "`--label` sets this label; the one in the environment is not used"
            );
            continue;
        }
        let value = value.to_str().with_context(|| {
            format!(
                "the value of environment variable `{}` is not UTF-8",
                variable(key)
            )
        })?;
        labels.insert(key.to_string(), value.to_string());
    }
    Ok(labels)
}

fn parse(label: &str) -> anyhow::Result<(&str, &str)> {
    match label.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key, value)),
        _ => bail!("`--label {label}` is not a label: write `key=value` with exactly one `=`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect_from(
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<HashMap<String, String>> {
        let flags: Vec<_> = flags.iter().map(ToString::to_string).collect();
        collect(
            &flags,
            environment
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    fn expected(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn flags_win_over_the_environment() {
        let labels = collect_from(
            &["zone=a", "tier="],
            &[
                ("WASMCLOUD_LABEL_zone", "b"),
                ("WASMCLOUD_LABEL_rack", "r=1"),
                ("WASMCLOUD_LATTICE", "default"),
                ("label", "x"),
            ],
        );
        assert_eq!(
            labels.expect("labels"),
            expected(&[("zone", "a"), ("tier", ""), ("rack", "r=1")])
        );
    }

    #[test]
    fn the_last_of_two_flags_wins() {
        let labels = collect_from(&["zone=a", "zone=b"], &[]);
        assert_eq!(labels.expect("labels"), expected(&[("zone", "b")]));
    }

    #[test]
    fn a_flag_without_exactly_one_equals_sign_is_refused() {
        for bad in ["zone", "", "zone=a=b"] {
            let error = collect_from(&[bad], &[]).expect_err(bad).to_string();
            assert!(
                error.contains("--label") && error.contains("key=value"),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf8_matters_only_if_it_is_a_label() {
        use std::os::unix::ffi::OsStringExt as _;

        let garbage = || OsString::from_vec(vec![0xff]);
        let other = [(garbage(), garbage()), ("PATH".into(), garbage())];
        assert_eq!(collect(&[], other).expect("no label"), HashMap::new());

        let label = [("WASMCLOUD_LABEL_zone".into(), garbage())];
        let error = collect(&[], label).expect_err("not UTF-8").to_string();
        assert!(error.contains("WASMCLOUD_LABEL_zone"), "{error}");
    }
}
