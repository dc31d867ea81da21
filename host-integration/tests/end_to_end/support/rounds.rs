//! How often a test does the same.

use inhost_testbed::variable;

/// The environment variable that says how many rounds there are, in tests that do the same time and
/// again. What else they have much of, such as calls that wait, is so much for each round.
const ROUNDS: &str = "INHOST_ROUNDS";

/// How many rounds a test makes: as many as the user says, else `default`, which is what a test run has time for.
pub(crate) fn rounds(default: usize) -> usize {
    variable(ROUNDS).unwrap_or(default)
}
