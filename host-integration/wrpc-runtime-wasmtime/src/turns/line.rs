//! In which order guests compute that take long.
//!
//! Turns in equal parts would serve many short computations well, and bring none of many long ones to its end: each would have a
//! part of the processor, and reach its time limit together with the others. So a guest that has computed for longer than
//! [`FREE`] stands in line, and as many of those that stand there compute as there are processors: the oldest invocations first,
//! as on a host where a guest keeps its thread.
//!
//! A guest that computes for very long must not keep all others from it, and they must not keep it: those beyond [`SHORT`] have a
//! line of their own, and when someone stands in both, each has half.
//!
//! It is one line for the process, and holds no thread. Who is in it and is not polled for [`LOST`] loses its place, and stands in
//! line again when it is.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use super::TURN;

/// How long a guest computes before it stands in line.
pub(super) const FREE: Duration = Duration::from_millis(100);

/// How long a guest computes before it stands in the line of those that take very long.
const SHORT: Duration = Duration::from_secs(1);

/// After how long without a turn one that may compute is taken to have been left by whoever polls it.
const LOST: Duration = Duration::from_secs(1);

/// An invocation in the line: by when it came, and a number of its own.
type Key = (Instant, u64);

static LINE: LazyLock<Mutex<Line>> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, NonZero::get);
    Mutex::new(Line::new(processors))
});

#[derive(Debug)]
struct Line {
    /// How many compute at the same time.
    most: usize,
    /// Those that take long, and those that take very long.
    of: [Level; 2],
    /// Which of the two was let in last.
    last: usize,
    next: u64,
}

#[derive(Debug, Default)]
struct Level {
    /// When each has begun its turn.
    computing: BTreeMap<Key, Instant>,
    waiting: BTreeMap<Key, Waker>,
}

impl Line {
    fn new(most: usize) -> Self {
        Self {
            most,
            of: Default::default(),
            last: 0,
            next: 0,
        }
    }

    /// Lets as many in as may compute. They are to be woken, when the line is not locked any more.
    fn let_in(&mut self, now: Instant) -> Vec<Waker> {
        let mut wake = Vec::new();
        while self
            .of
            .iter()
            .map(|level| level.computing.len())
            .sum::<usize>()
            < self.most
        {
            let waits = |level: &usize| !self.of[*level].waiting.is_empty();
            // When someone waits in both, the one of which fewer compute; of as many, the other one than last time.
            let fewest = |level: &usize| (self.of[*level].computing.len(), *level == self.last);
            let Some(level) = (0..self.of.len()).filter(waits).min_by_key(fewest) else {
                break;
            };
            self.last = level;
            let level = &mut self.of[level];
            if let Some((key, waker)) = level.waiting.pop_first() {
                level.computing.insert(key, now);
                wake.push(waker);
            }
        }
        wake
    }

    fn leave(&mut self, level: usize, key: Key) {
        let level = &mut self.of[level];
        level.computing.remove(&key);
        level.waiting.remove(&key);
    }

    /// Has those go to the end who have not had a turn for so long.
    fn look(&mut self, now: Instant) -> Vec<Waker> {
        for level in &mut self.of {
            level
                .computing
                .retain(|_, since| now.saturating_duration_since(*since) < LOST);
        }
        self.let_in(now)
    }
}

fn lock() -> MutexGuard<'static, Line> {
    // What is in it is whole at any time.
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

/// Lets those in that wait for one who is not polled any more.
pub(super) fn look() {
    let woken = lock().look(Instant::now());
    wake(woken);
}

/// A place in the line. Dropped, it is left.
#[derive(Debug)]
pub(super) struct Place {
    key: Key,
    level: usize,
}

impl Place {
    /// Has an invocation that came at `came` stand in line for its next turn, unless that is still free after so many. Its
    /// `place` is the one that it had.
    pub(super) fn stand(place: &mut Option<Self>, came: Instant, turns: u32) {
        let computed = TURN.saturating_mul(turns);
        if computed < FREE {
            return;
        }
        let mut line = lock();
        let place = place.get_or_insert_with(|| {
            line.next += 1;
            let key = (came, line.next);
            Self { key, level: 0 }
        });
        line.leave(place.level, place.key);
        place.level = usize::from(computed >= SHORT);
        let waiting = &mut line.of[place.level].waiting;
        waiting.insert(place.key, Waker::noop().clone());
        let woken = line.let_in(Instant::now());
        drop(line);
        wake(woken);
    }

    /// Ready when it may compute.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut line = lock();
        let level = &mut line.of[self.level];
        if level.computing.contains_key(&self.key) {
            return Poll::Ready(());
        }
        // One that was lost stands in line again.
        level.waiting.insert(self.key, cx.waker().clone());
        let woken = line.let_in(Instant::now());
        let may_compute = line.of[self.level].computing.contains_key(&self.key);
        drop(line);
        wake(woken);
        match may_compute {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let woken = {
            let mut line = lock();
            line.leave(self.level, self.key);
            line.let_in(Instant::now())
        };
        wake(woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(most: usize, long: &[u64], very_long: &[u64]) -> Line {
        let (mut line, now) = (Line::new(most), Instant::now());
        for (level, numbers) in [long, very_long].into_iter().enumerate() {
            for number in numbers {
                let key = (now, *number);
                line.of[level].waiting.insert(key, Waker::noop().clone());
            }
        }
        line
    }

    fn computing(line: &Line) -> [Vec<u64>; 2] {
        [0, 1].map(|level: usize| line.of[level].computing.keys().map(|key| key.1).collect())
    }

    #[test]
    fn the_oldest_compute_and_as_many_as_there_are_processors() {
        let mut line = line(2, &[3, 1, 2], &[]);
        assert_eq!(line.let_in(Instant::now()).len(), 2);
        assert_eq!(computing(&line), [vec![1, 2], vec![]]);
        let first = *line.of[0].computing.keys().next().expect("it computes");
        line.leave(0, first);
        assert_eq!(line.let_in(Instant::now()).len(), 1);
        assert_eq!(computing(&line), [vec![2, 3], vec![]]);
    }

    #[test]
    fn those_that_take_very_long_have_half_when_others_wait_and_all_when_none_does() {
        let now = Instant::now();
        let mut both = line(4, &[1, 2, 3, 4], &[5, 6, 7, 8]);
        both.let_in(now);
        assert_eq!(computing(&both), [vec![1, 2], vec![5, 6]]);
        let mut one = line(4, &[], &[5, 6, 7, 8, 9]);
        one.let_in(now);
        assert_eq!(computing(&one), [vec![], vec![5, 6, 7, 8]]);
    }

    #[test]
    fn on_one_processor_both_lines_take_turns() {
        let (mut line, now) = (line(1, &[1], &[2]), Instant::now());
        let mut order = Vec::new();
        for _ in 0..4 {
            line.let_in(now);
            let (level, of) = (0..2)
                .map(|level| (level, &line.of[level].computing))
                .find(|(_, of)| !of.is_empty())
                .expect("one computes");
            let key = *of.keys().next().expect("it is not empty");
            order.push(key.1);
            line.leave(level, key);
            line.of[level].waiting.insert(key, Waker::noop().clone());
        }
        assert_eq!(order, [2, 1, 2, 1]);
    }

    #[test]
    fn one_that_is_not_polled_any_more_keeps_no_one_from_computing() {
        let (mut line, now) = (line(1, &[1, 2], &[]), Instant::now());
        line.let_in(now);
        assert!(line.look(now + LOST / 2).is_empty());
        assert_eq!(line.look(now + LOST).len(), 1);
        assert_eq!(computing(&line), [vec![2], vec![]]);
    }
}
