//! What is lowered into a guest and lifted back is what it was.

mod guest;
mod reference;

use inhost_codec::{Destination, Lift, Lower, Plan, Type, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use proptest::prelude::*;

use guest::{Encoding, Guest};
use reference::{encode, handles, strategy, Value};

/// Lowers a message with `handles` into a guest and lifts it back.
fn trip(
    plan: &Plan,
    message: &[u8],
    handles: &[Vec<u8>],
    encoding: Encoding,
    max_flat: usize,
    result: bool,
) -> Vec<u8> {
    let mut guest = Guest::new(encoding);
    let destination = match result {
        // As large as any of these types is.
        true => Destination::At(guest.place(1 << 16)),
        false => Destination::Allocate,
    };
    // What the results of an import are passed through is not a core value of its own.
    let mut core = vec![0; plan.flat_count().min(max_flat).max(1)];
    let lowered = Lower::new(plan).run(message, &mut guest, &mut core, max_flat, destination);
    lowered.expect("a checked message and an honest guest");
    if let (Destination::At(place), true) = (destination, plan.flat_count() > max_flat) {
        core[0] = place.into();
    }
    let lifted = Lift::new(plan).run(&mut guest.view(), &core, max_flat);
    let message = lifted.expect("what was lowered").with_handles(handles);
    message.expect("as many handles")
}

/// Each way through a guest gives `expected`.
fn assert_trips(types: &[Type], message: &[u8], handles: &[Vec<u8>], expected: &[u8]) {
    let plan = Plan::new(types).expect("a plan");
    for encoding in [Encoding::Utf8, Encoding::Utf16] {
        for max_flat in [0, MAX_FLAT_RESULTS, MAX_FLAT_PARAMS, usize::MAX] {
            for result in [false, true] {
                let lifted = trip(&plan, message, handles, encoding, max_flat, result);
                assert!(
                    lifted == expected,
                    "{lifted:02x?} instead of {expected:02x?}: {encoding:?}, max_flat {max_flat}, result {result}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn values_of_all_types_come_back((types, values) in strategy::message()) {
        let canonical: Vec<_> = values.iter().map(Value::canonical).collect();
        assert_trips(&types, &encode(&types, &values), &handles(&values), &encode(&types, &canonical));
    }

    #[test]
    fn bytes_after_the_message_are_left_alone(
        (types, values) in strategy::message(),
        trailing in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let canonical: Vec<_> = values.iter().map(Value::canonical).collect();
        let mut message = encode(&types, &values);
        message.extend(trailing);
        assert_trips(&types, &message, &handles(&values), &encode(&types, &canonical));
    }
}

#[test]
fn more_than_16_parameters_go_through_memory() {
    let types = vec![Type::U8; 17];
    let message: Vec<u8> = (0..17).collect();
    let plan = Plan::new(&types).unwrap();
    let mut guest = Guest::new(Encoding::Utf8);
    let mut core = [0; MAX_FLAT_PARAMS];
    let lower = Lower::new(&plan);
    let lowered = lower.run(
        &message,
        &mut guest,
        &mut core,
        MAX_FLAT_PARAMS,
        Destination::Allocate,
    );
    lowered.unwrap();
    let [(align, size, address)] = guest.allocations[..] else {
        panic!("not one allocation: {:?}", guest.allocations);
    };
    assert_eq!((align, size), (1, 17));
    assert_eq!(core[0], address as u64);
    assert_eq!(core[1..], [0; 15]);
    assert_eq!(guest.memory()[address..address + 17], message[..]);
}

#[test]
fn sixteen_parameters_are_core_values() {
    let types = vec![Type::S8; 16];
    let plan = Plan::new(&types).unwrap();
    let mut guest = Guest::new(Encoding::Utf8);
    let mut core = [0; 16];
    let lowered = Lower::new(&plan).run(
        &[0xff; 16],
        &mut guest,
        &mut core,
        16,
        Destination::Allocate,
    );
    lowered.unwrap();
    assert!(guest.allocations.is_empty());
    assert_eq!(
        core, [0xffff_ffff; 16],
        "extended to 32 bits and no further"
    );
}

#[test]
fn empty_lists_and_strings_are_asked_for_and_come_back() {
    let types = [
        Type::String,
        Type::list(Type::U64),
        Type::list(Type::U8),
        Type::list(Type::String),
    ];
    assert_trips(&types, &[0; 4], &[], &[0; 4]);
    // The canonical ABI allocates them: a guest may want an address of its own for each.
    let plan = Plan::new(&types).unwrap();
    let mut guest = Guest::new(Encoding::Utf8);
    let mut core = [0; 8];
    let lowered = Lower::new(&plan).run(&[0; 4], &mut guest, &mut core, 16, Destination::Allocate);
    lowered.unwrap();
    let asked: Vec<_> = guest.allocations.iter().map(|a| (a.0, a.1)).collect();
    assert_eq!(asked, [(1, 0), (8, 0), (1, 0), (4, 0)]);
}

#[test]
fn a_function_without_values_needs_nothing() {
    let plan = Plan::new(&[]).unwrap();
    let mut guest = Guest::with(Encoding::Utf8, &[]);
    for max_flat in [0, 1] {
        let lowered =
            Lower::new(&plan).run(&[], &mut guest, &mut [], max_flat, Destination::Allocate);
        lowered.unwrap();
        let lifted = Lift::new(&plan).run(&mut guest.view(), &[], max_flat);
        assert!(lifted.unwrap().message().is_empty());
    }
    assert!(guest.allocations.is_empty());
}

#[test]
fn what_a_case_leaves_unused_of_the_core_values_stays() {
    let types = [
        Type::Variant(vec![
            Some(Type::Tuple(vec![Type::F32, Type::F64])),
            None,
            Some(Type::S16),
        ]),
        Type::U8,
    ];
    let plan = Plan::new(&types).unwrap();
    let core_of = |message: &[u8]| {
        let mut guest = Guest::new(Encoding::Utf8);
        let mut core = [0; 4];
        let lower = Lower::new(&plan);
        let lowered = lower.run(message, &mut guest, &mut core, 16, Destination::Allocate);
        lowered.unwrap();
        core
    };
    assert_eq!(core_of(&[1, 7]), [1, 0, 0, 7]);
    // A 32-bit value where another case has 64 bits: the upper half is zero.
    assert_eq!(core_of(&[2, 0x7f, 7]), [2, 0xffff_ffff, 0, 7]);
}
