//! An item for tests.

use super::{IfFull, Item, Queue, Refused, Room};

#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) number: u32,
    pub(super) room: Room,
}

impl Item for Numbered {
    fn room(&self) -> &Room {
        &self.room
    }
}

impl PartialEq<u32> for Numbered {
    fn eq(&self, number: &u32) -> bool {
        self.number == *number
    }
}

/// Pushes an item of this number, and refuses it when the queue is full.
pub(super) fn push<S>(
    queue: &Queue<Numbered, S>,
    number: u32,
    weight: usize,
) -> Result<(), Refused<u32>> {
    let room = Room::new();
    let pushed = queue.push(Numbered { number, room }, weight, IfFull::Refuse);
    pushed.map_err(|refused| match refused {
        Refused::Full(item) => Refused::Full(item.number),
        Refused::Closed(item) => Refused::Closed(item.number),
    })
}
