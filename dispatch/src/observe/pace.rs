//! How local calls come: for whoever decides on which threads they run.

use std::sync::atomic::{AtomicU8, Ordering};

/// How local calls of this process have come since the last time that somebody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// None was made.
    Still,
    /// There were calls, and no function had more than one at a time.
    OneByOne,
    /// A function was called again while a call of it was still running.
    Together,
}

impl Pace {
    /// The pace since this was called before, by anyone in this process.
    pub fn take() -> Self {
        NOTED.take()
    }
}

/// Notes a call to a function that has `others` in flight.
pub(crate) fn note(others: usize) {
    NOTED.note(others);
}

static NOTED: Noted = Noted::new();

struct Noted(AtomicU8);

const CALLED: u8 = 1;
const TOGETHER: u8 = 2;

impl Noted {
    const fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    fn note(&self, others: usize) {
        let now = match others {
            0 => CALLED,
            _ => CALLED | TOGETHER,
        };
        // Looked at first: every call comes here, and what all of them write to travels from core to core.
        if self.0.load(Ordering::Relaxed) & now != now {
            self.0.fetch_or(now, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Pace {
        match self.0.swap(0, Ordering::Relaxed) {
            0 => Pace::Still,
            CALLED => Pace::OneByOne,
            _ => Pace::Together,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_since_it_was_last_taken() {
        let noted = Noted::new();
        assert_eq!(noted.take(), Pace::Still);
        noted.note(0);
        noted.note(0);
        assert_eq!(noted.take(), Pace::OneByOne);
        assert_eq!(noted.take(), Pace::Still);
    }

    #[test]
    fn one_call_beside_another_is_enough_to_be_together() {
        let noted = Noted::new();
        noted.note(0);
        noted.note(3);
        noted.note(0);
        assert_eq!(noted.take(), Pace::Together);
        assert_eq!(noted.take(), Pace::Still);
    }
}
