//! The names of callers, as the list of calls in flight has them.
//!
//! Few components call, and each calls often. A thread keeps the names that it has seen, so that a
//! call neither allocates one nor meets another thread.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

/// For how many callers a thread keeps the names. It begins anew beyond that.
const KEPT: usize = 256;

thread_local! {
    static NAMES: RefCell<Names> = RefCell::default();
}

#[derive(Default)]
struct Names {
    all: HashSet<Arc<str>>,
    /// Looked at first: a component often makes several calls in a row.
    latest: Option<Arc<str>>,
}

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(latest) = self.latest.as_ref().filter(|latest| &***latest == name) {
            return Arc::clone(latest);
        }
        let known = self.all.get(name).map(Arc::clone);
        let known = known.unwrap_or_else(|| {
            if self.all.len() >= KEPT {
                self.all.clear();
            }
            let new: Arc<str> = name.into();
            self.all.insert(Arc::clone(&new));
            new
        });
        self.latest = Some(Arc::clone(&known));
        known
    }
}

/// `name`, to be shared.
pub(super) fn shared(name: &str) -> Arc<str> {
    NAMES.with_borrow_mut(|names| names.shared(name))
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
        assert!(NAMES.with_borrow(|names| names.all.len()) <= KEPT);
    }
}
