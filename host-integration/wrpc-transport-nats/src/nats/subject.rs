//! How subjects are made.

use std::fmt::Write as _;

/// The name and version of the protocol, a part of each invocation's subject.
pub const PROTOCOL: &str = "wrpc.0.0.1";

pub(super) const PARAMS: &str = "params";
pub(super) const RESULTS: &str = "results";

/// The subject of the parameters that are sent to the inbox `prefix`.
#[must_use]
pub fn param_subject(prefix: &str) -> String {
    format!("{prefix}.{PARAMS}")
}

/// The subject of the results that are sent to the inbox `prefix`.
#[must_use]
pub fn result_subject(prefix: &str) -> String {
    format!("{prefix}.{RESULTS}")
}

/// The subject of the stream at `path` below `prefix`.
#[must_use]
pub fn index_path(prefix: &str, path: &[usize]) -> String {
    join(prefix, path, |subject, i| write!(subject, "{i}"))
}

/// As [`index_path`], with `*` in place of what may be any index.
#[must_use]
pub fn subscribe_path(prefix: &str, path: &[Option<usize>]) -> String {
    join(prefix, path, |subject, i| match i {
        Some(i) => write!(subject, "{i}"),
        None => subject.write_char('*'),
    })
}

fn join<T>(
    prefix: &str,
    path: &[T],
    token: impl Fn(&mut String, &T) -> std::fmt::Result,
) -> String {
    let mut subject = String::with_capacity(prefix.len() + 2 * path.len());
    subject.push_str(prefix);
    for part in path {
        if !subject.is_empty() {
            subject.push('.');
        }
        // Writing to a `String` does not fail.
        let _ = token(&mut subject, part);
    }
    subject
}

/// The subject to which calls of `func` of `instance` are sent.
#[must_use]
pub fn invocation_subject(prefix: &str, instance: &str, func: &str) -> String {
    let mut subject =
        String::with_capacity(prefix.len() + PROTOCOL.len() + instance.len() + func.len() + 3);
    for part in [prefix, PROTOCOL, instance] {
        if !part.is_empty() {
            subject.push_str(part);
            subject.push('.');
        }
    }
    subject.push_str(func);
    subject
}

/// The path in the last part of a subject. `None` if it is not one.
pub(super) fn parse_path(text: &str) -> Option<Box<[usize]>> {
    text.split('.').map(|token| token.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_upstream() {
        for prefix in ["", "default.callee"] {
            for instance in ["", "a:b/c@1.0.0"] {
                assert_eq!(
                    invocation_subject(prefix, instance, "[method]d.e"),
                    upstream::invocation_subject(prefix, instance, "[method]d.e")
                );
            }
            for path in [&[][..], &[7], &[0, 12, 345]] {
                assert_eq!(index_path(prefix, path), upstream::index_path(prefix, path));
            }
            for path in [&[][..], &[None], &[Some(0), None, Some(345)]] {
                assert_eq!(
                    subscribe_path(prefix, path),
                    upstream::subscribe_path(prefix, path)
                );
            }
            assert_eq!(param_subject(prefix), upstream::param_subject(prefix));
            assert_eq!(result_subject(prefix), upstream::result_subject(prefix));
        }
        assert_eq!(PROTOCOL, upstream::PROTOCOL);
    }

    #[test]
    fn what_is_no_path_is_found() {
        assert_eq!(parse_path("0.12.345").as_deref(), Some(&[0, 12, 345][..]));
        for text in ["", ".", "1.", "a", "-1", "1..2", "99999999999999999999"] {
            assert_eq!(parse_path(text), None, "{text}");
        }
    }
}
