//! The thread that raises the epochs of engines.
//!
//! An engine makes as many ticks in a second as there are, on average, at any time: limits of time
//! are counted in them. While no guest computes, they come in bundles, four times a second: a
//! thread that ran for each would take some of the processor from a host at rest. A guest that is
//! seen at such a tick is asked again one [`TURN`] later; if it still runs then, it computes, and
//! ticks come one by one for as long as there is such a guest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::{Engine, EngineWeak};

use super::{line, TICKS, TURN};

/// Between two bundles of ticks.
const SELDOM: Duration = Duration::from_millis(250);

/// For how long ticks come one by one after a guest was seen to compute.
const FOR_ONE_THAT_COMPUTES: Duration = Duration::from_millis(100);

/// The one tick a second that the runtime of a host makes is not made here.
const OURS: u32 = TICKS - 1;

/// What the thread and those who talk to it share.
struct Clock {
    /// Times count from here.
    began: Instant,
    /// Until when ticks come one by one, in milliseconds.
    one_by_one_until: AtomicU64,
    engines: Mutex<Engines>,
}

#[derive(Default)]
struct Engines {
    /// All that may be alive.
    known: Vec<EngineWeak>,
    /// The thread, while there is one. It ends when no engine is left.
    thread: Option<Thread>,
}

static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock {
    began: Instant::now(),
    one_by_one_until: AtomicU64::new(0),
    engines: Mutex::default(),
});

impl Clock {
    fn engines(&self) -> MutexGuard<'_, Engines> {
        // What is in it is whole at any time.
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn pause(&self) -> Duration {
        match self.one_by_one_until.load(Ordering::Relaxed) > self.now() {
            true => TURN,
            false => SELDOM,
        }
    }

    /// Has ticks come one by one for so long.
    fn one_by_one_for(&self, time: Duration) {
        let now = self.now();
        let until = now.saturating_add(time.as_millis() as u64);
        let before = self.one_by_one_until.fetch_max(until, Ordering::Relaxed);
        if before <= now {
            if let Some(thread) = &self.engines().thread {
                thread.unpark();
            }
        }
    }

    /// What the thread does.
    fn run(&self) {
        let mut ticks = Ticks::from(Instant::now());
        loop {
            thread::park_timeout(self.pause());
            line::look();
            let due = ticks.due(Instant::now());
            let mut engines = self.engines();
            engines.known.retain(|engine| match engine.upgrade() {
                Some(engine) => {
                    (0..due).for_each(|_| engine.increment_epoch());
                    true
                }
                None => false,
            });
            if engines.known.is_empty() {
                engines.thread = None;
                return;
            }
        }
    }
}

/// How many ticks are to be made, so that there are [`OURS`] in a second.
struct Ticks {
    from: Instant,
    made: u64,
}

impl Ticks {
    fn from(from: Instant) -> Self {
        Self { from, made: 0 }
    }

    fn due(&mut self, now: Instant) -> u64 {
        let time = now.saturating_duration_since(self.from).as_nanos();
        let all = time * u128::from(OURS) / 1_000_000_000;
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        let due = all.saturating_sub(self.made);
        self.made = all;
        due
    }
}

/// Raises the epoch of `engine` for as long as it lives.
pub(super) fn drive(engine: &Engine) {
    let mut engines = CLOCK.engines();
    let known = |weak: &EngineWeak| {
        let known = weak.upgrade();
        known.is_some_and(|known| Engine::same(&known, engine))
    };
    if engines.known.iter().any(known) {
        return;
    }
    engines.known.push(engine.weak());
    if engines.thread.is_none() {
        let thread = thread::Builder::new().name("guests' turns".to_owned());
        let thread = thread.spawn(|| CLOCK.run());
        let thread =
            thread.expect("the system has another thread: a runtime of a host starts several");
        engines.thread = Some(thread.thread().clone());
    }
}

/// Notes that a guest has given way for the `turns`th time in its invocation.
pub(super) fn computing(turns: u32) {
    CLOCK.one_by_one_for(match turns {
        // It may have been on its way out.
        1 => TURN + TURN,
        _ => FOR_ONE_THAT_COMPUTES,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_ticks_in_a_second_however_they_are_asked_for() {
        let start = Instant::now();
        let made = |times: &[u64]| -> u64 {
            let mut ticks = Ticks::from(start);
            let times = times.iter().map(|ms| start + Duration::from_millis(*ms));
            times.map(|now| ticks.due(now)).sum()
        };
        assert_eq!(made(&[1_000]), u64::from(OURS));
        assert_eq!(made(&[1, 3, 4, 400, 401, 1_000]), u64::from(OURS));
        assert_eq!(made(&(0..=1_000).collect::<Vec<_>>()), u64::from(OURS));
        assert_eq!(made(&[500, 500, 100]), u64::from(OURS) / 2);
    }
}
