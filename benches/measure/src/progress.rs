//! How far a run is, and how long it goes on: a bar on a terminal, else a line for each step.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use xtask::bar::bar;

/// What the bar of [`Progress`] shows.
const BAR: &str = "{bar:30} {percent:>3} %, {elapsed}, {prefix} {wide_msg}";

/// Steps with the time that each is expected to take.
#[derive(Debug)]
pub struct Progress {
    planned: Duration,
    done: Duration,
    current: Duration,
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins, on standard error, with steps that take as long as `planned` in all.
    pub fn start(planned: Duration) -> Self {
        let bar = bar(millis(planned), BAR);
        Self {
            planned,
            done: Duration::ZERO,
            current: Duration::ZERO,
            start: Instant::now(),
            bar,
        }
    }

    /// The step before is done, and `what` begins, which is expected to take as long as `planned`.
    pub fn step(&mut self, what: &str, planned: Duration) {
        self.done += self.current;
        self.current = planned;
        let elapsed = self.start.elapsed();
        let left = left(self.planned, self.done, elapsed);
        match &self.bar {
            Some(bar) => {
                bar.set_position(millis(self.done));
                bar.set_prefix(left);
                bar.set_message(what.to_owned());
            }
            None => eprintln!("{:>5.0} s, {left}: {what}", elapsed.as_secs_f64()),
        }
    }

    /// Writes a line to standard error, above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Writes a line to standard output, above the bar.
    pub fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    /// Ends it: all is done.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.as_ref().filter(|bar| !bar.is_finished()) {
            // It stays as it was when something went wrong.
            bar.abandon();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long the rest takes, when what was planned to take `done` has taken `elapsed`.
fn left(planned: Duration, done: Duration, elapsed: Duration) -> String {
    let rest = planned.saturating_sub(done).as_secs_f64();
    // The first steps say little about the others.
    let pace = match done.as_secs_f64() {
        done if done > 5.0 => elapsed.as_secs_f64() / done,
        _ => 1.0,
    };
    match rest * pace {
        seconds if seconds < 99.5 => format!("about {seconds:.0} s left"),
        seconds => format!("about {:.0} min left", seconds / 60.0),
    }
}
