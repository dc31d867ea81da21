//! What is known of other hosts: which components they serve, too.
//!
//! Each call to a function of this host looks, without a lock.

use std::sync::atomic::{AtomicBool, Ordering};

use papaya::HashSet;

#[derive(Default)]
pub(crate) struct Elsewhere {
    /// Whether there ever was one.
    any: AtomicBool,
    prefixes: HashSet<Box<str>>,
}

impl Elsewhere {
    /// Whether another host serves the component under `prefix`, as far as is known.
    pub(crate) fn serves(&self, prefix: &str) -> bool {
        self.any.load(Ordering::Relaxed) && self.prefixes.pin().contains(prefix)
    }

    pub(crate) fn set(&self, prefix: &str, serves: bool) {
        let prefixes = self.prefixes.pin();
        if serves {
            prefixes.insert(prefix.into());
            self.any.store(true, Ordering::Relaxed);
        } else {
            prefixes.remove(prefix);
        }
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_found_and_what_is_gone_is_not() {
        let elsewhere = Elsewhere::default();
        assert!(!elsewhere.serves("default.a"));
        elsewhere.set("default.a", true);
        elsewhere.set("default.b", true);
        elsewhere.set("default.a", false);
        let served = ["default.a", "default.b", "b"].map(|it| elsewhere.serves(it));
        assert_eq!(served, [false, true, false]);
    }
}
