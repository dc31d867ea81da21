//! The bounds of a queue, and who is within them.
//!
//! ```text
//!             the queue has no room                there is room now              it is taken, or given up
//!   outside -------------------------> beyond --------------------------> within -------------------------> outside
//!      |                                  '---------------- it is taken, or given up --------------------------^
//!      '------------------------------------------------------------------^
//! ```
//!
//! What is outside because the queue was closed is known to be: no one has taken it.
//!
//! An item that is within may grow, as long as all of them fit. What is beyond waits, and so does
//! what has no room to grow. All of this changes under the queue's lock.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use super::Item;
use crate::sync::{AtomicU8, AtomicUsize, Ordering};

const WITHIN: u8 = 0;
const BEYOND: u8 = 1;
const OUTSIDE: u8 = 2;
const LEFT_BEHIND: u8 = 3;

/// How many items are looked at for one that fits, each time that there is more room. A light one
/// need not wait for a heavy one that came before it, and no one looks through thousands of them.
const LOOK_AHEAD: usize = 64;

/// The room that one item takes up.
#[derive(Debug)]
pub(crate) struct Room {
    place: AtomicU8,
    weight: AtomicUsize,
}

impl Room {
    /// That of an item that is about to be put into a queue.
    pub(crate) fn new() -> Self {
        Self {
            place: AtomicU8::new(OUTSIDE),
            weight: AtomicUsize::new(0),
        }
    }

    /// Whether the item was taken out of the queue: then nothing of it counts there any more. It may come back.
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.place(), OUTSIDE | LEFT_BEHIND)
    }

    /// Whether the item was in the queue when that was closed.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.place() == LEFT_BEHIND
    }

    /// Whether the item waits for room.
    pub(crate) fn is_beyond(&self) -> bool {
        self.place() == BEYOND
    }

    // Who looks without the lock and is late asks with it.

    fn place(&self) -> u8 {
        self.place.load(Ordering::Relaxed)
    }

    fn go(&self, place: u8) {
        self.place.store(place, Ordering::Relaxed);
    }

    fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    fn set_weight(&self, weight: usize) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Tells items apart that are in the queue at the same time.
    pub(super) fn id(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

/// The room of a whole queue.
pub(super) struct Rooms {
    max_items: usize,
    max_weight: usize,
    /// How many items are within, and their weight.
    within: usize,
    weight: usize,
    /// How many are beyond. All that come before the place of `first_beyond` are within.
    beyond: usize,
    first_beyond: usize,
    /// Those whose item is beyond, or has no room to grow: few, and nearly always none.
    parked: Vec<Parked>,
}

struct Parked {
    room: usize,
    stream: usize,
    waker: Waker,
}

impl Rooms {
    pub(super) fn new(max_items: usize, max_weight: usize) -> Self {
        Self {
            max_items,
            max_weight,
            within: 0,
            weight: 0,
            beyond: 0,
            first_beyond: 0,
            parked: Vec::new(),
        }
    }

    /// Whether even an item without weight would have to wait.
    pub(super) fn are_full(&self) -> bool {
        self.beyond > 0
            || self.within >= self.max_items
            || (self.within > 0 && self.weight >= self.max_weight)
    }

    fn fits(&self, weight: usize) -> bool {
        let light = self.weight.saturating_add(weight) <= self.max_weight;
        self.within < self.max_items && (light || self.within == 0)
    }

    /// Takes a new item in, if there is room and no one waits for some.
    pub(super) fn take(&mut self, room: &Room, weight: usize) -> bool {
        let taken = self.beyond == 0 && self.fits(weight);
        if taken {
            self.enter(room, weight);
        }
        taken
    }

    /// Takes an item in that was there before, and comes first again.
    pub(super) fn take_back(&mut self, room: &Room, weight: usize) {
        self.enter(room, weight);
        self.first_beyond += 1;
    }

    fn enter(&mut self, room: &Room, weight: usize) {
        self.within += 1;
        self.weight = self.weight.saturating_add(weight);
        room.set_weight(weight);
        room.go(WITHIN);
    }

    /// A new item waits, behind all the `others`.
    pub(super) fn wait(&mut self, room: &Room, weight: usize, others: usize) {
        if self.beyond == 0 {
            self.first_beyond = others;
        }
        self.beyond += 1;
        room.set_weight(weight);
        room.go(BEYOND);
    }

    /// The item whose place was `at` has left, and the `others` are there. Returns who is to be woken.
    pub(super) fn leave(
        &mut self,
        room: &Room,
        at: usize,
        others: &VecDeque<impl Item>,
    ) -> Vec<Waker> {
        if room.is_beyond() {
            self.beyond -= 1;
        } else {
            self.within -= 1;
            self.weight = self.weight.saturating_sub(room.weight());
        }
        if at < self.first_beyond {
            self.first_beyond -= 1;
        }
        room.go(OUTSIDE);
        let mut woken = Vec::new();
        self.unpark(room, &mut woken);
        self.let_in(others, &mut woken);
        woken
    }

    /// How much of `bytes` there is room for. The item has grown by that.
    pub(super) fn grow(&mut self, room: &Room, bytes: usize) -> usize {
        match room.place() {
            OUTSIDE | LEFT_BEHIND => bytes,
            WITHIN => {
                let grown = bytes.min(self.max_weight.saturating_sub(self.weight));
                self.weight += grown;
                room.set_weight(room.weight().saturating_add(grown));
                grown
            }
            _ => 0,
        }
    }

    pub(super) fn shrink(
        &mut self,
        room: &Room,
        bytes: usize,
        items: &VecDeque<impl Item>,
    ) -> Vec<Waker> {
        let mut woken = Vec::new();
        if room.place() == WITHIN {
            self.weight = self.weight.saturating_sub(bytes);
            room.set_weight(room.weight().saturating_sub(bytes));
            self.let_in(items, &mut woken);
        }
        woken
    }

    /// Lets in those that fit now, the first ones first.
    fn let_in(&mut self, items: &VecDeque<impl Item>, woken: &mut Vec<Waker>) {
        if self.beyond == 0 {
            return;
        }
        let mut all_within = true;
        for at in (self.first_beyond..items.len()).take(LOOK_AHEAD) {
            if self.beyond == 0 || self.within >= self.max_items {
                break;
            }
            let room = items[at].room();
            if room.is_beyond() && self.fits(room.weight()) {
                self.beyond -= 1;
                self.enter(room, room.weight());
                self.unpark(room, woken);
            }
            all_within &= !room.is_beyond();
            if all_within {
                self.first_beyond = at + 1;
            }
        }
    }

    /// The queue is empty, and held `items` before.
    pub(super) fn clear(&mut self, items: &VecDeque<impl Item>) -> Vec<Waker> {
        items.iter().for_each(|item| item.room().go(LEFT_BEHIND));
        let parked = mem::take(&mut self.parked);
        *self = Self::new(self.max_items, self.max_weight);
        parked.into_iter().map(|parked| parked.waker).collect()
    }

    /// Has a stream of an item woken when the item is let in or taken. Returns the waker that it had before.
    pub(super) fn park(&mut self, room: &Room, stream: usize, waker: &Waker) -> Option<Waker> {
        let room = room.id();
        let known = self.parked.iter_mut();
        let mut known = known.filter(|it| (it.room, it.stream) == (room, stream));
        match known.next() {
            Some(known) => Some(mem::replace(&mut known.waker, waker.clone())),
            None => {
                let waker = waker.clone();
                self.parked.push(Parked {
                    room,
                    stream,
                    waker,
                });
                None
            }
        }
    }

    fn unpark(&mut self, room: &Room, woken: &mut Vec<Waker>) {
        let room = room.id();
        while let Some(at) = self.parked.iter().position(|it| it.room == room) {
            woken.push(self.parked.swap_remove(at).waker);
        }
    }
}
