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

use std::collections::hash_map::Entry;
use std::collections::HashMap;
use std::sync::PoisonError;

use crate::backend::Backend;
use crate::sync::{Mutex, MutexGuard};

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
    slots: HashMap<Box<[usize]>, Slot<B>>,
    writers_gone: bool,
    readers_gone: bool,
}

enum Slot<B: Backend> {
    /// The reading side asked; this is the half for the writing side.
    Writer(B::Writer),
    /// The writing side asked; this is the half for the reading side.
    Reader(B::Reader),
    /// Both sides have asked. Kept, so that a second request is an error and not a stream that no one serves.
    Taken,
}

impl<B: Backend> Paths<B> {
    pub(crate) fn new() -> Self {
        Self {
            table: Mutex::new(Table {
                // Allocates nothing until a path is asked for.
                slots: HashMap::new(),
                writers_gone: false,
                readers_gone: false,
            }),
        }
    }

    /// The half of the stream at `path` for the writing side.
    pub(crate) fn writer(&self, path: &[usize], backend: &B) -> Result<B::Writer, Taken> {
        let mut table = self.lock();
        let unread = table.readers_gone;
        match table.slots.entry(path.into()) {
            Entry::Occupied(mut slot) => match slot.insert(Slot::Taken) {
                Slot::Writer(writer) => Ok(writer),
                other => {
                    slot.insert(other);
                    Err(Taken)
                }
            },
            Entry::Vacant(slot) => {
                let (writer, reader) = backend.stream();
                slot.insert(if unread {
                    Slot::Taken
                } else {
                    Slot::Reader(reader)
                });
                Ok(writer)
            }
        }
    }

    /// The half of the stream at `path` for the reading side.
    pub(crate) fn reader(&self, path: &[usize], backend: &B) -> Result<B::Reader, Taken> {
        let mut table = self.lock();
        let unwritten = table.writers_gone;
        match table.slots.entry(path.into()) {
            Entry::Occupied(mut slot) => match slot.insert(Slot::Taken) {
                Slot::Reader(reader) => Ok(reader),
                other => {
                    slot.insert(other);
                    Err(Taken)
                }
            },
            Entry::Vacant(slot) => {
                let (writer, reader) = backend.stream();
                slot.insert(if unwritten {
                    Slot::Taken
                } else {
                    Slot::Writer(writer)
                });
                Ok(reader)
            }
        }
    }

    /// No one will ask on behalf of `side` any more: readers without a writer see end of stream, writers without a
    /// reader `BrokenPipe`.
    pub(crate) fn gone(&self, side: Side) {
        let mut table = self.lock();
        match side {
            Side::Writing => table.writers_gone = true,
            Side::Reading => table.readers_gone = true,
        }
        if table.slots.is_empty() {
            return;
        }
        let orphans = table.take(|slot| match side {
            Side::Writing => matches!(slot, Slot::Writer(_)),
            Side::Reading => matches!(slot, Slot::Reader(_)),
        });
        // Dropping a half wakes the other one: not under the lock.
        drop(table);
        drop(orphans);
    }

    fn lock(&self) -> MutexGuard<'_, Table<B>> {
        // Nothing in here leaves the table half changed, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Backend> Table<B> {
    fn take(&mut self, wanted: impl Fn(&Slot<B>) -> bool) -> Vec<Slot<B>> {
        self.slots
            .values_mut()
            .filter(|slot| wanted(slot))
            .map(|slot| std::mem::replace(slot, Slot::Taken))
            .collect()
    }
}
