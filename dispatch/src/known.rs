//! What can be done with streams whose type a user of this crate does not know.
//!
//! A wRPC transport's streams have types of their own, and its users are generic over them. A stream of this crate can do
//! more than the traits say. To find that out, it is looked up by its type.

use std::any::{Any, TypeId};
use std::sync::{PoisonError, RwLock};

/// What there is for each type. There is one type for each type of dispatcher in the process, so a handful at most.
pub(crate) struct Known<F>(RwLock<Vec<(TypeId, F)>>);

impl<F: Copy> Known<F> {
    pub(crate) const fn new() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    /// What there is for `T`.
    pub(crate) fn get<T: Any>(&self) -> Option<F> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(ty, _)| *ty == TypeId::of::<T>());
        found.map(|(_, what)| *what)
    }

    /// Adds what there is for `T`, unless it is there.
    pub(crate) fn add<T: Any>(&self, what: F) {
        if self.get::<T>().is_some() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // It may have been added in between. Twice would do no harm, but grow the list.
        if !known.iter().any(|(ty, _)| *ty == TypeId::of::<T>()) {
            known.push((TypeId::of::<T>(), what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart_and_added_once() {
        let known: Known<&str> = Known::new();
        assert_eq!(known.get::<u8>(), None);
        known.add::<u8>("a byte");
        known.add::<u8>("another");
        known.add::<u16>("two bytes");
        assert_eq!(known.get::<u8>(), Some("a byte"));
        assert_eq!(known.get::<u16>(), Some("two bytes"));
        assert_eq!(known.0.read().unwrap().len(), 2);
    }
}
