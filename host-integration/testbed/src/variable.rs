//! What a user asks of a test.

use std::str::FromStr;

/// The value of the environment variable `name`; `None` when it is not set.
///
/// # Panics
///
/// When it cannot be read as a `T`: a test that did something else than was asked would be of no use.
#[must_use]
pub fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name} is {value:?}, which cannot be read"),
    }
}
