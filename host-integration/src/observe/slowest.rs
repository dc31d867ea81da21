//! The slowest recent calls.
//!
//! A call is compared with a number, the duration of the last one on the list. Only a call that is
//! slower takes a lock, so in the long run few do. The list starts anew every five minutes, and the
//! one before is kept: what is shown are the slowest calls of the last five to ten minutes.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many calls a list holds.
const LENGTH: usize = 20;

/// How long a list is added to.
const PERIOD: Duration = Duration::from_secs(300);

/// The slowest calls of the last five to ten minutes, of which `T` is kept.
pub(super) struct Slowest<T> {
    start: Instant,
    /// A call that took no longer, in nanoseconds, is not on the list: 0 while there is room.
    threshold: AtomicU64,
    /// When the list starts anew, in nanoseconds since the start.
    renewal: AtomicU64,
    lists: Mutex<Lists<T>>,
}

struct Lists<T> {
    /// The slowest first.
    current: Vec<Slow<T>>,
    previous: Vec<Slow<T>>,
}

/// A call on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slow<T> {
    pub(super) duration: Duration,
    pub(super) ended: Instant,
    pub(super) call: T,
}

impl<T: Clone> Slowest<T> {
    pub(super) fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(start: Instant) -> Self {
        Self {
            start,
            threshold: AtomicU64::new(0),
            renewal: AtomicU64::new(nanoseconds(PERIOD)),
            lists: Mutex::new(Lists {
                current: Vec::new(),
                previous: Vec::new(),
            }),
        }
    }

    /// Puts a call that has ended at `ended` on the list if it is slow enough. Only then it is made.
    pub(super) fn look(&self, ended: Instant, duration: Duration, call: impl FnOnce() -> T) {
        let slow = nanoseconds(duration) > self.threshold.load(Ordering::Relaxed);
        if !slow && !self.is_over(ended) {
            return;
        }
        let slow = Slow {
            duration,
            ended,
            call: call(),
        };
        let mut lists = self.lock();
        self.renew(&mut lists, ended);
        let list = &mut lists.current;
        let at = list.partition_point(|other| other.duration >= duration);
        list.insert(at, slow);
        // What it pushed off the list is dropped after the lock is.
        let _off = (list.len() > LENGTH).then(|| list.pop());
        if let Some(last) = list.get(LENGTH - 1) {
            let threshold = nanoseconds(last.duration);
            self.threshold.store(threshold, Ordering::Relaxed);
        }
        drop(lists);
    }

    /// The slowest first, as of `now`.
    pub(super) fn list(&self, now: Instant) -> Vec<Slow<T>> {
        let mut calls = {
            let mut lists = self.lock();
            self.renew(&mut lists, now);
            [lists.current.as_slice(), &lists.previous].concat()
        };
        calls.sort_by_key(|call| Reverse(call.duration));
        calls.truncate(LENGTH);
        calls
    }

    fn is_over(&self, now: Instant) -> bool {
        self.since_start(now) >= self.renewal.load(Ordering::Relaxed)
    }

    fn since_start(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.start))
    }

    /// Starts anew if it is time to.
    fn renew(&self, lists: &mut Lists<T>, now: Instant) {
        if !self.is_over(now) {
            return;
        }
        let (now, period) = (self.since_start(now), nanoseconds(PERIOD));
        let current = std::mem::take(&mut lists.current);
        // Without a call or a look for a whole period, this one is too old as well.
        let is_recent = now < self.renewal.load(Ordering::Relaxed) + period;
        lists.previous = if is_recent { current } else { Vec::new() };
        self.threshold.store(0, Ordering::Relaxed);
        self.renewal.store(now + period, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Lists<T>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(slowest: &Slowest<u64>, at: Duration, duration: u64) {
        let ended = slowest.start + at;
        slowest.look(ended, Duration::from_micros(duration), || duration);
    }

    fn list(slowest: &Slowest<u64>, at: Duration) -> Vec<u64> {
        let calls = slowest.list(slowest.start + at);
        calls.iter().map(|call| call.call).collect()
    }

    #[test]
    fn the_slowest_are_kept_and_the_slowest_comes_first() {
        let slowest = Slowest::new();
        // Each one once, in an order that is neither up nor down.
        for n in 0..101 {
            look(&slowest, Duration::ZERO, 1 + n * 37 % 101);
        }
        let expected: Vec<_> = (82..=101).rev().collect();
        assert_eq!(list(&slowest, Duration::ZERO), expected);
    }

    #[test]
    fn a_call_that_is_not_slow_enough_is_not_looked_at_any_further() {
        let slowest = Slowest::new();
        for _ in 0..LENGTH {
            look(&slowest, Duration::ZERO, 10);
        }
        let now = slowest.start;
        slowest.look(now, Duration::from_micros(10), || panic!("it is no slower"));
        look(&slowest, Duration::ZERO, 11);
        assert_eq!(list(&slowest, Duration::ZERO)[..2], [11, 10]);
    }

    #[test]
    fn a_list_is_shown_for_one_more_period_and_then_forgotten() {
        let slowest = Slowest::new();
        for _ in 0..LENGTH {
            look(&slowest, Duration::ZERO, 1000);
        }
        // Faster than all of the period before, which does not keep it out.
        look(&slowest, PERIOD, 7);
        let shown = list(&slowest, PERIOD);
        assert_eq!((shown[0], shown.len()), (1000, LENGTH));
        look(&slowest, 2 * PERIOD, 8);
        assert_eq!(list(&slowest, 2 * PERIOD), [8, 7]);
        assert_eq!(list(&slowest, 3 * PERIOD), [8]);
        assert!(list(&slowest, 4 * PERIOD).is_empty());
    }

    #[test]
    fn a_pause_makes_all_of_it_old() {
        let slowest = Slowest::new();
        look(&slowest, Duration::ZERO, 1000);
        assert!(list(&slowest, 2 * PERIOD).is_empty());
    }
}
