//! Whether those who call a function have its types.
//!
//! wRPC sends values and not types, so a peer whose types differ may read something else than was meant, or fail in the
//! middle. On one host, both sides are there, and can be compared before the function runs: [`agree`] does, by what the
//! values are on the wire.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use inhost_codec::{agree, Signature};

/// How many callers' types a function remembers. Most have those of the function itself, and are not among them.
const REMEMBERED: usize = 16;

/// What was found out about callers whose types of a function differ from its own.
#[derive(Debug, Default)]
pub(crate) struct Callers(Mutex<Vec<(Weak<Signature>, bool)>>);

impl Callers {
    /// Whether a caller with the types `theirs` and a function with the types `ours` read each other.
    pub(crate) fn agree(&self, theirs: &Arc<Signature>, ours: &Arc<Signature>) -> bool {
        // Equal types are one value, if both sides have them from here.
        if Arc::ptr_eq(theirs, ours) {
            return true;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry keeps the address from being used again, and not what was there.
        let same = |of: &Weak<_>| std::ptr::eq(of.as_ptr(), Arc::as_ptr(theirs));
        if let Some((_, agree)) = known.iter().find(|(of, _)| same(of)) {
            return *agree;
        }
        let agree = agree(theirs, ours);
        if known.len() == REMEMBERED {
            known.remove(0);
        }
        known.push((Arc::downgrade(theirs), agree));
        agree
    }
}

#[cfg(test)]
mod tests {
    use inhost_codec::Type;

    use super::*;

    #[test]
    fn what_was_found_out_about_a_caller_is_remembered_for_some() {
        let function = |param| Arc::new(Signature::new(&[param], &[]).expect("types"));
        let cases = |count| function(Type::Variant(vec![None; count]));
        let (callers, ours) = (Callers::default(), cases(2));
        assert!(callers.agree(&ours, &ours));
        assert!(callers.0.lock().unwrap().is_empty(), "it is the same");
        let more: Vec<_> = (3..3 + REMEMBERED).map(cases).collect();
        let text = function(Type::String);
        for _ in 0..2 {
            assert!(more.iter().all(|theirs| callers.agree(theirs, &ours)));
            assert_eq!(callers.0.lock().unwrap().len(), REMEMBERED);
            assert!(!callers.agree(&text, &ours));
            assert!(!callers.agree(&text, &ours));
        }
    }
}
