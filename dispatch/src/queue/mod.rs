//! A queue that is bounded in items and in weight, whose readers take turns.
//!
//! What comes when it is full is refused, or waits behind the others: it is beyond the bounds then,
//! and whoever put it there goes on when it is within (`room`). Items are read in the order in
//! which they came, whether they had to wait or not, and one that is given up is taken out of the
//! middle.
//!
//! ```text
//!            give                pause              close
//!   closed --------> read by one -----> paused ---------------> closed
//!                         ^               |
//!                         +---- give -----+
//! ```
//!
//! While it is closed it refuses items, else it takes them. What is in it when one reader's turn
//! ends is for the next. With it goes a source: something else that brings items, which whoever has
//! the turn borrows to look at it. It is out of the queue then, so that no lock is held.
//!
//! A channel does not do: an item that is sent while the queue closes must either be refused or come back from
//! [`Queue::close`]. With a channel there is a moment in which it does neither, and the item is dropped.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

mod backlog;
#[cfg(all(test, inhost_loom))]
mod loom;
#[cfg(test)]
mod numbered;
mod room;
#[cfg(all(test, not(inhost_loom)))]
mod tests;

use backlog::Backlog;
pub(crate) use room::Room;
use room::Rooms;

/// For how many items an empty queue keeps memory.
const KEPT: usize = 64;

pub(crate) struct Queue<T, S> {
    state: Mutex<State<T, S>>,
    /// Whether there was no room when the state was last changed. For who would rather not prepare an item in vain.
    full: AtomicBool,
}

/// What a queue holds.
pub(crate) trait Item {
    /// The room that it takes up.
    fn room(&self) -> &Room;
}

/// What becomes of an item that comes when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfFull {
    Refuse,
    Wait,
}

struct State<T, S> {
    items: VecDeque<T>,
    rooms: Rooms,
    turn: Turn,
    source: Source<S>,
    /// Kept once someone has asked for it.
    backlog: Option<Backlog>,
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

impl<T: Item, S> Queue<T, S> {
    /// A queue that is closed.
    pub(crate) fn new(max_items: NonZeroUsize, max_weight: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                rooms: Rooms::new(max_items.get(), max_weight),
                turn: Turn::Closed,
                source: Source::Absent,
                backlog: None,
                waiting: Vec::new(),
            }),
            full: AtomicBool::new(false),
        }
    }

    /// Whether an item would most likely be refused. It may be so no more when this returns.
    pub(crate) fn seems_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether an item that comes now would most likely wait longer than it takes to send it elsewhere.
    pub(crate) fn seems_late(&self) -> bool {
        let mut state = self.lock();
        let others = state.items.len();
        let backlog = state.backlog.get_or_insert_with(|| Backlog::new(others));
        backlog.is_late(others)
    }

    /// Puts `item` at the end. An item that is heavier than the whole limit is taken when the queue is empty, so
    /// that it is not refused for ever.
    pub(crate) fn push(&self, item: T, weight: usize, if_full: IfFull) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        if state.turn == Turn::Closed {
            return Err(Refused::Closed(item));
        }
        if !state.rooms.take(item.room(), weight) {
            if if_full == IfFull::Refuse {
                return Err(Refused::Full(item));
            }
            let others = state.items.len();
            state.rooms.wait(item.room(), weight, others);
        }
        state.items.push_back(item);
        self.announce(state);
        Ok(())
    }

    /// Puts back an item that was taken: it is the next one again, however full the queue is.
    pub(crate) fn put_back(&self, item: T, weight: usize) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        if state.turn == Turn::Closed {
            return Err(Refused::Closed(item));
        }
        state.rooms.take_back(item.room(), weight);
        state.items.push_front(item);
        self.announce(state);
        Ok(())
    }

    /// There is an item: whoever waits for one is woken, without the lock.
    fn announce(&self, mut state: MutexGuard<'_, State<T, S>>) {
        self.changed(&state);
        let reader = state.whose_turn();
        if let Some(backlog) = &mut state.backlog {
            backlog.comes(reader.is_some());
        }
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes the item of `room` out, in whatever place it is. `None` when it is not in the queue.
    ///
    /// Whoever puts the item back at the same time may do so after this has looked.
    pub(crate) fn remove(&self, room: &Room) -> Option<T> {
        // Most often it has been taken, and there is no need to look for it.
        if room.has_left() {
            return None;
        }
        let mut state = self.lock();
        let mut rooms = state.items.iter().map(|item| item.room().id());
        let at = rooms.position(|id| id == room.id())?;
        let item = state.items.remove(at)?;
        self.left(state, &item, at);
        Some(item)
    }

    /// `item` has left, whose place was `at`: there is room for others.
    fn left(&self, mut guard: MutexGuard<'_, State<T, S>>, item: &T, at: usize) {
        let state = &mut *guard;
        let woken = state.rooms.leave(item.room(), at, &state.items);
        self.changed(state);
        if let Some(backlog) = &mut state.backlog {
            backlog.goes(state.items.len());
        }
        let spare = state.spare();
        drop(guard);
        drop(spare);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Takes the oldest item. If there is none, or it is not the turn of `reader`, has the task of `cx` woken when that
    /// changes. Of a reader, only the latest task is woken.
    pub(crate) fn poll_pop(&self, reader: u64, cx: &mut Context<'_>) -> Poll<T> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let item = match state.turn {
            Turn::Of(turn) if turn == reader => state.items.pop_front(),
            _ => None,
        };
        match item {
            Some(item) => {
                self.left(guard, &item, 0);
                Poll::Ready(item)
            }
            None => {
                // The waker that this replaces is dropped after the lock is: dropping it can run code.
                let replaced = state.wait(reader, cx.waker());
                drop(guard);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// How many of `bytes` the item that `room` is of may grow by, which it does then. As long as
    /// that is none, has the task of `cx` woken when the item is taken. Of each `stream` of an
    /// item, only the latest task is woken.
    pub(crate) fn poll_grow(
        &self,
        room: &Room,
        stream: usize,
        bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        let mut state = self.lock();
        let grown = state.rooms.grow(room, bytes);
        if grown > 0 || bytes == 0 {
            self.changed(&state);
            return Poll::Ready(grown);
        }
        let replaced = state.rooms.park(room, stream, cx.waker());
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// The item has not grown by so many bytes after all.
    pub(crate) fn shrink(&self, room: &Room, bytes: usize) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let woken = state.rooms.shrink(room, bytes, &state.items);
        self.changed(state);
        drop(guard);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Waits until the item that `room` is of is within the bounds, or is taken.
    pub(crate) fn poll_within(&self, room: &Room, stream: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !room.is_beyond() {
            return Poll::Ready(());
        }
        let replaced = state.rooms.park(room, stream, cx.waker());
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Notes how full it is, for those that look without the lock.
    fn changed(&self, state: &State<T, S>) {
        let full = state.rooms.are_full();
        if self.full.load(Ordering::Relaxed) != full {
            self.full.store(full, Ordering::Relaxed);
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

    /// Gives the source back, or brings one. `None` when it has ended. It is for whoever has the
    /// turn by now; no one's if the queue is closed.
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

    /// No one reads from here on, until [`Queue::give`]. Returns the waker of whoever had the turn,
    /// which gets no other one.
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

    /// Refuses further items. Returns the source, if it is here, the items that are left, oldest
    /// first, and who waits for room.
    pub(crate) fn close(&self) -> (Option<S>, VecDeque<T>, Vec<Waker>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.turn = Turn::Closed;
        let (source, left) = (state.take_source(), std::mem::take(&mut state.items));
        let woken = state.rooms.clear(&left);
        state.backlog = None;
        self.changed(state);
        drop(guard);
        (source, left, woken)
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
    /// The memory of many items, when there are none any more.
    fn spare(&mut self) -> Option<VecDeque<T>> {
        let spare = self.items.is_empty() && self.items.capacity() > KEPT;
        spare.then(|| std::mem::take(&mut self.items))
    }

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
