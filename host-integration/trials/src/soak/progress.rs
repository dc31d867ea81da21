//! How far a run is: a bar on a terminal, else a line for each tenth.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use xtask::bar::bar;

/// What the bar shows.
const BAR: &str = "{bar:30} {human_pos} of {human_len} calls, {elapsed}, {eta} left {msg}";

#[derive(Debug)]
pub(super) struct Progress {
    total: u64,
    done: u64,
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins, on standard error.
    pub(super) fn start(total: u64) -> Self {
        Self {
            total,
            done: 0,
            start: Instant::now(),
            bar: bar(total, BAR),
        }
    }

    /// So many calls more have ended.
    pub(super) fn add(&mut self, calls: u64) {
        let before = self.done;
        self.done += calls;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None => {
                if let Some(line) = line(before, self.done, self.total, self.start.elapsed()) {
                    eprintln!("{line}");
                }
            }
        }
    }

    /// Says what is being done, beside the bar.
    pub(super) fn say(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            // It stays as it was when all was done, or when something went wrong.
            bar.abandon();
        }
    }
}

/// The line that is due, if any, when `before` calls of `total` had ended and now `done` have.
fn line(before: u64, done: u64, total: u64, elapsed: Duration) -> Option<String> {
    let tenths = |calls: u64| u128::from(calls) * 10 / u128::from(total.max(1));
    if tenths(done) == tenths(before) {
        return None;
    }
    let left = elapsed.as_secs_f64() * (total.saturating_sub(done)) as f64 / done.max(1) as f64;
    Some(format!(
        "{:>4} %: {done} of {total} calls after {:.0} s, about {left:.0} s left",
        tenths(done) * 10,
        elapsed.as_secs_f64(),
    ))
}
