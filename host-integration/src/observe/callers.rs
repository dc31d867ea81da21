//! The names of callers, as the list of calls in flight has them.
//!
//! Few components call, and each calls often. A thread keeps the names that it has seen, so that a call neither allocates
//! one nor meets another thread.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

/// For how many callers a thread keeps the names. It begins anew beyond that.
const KEPT: usize = 256;

thread_local! {
    static NAMES: RefCell<HashSet<Arc<str>>> = RefCell::default();
}

/// `name`, to be shared.
pub(super) fn shared(name: &str) -> Arc<str> {
    NAMES.with_borrow_mut(|names| {
        if let Some(known) = names.get(name) {
            return Arc::clone(known);
        }
        if names.len() >= KEPT {
            names.clear();
        }
        let new: Arc<str> = name.into();
        names.insert(Arc::clone(&new));
        new
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once_and_they_do_not_pile_up() {
        assert!(Arc::ptr_eq(&shared("a"), &shared("a")));
        for n in 0..10 * KEPT {
            assert_eq!(&*shared(&n.to_string()), n.to_string());
        }
        assert!(NAMES.with_borrow(HashSet::len) <= KEPT);
    }
}
