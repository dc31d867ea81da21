//! The checker and what it says of whole, cut and damaged messages.

mod guest;
mod reference;

use std::sync::Arc;

use inhost_codec::{Checker, DecodeError, Destination, Lift, Lower, Passes, Plan, Progress};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use guest::{Encoding, Guest};
use reference::{encode, strategy};

/// Checks `message` as it grows to each of `ends`, then as a whole.
fn check(plan: &Arc<Plan>, message: &[u8], ends: &[usize]) -> Result<Progress, DecodeError> {
    let mut checker = Checker::new(Arc::clone(plan));
    for end in ends {
        let progress = checker.advance(&message[..*end])?;
        if let Progress::Incomplete { needed } = progress {
            assert!(needed > *end, "{needed} needed, {end} given");
        }
    }
    checker.advance(message)
}

/// Some prefixes of a message, shortest first.
fn cuts(length: usize, cuts: &[Index]) -> Vec<usize> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    ends.sort_unstable();
    ends
}

/// Through a guest by core values.
fn canonical(plan: &Arc<Plan>, message: &[u8]) -> Vec<u8> {
    let mut checker = Checker::new(Arc::clone(plan));
    checker.advance(message).expect("it was checked");
    let found = checker.into_found().into_iter();
    let handles = found.filter_map(|found| match found.passes {
        Passes::Handle(bytes) => Some(&message[bytes]),
        Passes::Stream(_) => None,
    });
    let handles: Vec<_> = handles.collect();
    let mut guest = Guest::new(Encoding::Utf8);
    let mut core = vec![0; plan.flat_count().max(1)];
    let lower = Lower::new(plan);
    let lowered = lower.run(message, &mut guest, &mut core, 16, Destination::Allocate);
    lowered.expect("a complete message can be lowered");
    let lifted = Lift::new(plan).run(&mut guest.view(), &core, 16);
    let lifted = lifted.expect("what was lowered can be lifted");
    lifted.with_handles(&handles).expect("as many handles")
}

/// What happens to a message on a bad line.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
}

impl Damage {
    fn strategy() -> impl Strategy<Value = Self> {
        // Bytes that mean something in most places: lengths, tags, ends of numbers.
        let byte = prop_oneof![any::<u8>(), 0..4u8, Just(0x7f), Just(0x80), Just(0xff)];
        prop_oneof![
            (any::<Index>(), 1..=255u8).prop_map(|(at, bits)| Self::Flip(at, bits)),
            (any::<Index>(), vec(byte, 1..6)).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (any::<Index>(), 1..6usize).prop_map(|(at, count)| Self::Delete(at, count)),
        ]
    }

    fn apply(&self, message: &mut Vec<u8>) {
        match self {
            Self::Insert(at, bytes) => {
                let at = at.index(message.len() + 1);
                message.splice(at..at, bytes.iter().copied());
            }
            _ if message.is_empty() => {}
            Self::Flip(at, bits) => {
                let at = at.index(message.len());
                message[at] ^= bits;
            }
            Self::Delete(at, count) => {
                let at = at.index(message.len());
                message.drain(at..message.len().min(at + count));
            }
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_a_message_is_complete_at_its_end(
        (types, values) in strategy::message(),
        split in vec(any::<Index>(), 0..12),
        trailing in vec(any::<u8>(), 0..4),
    ) {
        let plan = Arc::new(Plan::new(&types).unwrap());
        let message = encode(&types, &values);
        let length = message.len();
        let ends = cuts(length, &split);
        let complete = Ok(Progress::Complete { length });
        prop_assert_eq!(check(&plan, &message, &ends), complete.clone());
        let mut more = message;
        more.extend(trailing);
        prop_assert_eq!(check(&plan, &more, &ends), complete);
    }

    #[test]
    fn a_message_that_came_byte_by_byte_is_as_one_that_came_at_once(
        (types, values) in strategy::message(),
    ) {
        let plan = Arc::new(Plan::new(&types).unwrap());
        let message = encode(&types, &values);
        let mut checker = Checker::new(Arc::clone(&plan));
        for end in 0..message.len() {
            let progress = checker.advance(&message[..end]);
            let Ok(Progress::Incomplete { needed }) = progress else {
                panic!("{progress:?} with {end} bytes of {}", message.len());
            };
            prop_assert!(needed > end && needed <= message.len());
        }
        prop_assert_eq!(checker.advance(&message), Ok(Progress::Complete { length: message.len() }));
    }

    #[test]
    fn each_shorter_message_is_incomplete((types, values) in strategy::message()) {
        let plan = Arc::new(Plan::new(&types).unwrap());
        let message = encode(&types, &values);
        // All of them, unless there are very many.
        for end in (0..message.len()).step_by(message.len() / 200 + 1) {
            let progress = check(&plan, &message[..end], &[]);
            let Ok(Progress::Incomplete { needed }) = progress else {
                panic!("{progress:?} with {end} bytes of {}", message.len());
            };
            prop_assert!(needed > end && needed <= message.len());
        }
    }

    #[test]
    fn a_damaged_message_is_an_error_or_another_message(
        (types, values) in strategy::message(),
        damage in vec(Damage::strategy(), 1..4),
        split in vec(any::<Index>(), 0..4),
    ) {
        let plan = Arc::new(Plan::new(&types).unwrap());
        let mut message = encode(&types, &values);
        for damage in damage {
            damage.apply(&mut message);
        }
        let whole = check(&plan, &message, &[]);
        prop_assert_eq!(&check(&plan, &message, &cuts(message.len(), &split)), &whole);
        if let Ok(Progress::Complete { length }) = whole {
            prop_assert!(length <= message.len());
            let once = canonical(&plan, &message);
            let complete = Progress::Complete { length: once.len() };
            prop_assert_eq!(check(&plan, &once, &[]), Ok(complete));
            prop_assert_eq!(canonical(&plan, &once), once);
        }
    }

    #[test]
    fn a_message_that_was_not_checked_does_no_harm(
        (types, values) in strategy::message(),
        damage in vec(Damage::strategy(), 1..4),
    ) {
        let plan = Plan::new(&types).unwrap();
        let mut message = encode(&types, &values);
        for damage in damage {
            damage.apply(&mut message);
        }
        let mut guest = Guest::new(Encoding::Utf8);
        let mut core = vec![0; 16];
        // An error or not: no panic, and no demand beyond what a message of this length can hold.
        let _ = Lower::new(&plan).run(&message, &mut guest, &mut core, 16, Destination::Allocate);
        let elements = guest.allocations.iter().map(|(_, size, _)| *size).max();
        prop_assert!(elements.unwrap_or(0) <= (message.len() + 1) << 16);
    }
}
