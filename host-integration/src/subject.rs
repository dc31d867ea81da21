//! NATS subjects that a flag names.

use anyhow::ensure;

/// Checks that messages can be published to `subject`, the value of `flag`: tokens of ASCII letters, digits, `_` and
/// `-`, separated by single dots. Wildcards are for subscriptions and are refused.
///
/// # Errors
///
/// When `subject` is anything else.
pub(crate) fn require_publishable(flag: &str, subject: &str) -> anyhow::Result<()> {
    ensure!(
        subject.split('.').all(is_token),
        "`{flag} {subject}` is not a NATS subject to publish to: \
         use letters, digits, `_` and `-`, in tokens separated by single dots"
    );
    Ok(())
}

fn is_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_separated_by_dots_are_accepted() {
        for subject in ["policy", "wasmcloud.secrets", "a-b.c_d.0", "7.8.9"] {
            assert!(
                require_publishable("--policy-topic", subject).is_ok(),
                "{subject}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_and_the_flag_named() {
        for subject in [
            "", ".", "a.", ".a", "a..b", "a.*", "a.>", "*", ">", "a b", "a\n", "a.b!", "a/b", "ü",
        ] {
            let error = require_publishable("--policy-topic", subject)
                .expect_err(subject)
                .to_string();
            assert!(error.contains("--policy-topic"), "{subject:?}: {error}");
        }
    }
}
