//! A peer that sends anything.

use std::sync::Arc;

use inhost_codec::{Checker, DecodeError, Passes, Plan, Progress, Type};

use crate::guest::{Encoding, Guest};
use crate::input::{Input, LARGEST_VALUE};
use crate::{lower, through_guest};

/// A message of any types, sent in pieces to a guest with any allocator.
///
/// # Panics
///
/// When the codec does not hold what it promises.
pub fn decode(data: &[u8]) {
    let mut input = Input::new(data);
    let types = input.types();
    let plan = Arc::new(Plan::new(&types).expect("types within reason"));
    let step = input.byte();
    let encoding = input.encoding();
    let wrong = input.wrong();
    let message = input.rest();

    let whole = Checker::new(Arc::clone(&plan)).advance(message);
    assert_eq!(
        in_pieces(&plan, message, step),
        whole,
        "{types:?} in pieces and at once"
    );
    match &whole {
        Ok(Progress::Complete { length }) => {
            let length = *length;
            assert!(length <= message.len());
            cut(&plan, &message[..length], step, length);
            assert_told(&types, &plan, message);
            round_trip(&plan, message, encoding);
        }
        Ok(Progress::Incomplete { needed }) => {
            assert!(*needed > message.len());
            cut(&plan, message, step, *needed);
        }
        Err(error) => assert!(error.offset <= message.len() && error.value < plan.len()),
    }

    // To a broken guest, and checked or not: whatever comes of it, it is no panic.
    let mut guest = Guest::new(encoding);
    guest.wrong = wrong;
    let lowered = lower(&plan, message, &mut guest);
    let checked = matches!(whole, Ok(Progress::Complete { .. }));
    if checked && guest.allocations.len() <= wrong.map_or(usize::MAX, |(call, _)| call) {
        assert!(lowered.is_ok(), "{lowered:?} though all memory was had");
    }
    for (_, size, _) in guest.allocations {
        // A stream takes no bytes in a message, which may hold 4,096 of them.
        let streams = if plan.has_resources() { 4096 } else { 0 };
        let most = LARGEST_VALUE * (message.len() + streams + 1);
        assert!(
            size <= most,
            "{size} bytes for a message of {}",
            message.len()
        );
    }
}

/// What the checker says in the end when a message arrives in pieces.
fn in_pieces(plan: &Arc<Plan>, message: &[u8], step: u8) -> Result<Progress, DecodeError> {
    let mut checker = Checker::new(Arc::clone(plan));
    let mut end = 0;
    let mut step = step;
    while end < message.len() {
        match checker.advance(&message[..end])? {
            // What follows is not part of it, and changes nothing.
            complete @ Progress::Complete { .. } => {
                assert_eq!(checker.advance(message), Ok(complete));
                return Ok(complete);
            }
            Progress::Incomplete { needed } => assert!(needed > end),
        }
        // Pieces of many sizes, from 1 to 16 bytes.
        end += 1 + usize::from(step % 16);
        step = step.wrapping_mul(5).wrapping_add(3);
    }
    checker.advance(message)
}

/// A prefix of what is complete or incomplete is incomplete, and needs no more than `length`.
fn cut(plan: &Arc<Plan>, message: &[u8], at: u8, length: usize) {
    if message.is_empty() {
        return;
    }
    let end = usize::from(at) % message.len();
    let progress = Checker::new(Arc::clone(plan)).advance(&message[..end]);
    let Ok(Progress::Incomplete { needed }) = progress else {
        panic!("{progress:?} of {end} bytes of {message:02x?}");
    };
    assert!(
        needed > end && needed <= length,
        "{needed} needed of {length}"
    );
}

/// A transport is told the path of each stream that there can be.
fn assert_told(types: &[Type], plan: &Arc<Plan>, message: &[u8]) {
    // The index of one case may be any index in another, which the published transport does not take beside it.
    if types.iter().any(has_alternatives) {
        return;
    }
    let told = plan.paths();
    let mut checker = Checker::new(Arc::clone(plan));
    let checked = checker.advance(message);
    assert!(matches!(checked, Ok(Progress::Complete { .. })));
    for found in checker.into_found() {
        let Passes::Stream(path) = found.passes else {
            continue;
        };
        let is = |(told, index): (&Option<usize>, &usize)| told.is_none_or(|told| told == *index);
        let fits =
            |told: &[Option<usize>]| told.len() == path.len() && told.iter().zip(&path).all(is);
        assert!(
            told.iter().any(|told| fits(told)),
            "{path:?} is not in {told:?}"
        );
    }
}

fn has_alternatives(ty: &Type) -> bool {
    match ty {
        Type::Variant(_) | Type::Result(..) => true,
        Type::List(ty) | Type::Option(ty) => has_alternatives(ty),
        Type::Tuple(types) => types.iter().any(has_alternatives),
        _ => false,
    }
}

/// Once through a guest, a message is canonical: it is complete, and the same after the next guest.
fn round_trip(plan: &Arc<Plan>, message: &[u8], encoding: Encoding) {
    let once = through_guest(plan, message, encoding);
    let length = once.len();
    let progress = Checker::new(Arc::clone(plan)).advance(&once);
    assert_eq!(progress, Ok(Progress::Complete { length }), "{once:02x?}");
    assert!(length <= message.len(), "canonical is shortest");
    assert_eq!(through_guest(plan, &once, Encoding::Utf8), once);
}
