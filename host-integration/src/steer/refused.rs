//! What is said of a command that is refused.
//!
//! Whoever may send a command writes to the log with it. So what is said has one line, a length and
//! a number that are bounded.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::Way;

/// How many characters of a mode that is none are shown.
const SHOWN: usize = 64;

/// How many characters of what the parser says are shown: its own words, and some of what was sent.
const PARSER: usize = 128;

/// The time between two warnings.
const PAUSE: Duration = Duration::from_secs(1);

/// The beginning of what was sent, on one line. What it leaves unchanged has no character that needs an escape.
pub(super) fn shown(sent: &str) -> String {
    cut(sent, SHOWN)
}

/// What the parser says of what was sent. Names are in it as they were sent.
pub(super) fn by_parser(error: &serde_json::Error) -> String {
    cut(&error.to_string(), PARSER)
}

fn cut(text: &str, most: usize) -> String {
    let mut rest = text.chars();
    let mut shown = String::new();
    for c in rest.by_ref().take(most) {
        match c {
            '"' | '\'' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The warnings about commands: one in a second, with how many were left out before it.
#[derive(Default)]
pub(super) struct Warnings(Mutex<Last>);

#[derive(Default)]
struct Last {
    at: Option<Instant>,
    left_out: u64,
}

impl Warnings {
    /// Says that a command of `by` was refused, if it is time for that.
    pub(super) fn warn(&self, by: &str, way: Way, error: &str) {
        if let Some(left_out) = self.next() {
            warn!(by, %way, left_out, "a command to change the mode of calls is refused: {error}");
        }
    }

    /// How many were left out since the last one, if it is time for the next.
    fn next(&self) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_some_and(|at| at.elapsed() < PAUSE) {
            last.left_out += 1;
            return None;
        }
        last.at = Some(Instant::now());
        Some(std::mem::take(&mut last.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_bounded_and_has_one_line() {
        assert_eq!(shown("prefer"), "prefer");
        assert_eq!(shown("it's \"x\""), "it's \"x\"");
        assert_eq!(
            shown("a\nb\u{1b}[2J\u{2028}\\n"),
            "a\\nb\\u{1b}[2J\\u{2028}\\\\n"
        );
        let long = "ü".repeat(1 << 20);
        assert_eq!(shown(&long), "ü".repeat(SHOWN) + "…");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_warning_in_a_second_and_it_counts_those_that_were_left_out() {
        let warnings = Warnings::default();
        assert_eq!(warnings.next(), Some(0));
        for _ in 0..50_000 {
            assert_eq!(warnings.next(), None);
        }
        tokio::time::advance(PAUSE).await;
        assert_eq!(warnings.next(), Some(50_000));
        assert_eq!(warnings.next(), None);
        tokio::time::advance(2 * PAUSE).await;
        assert_eq!(warnings.next(), Some(1));
    }
}
