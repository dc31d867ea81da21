//! A list whose items come in their order and leave from any place.
//!
//! An item knows its place and leaves it at once, however many there are, and who looks sees the
//! oldest ones without looking at the others. The nodes are in a vector, which is reused: in the
//! long run nothing is allocated. The lock is held for a few steps.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// For how many items an empty list keeps memory.
const KEPT: usize = 64;

/// A list, the oldest first.
pub(crate) struct List<T> {
    state: Mutex<State<T>>,
}

/// Where an item is in a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

struct State<T> {
    nodes: Vec<Node<T>>,
    /// The oldest and the newest.
    ends: Option<(usize, usize)>,
    /// A node that holds nothing, and by its `newer` the next one.
    free: Option<usize>,
    len: usize,
}

struct Node<T> {
    /// `None` in a node that is free.
    item: Option<T>,
    older: Option<usize>,
    newer: Option<usize>,
}

impl<T> List<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::new()),
        }
    }

    /// Adds the newest.
    pub(crate) fn add(&self, item: T) -> Place {
        Place(self.lock().add(item))
    }

    /// Takes out what is at `place`, which no one has any more.
    pub(crate) fn remove(&self, place: Place) -> Option<T> {
        let mut state = self.lock();
        let item = state.remove(place.0);
        let spare = state.spare();
        drop(state);
        drop(spare);
        item
    }

    /// What `look` makes of the oldest ones, `most` at most. It is called with the lock held.
    pub(crate) fn oldest<L>(&self, most: usize, look: impl FnMut(&T) -> L) -> Vec<L> {
        let state = self.lock();
        state.iter().take(most).map(look).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn new() -> Self {
        Self {
            nodes: Vec::new(),
            ends: None,
            free: None,
            len: 0,
        }
    }

    fn add(&mut self, item: T) -> usize {
        let node = Node {
            item: Some(item),
            older: self.ends.map(|(_, newest)| newest),
            newer: None,
        };
        let older = node.older;
        let at = match self.free {
            Some(at) => {
                self.free = self.nodes[at].newer;
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        if let Some(older) = older {
            self.nodes[older].newer = Some(at);
        }
        let oldest = self.ends.map_or(at, |(oldest, _)| oldest);
        self.ends = Some((oldest, at));
        self.len += 1;
        at
    }

    fn remove(&mut self, at: usize) -> Option<T> {
        let node = &mut self.nodes[at];
        let item = node.item.take()?;
        let (older, newer) = (node.older.take(), node.newer);
        node.newer = self.free;
        self.free = Some(at);
        if let Some(older) = older {
            self.nodes[older].newer = newer;
        }
        if let Some(newer) = newer {
            self.nodes[newer].older = older;
        }
        self.ends = self.ends.and_then(|(oldest, newest)| {
            let oldest = if oldest == at { newer? } else { oldest };
            let newest = if newest == at { older? } else { newest };
            Some((oldest, newest))
        });
        self.len -= 1;
        Some(item)
    }

    /// The memory that an empty list can do without.
    fn spare(&mut self) -> Vec<Node<T>> {
        if self.len > 0 || self.nodes.capacity() <= KEPT {
            return Vec::new();
        }
        self.free = None;
        std::mem::take(&mut self.nodes)
    }

    /// The oldest first.
    fn iter(&self) -> impl Iterator<Item = &T> {
        let oldest = self.ends.map(|(oldest, _)| oldest);
        let nodes = std::iter::successors(oldest, |at| self.nodes[*at].newer);
        nodes.filter_map(|at| self.nodes[at].item.as_ref())
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_list_whose_items_leave_from_any_place(steps in prop::collection::vec(any::<Option<prop::sample::Index>>(), 0..300)) {
            let list = List::new();
            let (mut expected, mut next) = (Vec::new(), 0);
            for step in steps {
                match step {
                    Some(index) if !expected.is_empty() => {
                        let (item, place) = expected.remove(index.index(expected.len()));
                        prop_assert_eq!(list.remove(place), Some(item));
                    }
                    _ => {
                        expected.push((next, list.add(next)));
                        next += 1;
                    }
                }
                let items: Vec<_> = expected.iter().map(|(item, _)| *item).collect();
                prop_assert_eq!(&list.oldest(usize::MAX, |item| *item), &items);
                prop_assert_eq!(&list.oldest(3, |item| *item), &items[..items.len().min(3)]);
            }
        }
    }

    #[test]
    fn an_empty_list_lets_go_of_the_memory_that_many_took() {
        let list = List::new();
        let places: Vec<_> = (0..10 * KEPT).map(|n| list.add(n)).collect();
        for place in places {
            list.remove(place);
        }
        assert!(list.lock().nodes.capacity() <= KEPT);
        list.add(7);
        assert_eq!(list.oldest(1, |item| *item), [7]);
    }
}
