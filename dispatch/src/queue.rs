//! A queue for one reader that is bounded in items and in weight, and that hands back what it holds when it closes.
//!
//! A channel does not do: an item that is sent while the reader closes must either be refused or come back from
//! [`Queue::close`]. With a channel there is a moment in which it does neither, and the item is dropped.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

#[cfg(all(test, inhost_loom))]
mod loom;

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    max_items: usize,
    max_weight: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    closed: bool,
    reader: Option<Waker>,
}

/// Why an item was not taken. It comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<T> {
    /// The queue holds as much as it may.
    Full(T),
    /// No one reads any more.
    Closed(T),
}

impl<T> Queue<T> {
    pub(crate) fn new(max_items: NonZeroUsize, max_weight: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                weight: 0,
                closed: false,
                reader: None,
            }),
            max_items: max_items.get(),
            max_weight,
        }
    }

    /// Puts `item` at the end. An item that is heavier than the whole limit is taken when the queue is empty, so
    /// that it is not refused for ever.
    pub(crate) fn push(&self, item: T, weight: usize) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed(item));
        }
        let too_heavy = state.weight.saturating_add(weight) > self.max_weight;
        if state.items.len() >= self.max_items || (too_heavy && !state.items.is_empty()) {
            return Err(Refused::Full(item));
        }
        state.weight = state.weight.saturating_add(weight);
        state.items.push_back((item, weight));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Takes the oldest item, or has the task of `cx` woken when there is one. Only the latest task is woken.
    ///
    /// Not to be called after [`Queue::close`]: it would wait for ever.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = self.lock();
        match state.items.pop_front() {
            Some((item, weight)) => {
                state.weight = state.weight.saturating_sub(weight);
                Poll::Ready(item)
            }
            None => {
                // The waker that this replaces is dropped after the lock is: dropping it can run code.
                let replaced = match &state.reader {
                    Some(reader) if reader.will_wake(cx.waker()) => None,
                    _ => state.reader.replace(cx.waker().clone()),
                };
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// Refuses further items and returns those that are left, oldest first.
    pub(crate) fn close(&self) -> impl Iterator<Item = T> {
        let mut state = self.lock();
        state.closed = true;
        state.weight = 0;
        let (left, reader) = (std::mem::take(&mut state.items), state.reader.take());
        drop(state);
        drop(reader);
        left.into_iter().map(|(item, _)| item)
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of others runs under the lock, so a panic cannot have left the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready_eq, task};

    fn queue(max_items: usize, max_weight: usize) -> Queue<u32> {
        Queue::new(NonZeroUsize::new(max_items).expect("not zero"), max_weight)
    }

    fn pop(queue: &Queue<u32>) -> Poll<u32> {
        task::spawn(()).enter(|cx, _| queue.poll_pop(cx))
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
        assert_pending!(reader.enter(|cx, _| queue.poll_pop(cx)));
        assert!(!reader.is_woken());
        assert_eq!(queue.push(1, 1), Ok(()));
        assert!(reader.is_woken());
        assert_ready_eq!(reader.enter(|cx, _| queue.poll_pop(cx)), 1);
    }

    #[test]
    fn an_item_is_refused_or_handed_back_when_it_closes_meanwhile() {
        for _ in 0..200 {
            let queue = queue(1000, 1000);
            let (taken, left) = std::thread::scope(|threads| {
                let push = threads.spawn(|| (0..100).filter(|i| queue.push(*i, 1).is_ok()).count());
                let close = threads.spawn(|| queue.close().count());
                (push.join().expect("push"), close.join().expect("close"))
            });
            assert_eq!(taken, left);
            assert_eq!(queue.push(1, 1), Err(Refused::Closed(1)));
            assert_eq!(queue.len(), 0);
        }
    }
}
