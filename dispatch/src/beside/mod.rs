//! What can be done with streams whose type a user of this crate does not know.
//!
//! A wRPC transport's streams have types of their own, and its users are generic over them. A
//! stream of this crate can do more than the traits say. To find that out, it is looked up by its
//! type.

use std::any::{Any, TypeId};
use std::sync::OnceLock;

use crate::backend::Backend;

mod caller;
mod put_back;
mod reader;

pub use caller::Caller;
pub use put_back::put_back;
pub(crate) use put_back::Streams;
pub(crate) use reader::know as know_reader;
pub use reader::Reader;

/// Makes all of these know the streams of a type of dispatcher.
pub(crate) fn know<B: Backend, O: Any + Send, I: Any + Send>() {
    caller::know::<B, O>();
    put_back::know::<B, O, I>();
    reader::know::<B, I>();
}

/// What there is for each type: a list that only grows. There is one type for each type of
/// dispatcher in the process, so a handful at most.
///
/// It is looked into in each call, once for a stream, by all threads: looking writes nothing, as even
/// a lock for readers would.
pub(crate) struct TypeTable<F>(OnceLock<Box<Entry<F>>>);

struct Entry<F> {
    ty: TypeId,
    what: F,
    others: TypeTable<F>,
}

impl<F: Copy> TypeTable<F> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What there is for `T`.
    pub(crate) fn get<T: Any>(&self) -> Option<F> {
        let mut known = self;
        while let Some(entry) = known.0.get() {
            if entry.ty == TypeId::of::<T>() {
                return Some(entry.what);
            }
            known = &entry.others;
        }
        None
    }

    /// Adds what there is for `T`, unless it is there.
    pub(crate) fn add<T: Any>(&self, what: F) {
        let mut known = self;
        loop {
            let entry = known.0.get_or_init(|| {
                Box::new(Entry {
                    ty: TypeId::of::<T>(),
                    what,
                    others: Self::new(),
                })
            });
            if entry.ty == TypeId::of::<T>() {
                return;
            }
            known = &entry.others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<F> TypeTable<F> {
        fn len(&self) -> usize {
            self.0.get().map_or(0, |entry| 1 + entry.others.len())
        }
    }

    #[test]
    fn types_are_told_apart_and_added_once() {
        let known: TypeTable<&str> = TypeTable::new();
        assert_eq!(known.get::<u8>(), None);
        known.add::<u8>("a byte");
        known.add::<u8>("another");
        known.add::<u16>("two bytes");
        assert_eq!(known.get::<u8>(), Some("a byte"));
        assert_eq!(known.get::<u16>(), Some("two bytes"));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn none_is_lost_when_threads_add_at_the_same_time() {
        for _ in 0..100 {
            let known: TypeTable<u8> = TypeTable::new();
            std::thread::scope(|scope| {
                scope.spawn(|| known.add::<u8>(1));
                scope.spawn(|| known.add::<u16>(2));
                scope.spawn(|| known.add::<u32>(3));
                scope.spawn(|| known.add::<u8>(1));
            });
            let found = (known.get::<u8>(), known.get::<u16>(), known.get::<u32>());
            assert_eq!(found, (Some(1), Some(2), Some(3)));
            assert_eq!(known.len(), 3);
        }
    }
}
