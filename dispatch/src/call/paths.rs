//! Gives each path of one direction of a call a byte stream of its own.
//!
//! The two sides of a call ask for paths in any order and at any time. Whoever asks first makes the stream, keeps
//! its own half and leaves the other one here:
//!
//! ```text
//!             one side asks             the other side asks
//!   nothing ----------------> waiting ----------------------> taken
//! ```
//!
//! When the last handle of a side is dropped, no one can ask on its behalf any more: the halves that wait for it
//! are dropped, so that the other side sees end of stream or `BrokenPipe` instead of waiting for ever. What was
//! written for a reader that has not asked yet stays until it does.

use std::collections::HashMap;
use std::sync::PoisonError;

use crate::backend::Backend;
use crate::sync::{Mutex, MutexGuard};

mod taken;

use taken::TakenPaths;

#[cfg(all(test, inhost_loom))]
mod loom;

/// A side of one direction of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Writing,
    Reading,
}

/// A path that was taken before by the same side.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

pub(crate) struct Paths<B: Backend> {
    table: Mutex<Table<B>>,
}

struct Table<B: Backend> {
    /// What one side has asked for, and the other has not.
    waiting: HashMap<Box<[usize]>, Half<B>>,
    /// What no one may ask for again. Kept, so that a second request is an error and not a stream that no one serves.
    taken: TakenPaths,
    writers_gone: bool,
    readers_gone: bool,
}

enum Half<B: Backend> {
    /// The reading side asked; this is the half for the writing side.
    Writer(B::Writer),
    /// The writing side asked; this is the half for the reading side.
    Reader(B::Reader),
}

impl<B: Backend> Paths<B> {
    pub(crate) fn new() -> Self {
        Self {
            table: Mutex::new(Table {
                // Allocates nothing until a path is asked for.
                waiting: HashMap::new(),
                taken: TakenPaths::default(),
                writers_gone: false,
                readers_gone: false,
            }),
        }
    }

    /// The half of the stream at `path` for the writing side.
    pub(crate) fn writer(&self, path: &[usize], backend: &B) -> Result<B::Writer, Taken> {
        let mut table = self.lock();
        match table.waiting.remove(path) {
            Some(Half::Writer(writer)) => {
                table.took(path);
                return Ok(writer);
            }
            Some(own) => {
                table.waits(path, own);
                return Err(Taken);
            }
            None if table.taken.contains(path) => return Err(Taken),
            None => {}
        }
        let (writer, reader) = backend.stream();
        match table.readers_gone {
            true => table.taken.insert(path),
            false => table.waits(path, Half::Reader(reader)),
        }
        Ok(writer)
    }

    /// The half of the stream at `path` for the reading side.
    pub(crate) fn reader(&self, path: &[usize], backend: &B) -> Result<B::Reader, Taken> {
        let mut table = self.lock();
        match table.waiting.remove(path) {
            Some(Half::Reader(reader)) => {
                table.took(path);
                return Ok(reader);
            }
            Some(own) => {
                table.waits(path, own);
                return Err(Taken);
            }
            None if table.taken.contains(path) => return Err(Taken),
            None => {}
        }
        let (writer, reader) = backend.stream();
        match table.writers_gone {
            true => table.taken.insert(path),
            false => table.waits(path, Half::Writer(writer)),
        }
        Ok(reader)
    }

    /// No one will ask on behalf of `side` any more: readers without a writer see end of stream, writers without a
    /// reader `BrokenPipe`.
    pub(crate) fn gone(&self, side: Side) {
        let mut table = self.lock();
        match side {
            Side::Writing => table.writers_gone = true,
            Side::Reading => table.readers_gone = true,
        }
        if table.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut table.waiting);
        let (orphans, rest): (HashMap<_, _>, _) = waiting.into_iter().partition(|(_, half)| {
            let waits_for = match half {
                Half::Writer(_) => Side::Writing,
                Half::Reader(_) => Side::Reading,
            };
            waits_for == side
        });
        table.waiting = rest;
        for path in orphans.keys() {
            table.taken.insert(path);
        }
        // Dropping a half wakes the other one: not under the lock.
        drop(table);
        drop(orphans);
    }

    fn lock(&self) -> MutexGuard<'_, Table<B>> {
        // Nothing in here leaves the table half changed, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how many paths there is room at least, once there was.
const SOME: usize = 16;

impl<B: Backend> Table<B> {
    /// `half` waits for the other side to ask for `path`.
    fn waits(&mut self, path: &[usize], half: Half<B>) {
        self.waiting.insert(path.into(), half);
    }

    /// Both sides have `path`.
    fn took(&mut self, path: &[usize]) {
        self.taken.insert(path);
        // As large as what waits, but not each time that there is a little less.
        if self.waiting.capacity() > SOME.max(4 * self.waiting.len()) {
            self.waiting.shrink_to(SOME.max(2 * self.waiting.len()));
        }
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;
    use crate::backend::Duplex;

    #[test]
    fn paths_that_both_sides_have_take_no_room_and_cannot_be_had_again() {
        const PATHS: usize = 10_000;
        let paths = Paths::new();
        let mut halves = Vec::new();
        for n in 0..PATHS {
            halves.push(paths.writer(&[0, n], &Duplex).expect("free"));
        }
        for n in 0..PATHS {
            halves.push(paths.reader(&[0, n], &Duplex).expect("it waits"));
        }
        let room = paths.lock().waiting.capacity();
        assert!(room <= 2 * SOME, "{room}");
        for again in [
            paths.writer(&[0, 77], &Duplex),
            paths.reader(&[0, 77], &Duplex),
        ] {
            assert_eq!(again.err(), Some(Taken));
        }
        assert!(paths.writer(&[0, PATHS], &Duplex).is_ok());
    }
}
