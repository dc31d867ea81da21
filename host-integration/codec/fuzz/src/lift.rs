//! A guest that passes anything.

use std::sync::Arc;

use inhost_codec::{Checker, Lift, Plan, Progress, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};

use crate::guest::{Encoding, View};
use crate::input::Input;
use crate::through_guest;

/// What an input may make of its memory, in bytes.
const LIMIT: usize = 1 << 14;

/// Any core values and any memory as values of any types.
///
/// # Panics
///
/// When the codec does not hold what it promises.
pub fn lift(data: &[u8]) {
    let mut input = Input::new(data);
    let types = input.types();
    let plan = Arc::new(Plan::new(&types).expect("types within reason"));
    let max_flat = [0, MAX_FLAT_RESULTS, MAX_FLAT_PARAMS, usize::MAX];
    let max_flat = max_flat[usize::from(input.byte()) % 4];
    let encoding = input.encoding();
    let core = input.core();
    let memory = input.rest();

    let mut view = View { memory, encoding };
    let lifted = Lift::new(&plan)
        .limit(LIMIT)
        .run(&mut view, &core, max_flat);
    let Ok(lifted) = lifted else {
        return;
    };
    let handles: Vec<_> = (0..lifted.handles()).map(|at| vec![7; at % 5]).collect();
    let Ok(message) = lifted.with_handles(&handles) else {
        return;
    };
    let length = message.len();
    assert!(length <= LIMIT && message.capacity() <= 4 * LIMIT);
    // What a guest passed is what a peer can read, and what it passes on is the same.
    let progress = Checker::new(Arc::clone(&plan)).advance(&message);
    assert_eq!(progress, Ok(Progress::Complete { length }), "{types:?}");
    for encoding in [Encoding::Utf8, Encoding::Utf16] {
        assert_eq!(
            through_guest(&plan, &message, encoding),
            message,
            "{types:?}"
        );
    }
}
