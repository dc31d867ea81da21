//! A queue that is bounded in items and in weight, whose readers take turns.
//!
//! ```text
//!            give                pause              close
//!   closed --------> read by one -----> paused ---------------> closed
//!                         ^               |
//!                         +---- give -----+
//! ```
//!
//! While it is closed it refuses items, else it takes them. What is in it when one reader's turn ends is for the next.
//! With it goes a source: something else that brings items, which whoever has the turn borrows to look at it. It is out of
//! the queue then, so that no lock is held.
//!
//! A channel does not do: an item that is sent while the queue closes must either be refused or come back from
//! [`Queue::close`]. With a channel there is a moment in which it does neither, and the item is dropped.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

#[cfg(all(test, inhost_loom))]
mod loom;

pub(crate) struct Queue<T, S> {
    state: Mutex<State<T, S>>,
    max_items: usize,
    max_weight: usize,
}

struct State<T, S> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    turn: Turn,
    source: Source<S>,
    /// Readers that wait for an item, or for their turn: few, and nearly always one.
    waiting: Vec<(u64, Waker)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Closed,
    Paused,
    Of(u64),
}

enum Source<S> {
    Absent,
    Here(S),
    Borrowed,
}

/// Why an item was not taken. It comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<T> {
    /// The queue holds as much as it may.
    Full(T),
    /// No one reads any more.
    Closed(T),
}

/// What a reader gets that asks for the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Loan<S> {
    /// To be given back with [`Queue::give_back`].
    Source(S),
    /// There is none. One can be brought with [`Queue::give_back`].
    Absent,
    /// It is not the turn of the reader, or the one before has not given the source back yet. The reader is woken.
    Wait,
}

impl<T, S> Queue<T, S> {
    /// A queue that is closed.
    pub(crate) fn new(max_items: NonZeroUsize, max_weight: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                weight: 0,
                turn: Turn::Closed,
                source: Source::Absent,
                waiting: Vec::new(),
            }),
            max_items: max_items.get(),
            max_weight,
        }
    }

    /// Puts `item` at the end. An item that is heavier than the whole limit is taken when the queue is empty, so
    /// that it is not refused for ever.
    pub(crate) fn push(&self, item: T, weight: usize) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        if state.turn == Turn::Closed {
            return Err(Refused::Closed(item));
        }
        let too_heavy = state.weight.saturating_add(weight) > self.max_weight;
        if state.items.len() >= self.max_items || (too_heavy && !state.items.is_empty()) {
            return Err(Refused::Full(item));
        }
        state.weight = state.weight.saturating_add(weight);
        state.items.push_back((item, weight));
        let reader = state.whose_turn();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Takes the oldest item. If there is none, or it is not the turn of `reader`, has the task of `cx` woken when that
    /// changes. Of a reader, only the latest task is woken.
    pub(crate) fn poll_pop(&self, reader: u64, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.lock();
        let item = match state.turn {
            Turn::Of(turn) if turn == reader => state.items.pop_front(),
            _ => None,
        };
        match item {
            Some((item, weight)) => {
                state.weight = state.weight.saturating_sub(weight);
                Poll::Ready(item)
            }
            None => {
                // The waker that this replaces is dropped after the lock is: dropping it can run code.
                let replaced = state.wait(reader, cx.waker());
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// Takes the source out, if it is the turn of `reader`.
    pub(crate) fn borrow(&self, reader: u64, cx: &mut Context<'_>) -> Loan<S> {
        let mut state = self.lock();
        if state.turn == Turn::Of(reader) {
            match std::mem::replace(&mut state.source, Source::Borrowed) {
                Source::Here(source) => return Loan::Source(source),
                Source::Absent => {
                    state.source = Source::Absent;
                    return Loan::Absent;
                }
                Source::Borrowed => {}
            }
        }
        let replaced = state.wait(reader, cx.waker());
        drop(state);
        drop(replaced);
        Loan::Wait
    }

    /// Gives the source back, or brings one. `None` when it has ended. It is for whoever has the turn by now; no one's if
    /// the queue is closed.
    pub(crate) fn give_back(&self, reader: u64, source: Option<S>) {
        let mut state = self.lock();
        let superfluous = match (source, state.turn, &state.source) {
            // While this one was made, another was brought.
            (source, _, Source::Here(_)) => source,
            (source, Turn::Closed, _) => {
                state.source = Source::Absent;
                source
            }
            (Some(source), ..) => {
                state.source = Source::Here(source);
                None
            }
            (None, ..) => {
                state.source = Source::Absent;
                None
            }
        };
        let next = match state.turn {
            Turn::Of(turn) if turn != reader => state.whose_turn(),
            _ => None,
        };
        drop(state);
        drop(superfluous);
        if let Some(next) = next {
            next.wake();
        }
    }

    /// No one reads from here on, until [`Queue::give`]. Returns the waker of whoever had the turn, which gets no other one.
    pub(crate) fn pause(&self) -> Option<Waker> {
        let mut state = self.lock();
        let waker = state.whose_turn();
        state.turn = Turn::Paused;
        waker
    }

    /// It is the turn of `reader`. Returns its waker, if it waits.
    pub(crate) fn give(&self, reader: u64) -> Option<Waker> {
        let mut state = self.lock();
        state.turn = Turn::Of(reader);
        state.whose_turn()
    }

    /// Takes the source away, if it is no one's turn.
    pub(crate) fn take_source(&self) -> Option<S> {
        let mut state = self.lock();
        match state.turn {
            Turn::Of(_) => None,
            _ => state.take_source(),
        }
    }

    /// Refuses further items. Returns the source, if it is here, and the items that are left, oldest first.
    pub(crate) fn close(&self) -> (Option<S>, Vec<T>) {
        let mut state = self.lock();
        state.turn = Turn::Closed;
        state.weight = 0;
        let (source, left) = (state.take_source(), std::mem::take(&mut state.items));
        drop(state);
        (source, left.into_iter().map(|(item, _)| item).collect())
    }

    /// `reader` is not going to read any more, and holds no source.
    pub(crate) fn leave(&self, reader: u64) {
        let mut state = self.lock();
        if state.turn == Turn::Of(reader) && matches!(state.source, Source::Borrowed) {
            // It was lost, with a panic of whoever looked at it.
            state.source = Source::Absent;
        }
        let waker = state.waiter(reader);
        drop(state);
        drop(waker);
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<T, S>> {
        // No code of others runs under the lock, so a panic cannot have left the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, S> State<T, S> {
    /// Has `reader` woken. Returns the waker that it had before.
    fn wait(&mut self, reader: u64, waker: &Waker) -> Option<Waker> {
        match self.waiting.iter_mut().find(|(id, _)| *id == reader) {
            Some((_, known)) if known.will_wake(waker) => None,
            Some((_, known)) => Some(std::mem::replace(known, waker.clone())),
            None => {
                self.waiting.push((reader, waker.clone()));
                None
            }
        }
    }

    /// One that is borrowed stays so: it is dropped when it is given back.
    fn take_source(&mut self) -> Option<S> {
        match std::mem::replace(&mut self.source, Source::Absent) {
            Source::Here(source) => Some(source),
            other => {
                self.source = other;
                None
            }
        }
    }

    fn waiter(&mut self, reader: u64) -> Option<Waker> {
        let at = self.waiting.iter().position(|(id, _)| *id == reader)?;
        Some(self.waiting.swap_remove(at).1)
    }

    /// Whom to wake when there is something to read.
    fn whose_turn(&mut self) -> Option<Waker> {
        match self.turn {
            Turn::Of(reader) => self.waiter(reader),
            _ => None,
        }
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready_eq, task};

    /// One that reader 1 reads.
    fn queue(max_items: usize, max_weight: usize) -> Queue<u32, &'static str> {
        let max_items = NonZeroUsize::new(max_items).expect("not zero");
        let queue = Queue::new(max_items, max_weight);
        assert!(queue.give(1).is_none());
        queue
    }

    fn pop(queue: &Queue<u32, &'static str>) -> Poll<u32> {
        task::spawn(()).enter(|cx, _| queue.poll_pop(1, cx))
    }

    fn borrow(queue: &Queue<u32, &'static str>, reader: u64) -> Loan<&'static str> {
        task::spawn(()).enter(|cx, _| queue.borrow(reader, cx))
    }

    #[test]
    fn hands_items_out_in_order() {
        let queue = queue(8, 8);
        for item in 0..4 {
            assert_eq!(queue.push(item, 1), Ok(()));
        }
        for item in 0..4 {
            assert_ready_eq!(pop(&queue), item);
        }
        assert_pending!(pop(&queue));
    }

    #[test]
    fn refuses_more_items_than_its_limit() {
        let queue = queue(2, 100);
        assert_eq!(queue.push(1, 0), Ok(()));
        assert_eq!(queue.push(2, 0), Ok(()));
        assert_eq!(queue.push(3, 0), Err(Refused::Full(3)));
        assert_ready_eq!(pop(&queue), 1);
        assert_eq!(queue.push(3, 0), Ok(()));
    }

    #[test]
    fn refuses_more_weight_than_its_limit_and_gets_it_back() {
        let queue = queue(100, 10);
        assert_eq!(queue.push(1, 6), Ok(()));
        assert_eq!(queue.push(2, 5), Err(Refused::Full(2)));
        assert_eq!(queue.push(2, 4), Ok(()));
        assert_ready_eq!(pop(&queue), 1);
        assert_eq!(queue.push(3, 6), Ok(()));
        assert_eq!(queue.push(4, 1), Err(Refused::Full(4)));
    }

    #[test]
    fn takes_an_item_heavier_than_the_limit_when_it_is_empty() {
        let queue = queue(100, 10);
        assert_eq!(queue.push(1, usize::MAX), Ok(()));
        assert_eq!(queue.push(2, usize::MAX), Err(Refused::Full(2)));
        assert_ready_eq!(pop(&queue), 1);
        assert_eq!(queue.push(2, 11), Ok(()));
    }

    #[test]
    fn wakes_a_reader_that_waits() {
        let queue = queue(8, 8);
        let mut reader = task::spawn(());
        assert_pending!(reader.enter(|cx, _| queue.poll_pop(1, cx)));
        assert!(!reader.is_woken());
        assert_eq!(queue.push(1, 1), Ok(()));
        assert!(reader.is_woken());
        assert_ready_eq!(reader.enter(|cx, _| queue.poll_pop(1, cx)), 1);
    }

    #[test]
    fn an_item_is_refused_or_handed_back_when_it_closes_meanwhile() {
        for _ in 0..200 {
            let queue = queue(1000, 1000);
            let (taken, left) = std::thread::scope(|threads| {
                let push = threads.spawn(|| (0..100).filter(|i| queue.push(*i, 1).is_ok()).count());
                let close = threads.spawn(|| queue.close().1.len());
                (push.join().expect("push"), close.join().expect("close"))
            });
            assert_eq!(taken, left);
            assert_eq!(queue.push(1, 1), Err(Refused::Closed(1)));
            assert_eq!(queue.len(), 0);
        }
    }

    #[test]
    fn what_waits_and_the_source_pass_to_the_next_reader() {
        let queue = queue(8, 8);
        queue.give_back(1, Some("source"));
        assert_eq!(queue.push(1, 1), Ok(()));
        let mut next = task::spawn(());
        assert_pending!(next.enter(|cx, _| queue.poll_pop(2, cx)));
        assert_eq!(borrow(&queue, 2), Loan::Wait);
        drop(queue.pause());
        assert_pending!(pop(&queue));
        assert_eq!(queue.push(2, 1), Ok(()));
        queue.give(2).expect("it waits").wake();
        assert_pending!(pop(&queue));
        assert_ready_eq!(next.enter(|cx, _| queue.poll_pop(2, cx)), 1);
        assert_ready_eq!(next.enter(|cx, _| queue.poll_pop(2, cx)), 2);
        assert_eq!(borrow(&queue, 2), Loan::Source("source"));
    }

    #[test]
    fn a_source_that_is_given_back_late_wakes_the_next_reader() {
        let queue = queue(8, 8);
        assert_eq!(borrow(&queue, 1), Loan::Absent);
        queue.give_back(1, Some("source"));
        assert_eq!(borrow(&queue, 1), Loan::Source("source"));
        drop(queue.pause());
        assert_eq!(queue.take_source(), None);
        let _ = queue.give(2);
        let mut next = task::spawn(());
        let waits = next.enter(|cx, _| queue.borrow(2, cx));
        assert_eq!(waits, Loan::Wait);
        queue.give_back(1, Some("source"));
        assert!(next.is_woken());
        assert_eq!(borrow(&queue, 2), Loan::Source("source"));
        // One that has ended is not there any more.
        queue.give_back(2, None);
        assert_eq!(borrow(&queue, 2), Loan::Absent);
    }

    #[test]
    fn the_source_does_not_stay_in_a_queue_that_no_one_reads() {
        let queue = queue(8, 8);
        queue.give_back(1, Some("source"));
        assert_eq!(queue.take_source(), None, "it is read");
        drop(queue.pause());
        assert_eq!(queue.take_source(), Some("source"));
        let _ = queue.give(1);
        queue.give_back(1, Some("source"));
        assert_eq!(borrow(&queue, 1), Loan::Source("source"));
        assert_eq!(queue.close(), (None, vec![]));
        queue.give_back(1, Some("source"));
        let _ = queue.give(2);
        assert_eq!(borrow(&queue, 2), Loan::Absent);
    }

    #[test]
    fn a_reader_that_leaves_is_forgotten() {
        let queue = queue(8, 8);
        queue.give_back(1, Some("source"));
        let mut reader = task::spawn(());
        assert_pending!(reader.enter(|cx, _| queue.poll_pop(1, cx)));
        assert_eq!(borrow(&queue, 1), Loan::Source("source"));
        queue.leave(1);
        assert_eq!(queue.push(1, 1), Ok(()));
        assert!(!reader.is_woken());
        let _ = queue.give(2);
        assert_eq!(borrow(&queue, 2), Loan::Absent, "the source is lost");
    }
}
