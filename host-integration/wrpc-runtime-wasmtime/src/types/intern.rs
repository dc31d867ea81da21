//! One value in memory for all that are equal, for as long as someone has it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Values that someone has.
pub(crate) struct Interned<T> {
    /// Keyed, as the values are chosen by whoever makes components.
    hasher: RandomState,
    known: Mutex<Known<T>>,
}

struct Known<T> {
    by_hash: HashMap<u64, Vec<Weak<T>>>,
    /// How many entries there may be until those are dropped whose values have gone.
    until: usize,
}

/// With fewer entries than this, none is looked for that can be dropped.
pub(crate) const FEW: usize = 256;

impl<T: Hash + Eq> Interned<T> {
    pub(crate) fn new() -> Self {
        let known = Known {
            by_hash: HashMap::new(),
            until: FEW,
        };
        Self {
            hasher: RandomState::new(),
            known: Mutex::new(known),
        }
    }

    /// The one that is equal to `value`.
    pub(crate) fn get(&self, value: T) -> Arc<T> {
        let hash = self.hasher.hash_one(&value);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { by_hash, until } = &mut *known;
        let same = by_hash.get(&hash).into_iter().flatten();
        if let Some(same) = same.filter_map(Weak::upgrade).find(|same| **same == value) {
            return same;
        }
        if by_hash.len() >= *until {
            // Only when there are twice as many as were left: each pays for a constant number of others.
            by_hash.retain(|_, same| {
                same.retain(|value| value.strong_count() > 0);
                !same.is_empty()
            });
            *until = FEW.max(2 * by_hash.len());
        }
        let value = Arc::new(value);
        let same = by_hash.entry(hash).or_default();
        same.retain(|value| value.strong_count() > 0);
        same.push(Arc::downgrade(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_those_that_no_one_has_are_dropped() {
        let interned = Interned::new();
        let kept = interned.get("kept".to_owned());
        assert!(Arc::ptr_eq(&kept, &interned.get("kept".to_owned())));
        for n in 0..100 * FEW {
            interned.get(n.to_string());
            interned.get("again".to_owned());
        }
        assert!(Arc::ptr_eq(&kept, &interned.get("kept".to_owned())));
        let known = interned.known.lock().expect("no panic");
        let entries: usize = known.by_hash.values().map(Vec::len).sum();
        assert!(entries <= 2 * FEW, "{entries}");
    }
}
