//! In which order guests compute that take long, and how many of one component.
//!
//! Turns in equal parts would serve many short computations well, and bring none of many long ones
//! to its end: each would have a part of the processor, and reach its time limit together with the
//! others. So a guest that has computed for longer than [`FREE`] stands in line, and as many of
//! those that stand there compute as there are processors: the oldest invocations first, as on a
//! host where a guest keeps its thread.
//!
//! A guest that computes for very long must not keep all others from it, and they must not keep it:
//! those beyond [`SHORT`] have a level of their own, and when someone waits on both, each has half.
//!
//! Each component has a line as well, before an instance is made: an instance holds memory for as
//! long as it waits for its turn. As long as [`MORE`] times as many of its guests compute as there
//! are processors, its next invocation waits. None of these waits for that one: a guest that waits
//! for another has left the lines.
//!
//! A line holds no thread. Who is in it and is not polled for [`LOST`] loses its place, and stands
//! in line again when it is. One that waits for its turn among those of all components is polled
//! when it has that, and keeps its place in the line of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use super::TURN;

/// How long a guest computes before it stands in line.
const FREE: Duration = Duration::from_millis(100);

/// How long a guest computes before it is on the level of those that take very long.
const SHORT: Duration = Duration::from_secs(1);

/// After how long without a turn one that may compute is taken to have been left by whoever polls it.
const LOST: Duration = Duration::from_secs(1);

/// How many guests of a component compute for each processor before another one is made.
const MORE: usize = 4;

/// An invocation in the lines: by when it came, and a number of its own.
pub(super) type Key = (Instant, u64);

fn key(came: Instant) -> Key {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (came, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Those that have computed for longer than [`FREE`], of all components.
static LONG: LazyLock<Arc<Line>> = LazyLock::new(|| Line::new(processors()));

/// Lines in which someone may wait for one who is not polled any more.
static FULL: Mutex<Vec<Weak<Line>>> = Mutex::new(Vec::new());

fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Invocations, of which so many compute at the same time.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// Whether whoever comes has to wait.
    is_full: AtomicBool,
}

#[derive(Debug)]
struct State {
    most: usize,
    levels: [Level; 2],
    /// On which level one was let in last.
    last: usize,
    /// Whether it is among those in [`FULL`].
    is_watched: bool,
}

#[derive(Debug, Default)]
struct Level {
    /// When each has begun its turn.
    computing: BTreeMap<Key, Instant>,
    waiting: BTreeMap<Key, Waker>,
}

impl State {
    fn computing(&self) -> usize {
        self.levels.iter().map(|level| level.computing.len()).sum()
    }

    fn is_full(&self) -> bool {
        let waits = |level: &Level| !level.waiting.is_empty();
        self.computing() >= self.most || self.levels.iter().any(waits)
    }

    /// Lets as many in as may compute. They are to be woken, when the line is not locked any more.
    fn let_in(&mut self, now: Instant) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.computing() < self.most {
            let waits = |level: &usize| !self.levels[*level].waiting.is_empty();
            // When someone waits on both, the one on which fewer compute; of as many, the other one than last time.
            let fewest = |level: &usize| (self.levels[*level].computing.len(), *level == self.last);
            let levels = (0..self.levels.len()).filter(waits);
            let Some(level) = levels.min_by_key(fewest) else {
                break;
            };
            self.last = level;
            let level = &mut self.levels[level];
            if let Some((key, waker)) = level.waiting.pop_first() {
                level.computing.insert(key, now);
                woken.push(waker);
            }
        }
        woken
    }

    fn leave(&mut self, level: usize, key: Key) {
        let level = &mut self.levels[level];
        level.computing.remove(&key);
        level.waiting.remove(&key);
    }

    /// Drops those who have not had a turn for so long, but for those in `elsewhere`.
    fn drop_lost(&mut self, now: Instant, elsewhere: &BTreeSet<Key>) {
        for level in &mut self.levels {
            level.computing.retain(|key, since| {
                if elsewhere.contains(key) {
                    *since = now;
                }
                now.saturating_duration_since(*since) < LOST
            });
        }
    }

    /// All who are in it.
    fn keys(&self) -> BTreeSet<Key> {
        let of = |level: &Level| {
            Vec::from_iter(level.computing.keys().chain(level.waiting.keys()).copied())
        };
        self.levels.iter().flat_map(of).collect()
    }
}

impl Line {
    fn new(most: usize) -> Arc<Self> {
        let state = State {
            most,
            levels: Default::default(),
            last: 0,
            is_watched: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            is_full: AtomicBool::new(false),
        })
    }

    /// The line of a component.
    pub(crate) fn of_component() -> Arc<Self> {
        Self::new(MORE * processors())
    }

    /// Changes who is in it, and lets in who may compute then.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        let woken = state.let_in(Instant::now());
        let is_full = state.is_full();
        self.is_full.store(is_full, Ordering::Relaxed);
        let watch = is_full && !state.is_watched;
        state.is_watched |= is_full;
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if watch {
            watched().push(Arc::downgrade(self));
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is in it is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether whoever comes has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Waits until another invocation, which came at `came`, may begin. `None` when there is no need to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line.
    pub(super) async fn enter(self: &Arc<Self>, came: Instant) -> Option<Place> {
        if !self.is_full() {
            return None;
        }
        let place = self.place(0, key(came), |level, key| {
            level.waiting.insert(key, Waker::noop().clone());
        });
        poll_fn(|cx| place.poll(cx)).await;
        Some(place)
    }

    fn place(
        self: &Arc<Self>,
        level: usize,
        key: Key,
        begin: impl FnOnce(&mut Level, Key),
    ) -> Place {
        self.change(|state| begin(&mut state.levels[level], key));
        Place {
            line: Arc::clone(self),
            key,
            level,
        }
    }
}

fn watched() -> MutexGuard<'static, Vec<Weak<Line>>> {
    FULL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets those in that wait for one who is not polled any more.
pub(super) fn look() {
    let lines = std::mem::take(&mut *watched());
    if lines.is_empty() {
        return;
    }
    // Who is not polled any more is lost there first.
    let long = LONG.change(|state| {
        state.drop_lost(Instant::now(), &BTreeSet::new());
        state.keys()
    });
    for line in lines.iter().filter_map(Weak::upgrade) {
        let is_long = Arc::ptr_eq(&line, &LONG);
        line.change(|state| {
            if !is_long {
                state.drop_lost(Instant::now(), &long);
            }
            state.is_watched = false;
        });
    }
}

/// A place in a line. Dropped, it is left.
#[derive(Debug)]
pub(super) struct Place {
    line: Arc<Line>,
    key: Key,
    level: usize,
}

impl Place {
    /// Has an invocation stand in line for its next turn, unless that is still free after so many.
    /// Its `place` is the one that it had, and `seat` that in the line of its component.
    pub(super) fn stand(place: &mut Option<Self>, seat: Key, turns: u32) {
        let computed = TURN.saturating_mul(turns);
        if computed < FREE {
            return;
        }
        let level = usize::from(computed >= SHORT);
        let wait = |level: &mut Level, key| {
            level.waiting.insert(key, Waker::noop().clone());
        };
        match place {
            // It has waited for something else since. What it has computed before counts all the same.
            None => *place = Some(LONG.place(level, seat, wait)),
            Some(place) => place.line.change(|state| {
                state.leave(place.level, place.key);
                place.level = level;
                wait(&mut state.levels[level], place.key);
            }),
        }
    }

    /// Has it be among those of `line` that compute, however many these are. Returns who it is.
    pub(super) fn sit(place: &mut Option<Self>, line: &Arc<Line>, came: Instant) -> Key {
        let sit = |level: &mut Level, key| {
            level.computing.insert(key, Instant::now());
        };
        match place {
            None => place.insert(line.place(0, key(came), sit)).key,
            Some(place) => {
                line.change(|state| sit(&mut state.levels[place.level], place.key));
                place.key
            }
        }
    }

    /// Ready when it may compute.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let is_in = |state: &State| state.levels[self.level].computing.contains_key(&self.key);
        if is_in(&self.line.lock()) {
            return Poll::Ready(());
        }
        // One that was lost stands in line again.
        self.line.change(|state| {
            let level = &mut state.levels[self.level];
            level.waiting.insert(self.key, cx.waker().clone());
        });
        match is_in(&self.line.lock()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let line = Arc::clone(&self.line);
        line.change(|state| state.leave(self.level, self.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(most: usize, long: &[u64], very_long: &[u64]) -> State {
        let line = Arc::into_inner(Line::new(most)).expect("it is the only one");
        let (mut line, now) = (line.state.into_inner().expect("whole"), Instant::now());
        for (level, numbers) in [long, very_long].into_iter().enumerate() {
            for number in numbers {
                let key = (now, *number);
                line.levels[level]
                    .waiting
                    .insert(key, Waker::noop().clone());
            }
        }
        line
    }

    fn computing(line: &State) -> [Vec<u64>; 2] {
        [0, 1].map(|level: usize| {
            line.levels[level]
                .computing
                .keys()
                .map(|key| key.1)
                .collect()
        })
    }

    #[test]
    fn the_oldest_compute_and_as_many_as_there_are_processors() {
        let mut line = line(2, &[3, 1, 2], &[]);
        assert_eq!(line.let_in(Instant::now()).len(), 2);
        assert_eq!(computing(&line), [vec![1, 2], vec![]]);
        let first = *line.levels[0].computing.keys().next().expect("it computes");
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
    fn one_that_computes_for_very_long_in_parts_is_among_those_that_take_very_long() {
        let turns = |computed: Duration| computed.div_duration_f32(TURN) as u32;
        for (computed, level) in [(FREE, 0), (SHORT, 1)] {
            let mut place = None;
            Place::stand(&mut place, key(Instant::now()), turns(computed));
            assert_eq!(place.expect("it stands in line").level, level);
        }
    }

    #[test]
    fn on_one_processor_both_lines_take_turns() {
        let (mut line, now) = (line(1, &[1], &[2]), Instant::now());
        let mut order = Vec::new();
        for _ in 0..4 {
            line.let_in(now);
            let (level, of) = (0..2)
                .map(|level| (level, &line.levels[level].computing))
                .find(|(_, of)| !of.is_empty())
                .expect("one computes");
            let key = *of.keys().next().expect("it is not empty");
            order.push(key.1);
            line.leave(level, key);
            line.levels[level]
                .waiting
                .insert(key, Waker::noop().clone());
        }
        assert_eq!(order, [2, 1, 2, 1]);
    }

    #[test]
    fn one_that_is_not_polled_any_more_keeps_no_one_from_computing() {
        let (mut line, now) = (line(1, &[1, 2], &[]), Instant::now());
        line.let_in(now);
        let nowhere = BTreeSet::new();
        line.drop_lost(now + LOST / 2, &nowhere);
        assert!(line.let_in(now).is_empty());
        line.drop_lost(now + LOST, &nowhere);
        assert_eq!(line.let_in(now).len(), 1);
        assert_eq!(computing(&line), [vec![2], vec![]]);
    }

    #[test]
    fn one_that_waits_among_those_of_all_components_keeps_its_place_in_the_line_of_its_own() {
        let (mut line, now) = (line(1, &[1, 2], &[]), Instant::now());
        line.let_in(now);
        let elsewhere = line.levels[0].computing.keys().copied().collect();
        line.drop_lost(now + 3 * LOST, &elsewhere);
        assert!(line.let_in(now).is_empty());
        // It has time to be polled once it is let in there.
        line.drop_lost(now + 3 * LOST + LOST / 2, &BTreeSet::new());
        assert!(line.let_in(now).is_empty());
        assert_eq!(computing(&line), [vec![1], vec![]]);
    }
}
