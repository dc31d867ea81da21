//! What a guest answers when it is asked for memory, and where it wants its results, may be anything.

mod guest;
mod reference;

use inhost_codec::{Destination, Lift, Lower, LowerError, Plan, Type};
use proptest::prelude::*;

use guest::{Answer, Encoding, Failure, Guest};
use reference::{encode, strategy};

type Lowered = Result<Vec<u64>, LowerError<Failure>>;

/// Lowers into `guest` with the limit of parameters.
fn lower(types: &[Type], message: &[u8], guest: &mut Guest) -> Lowered {
    let plan = Plan::new(types).expect("a plan");
    let mut core = vec![0; plan.flat_count().min(16)];
    let lower = Lower::new(&plan);
    lower.run(message, guest, &mut core, 16, Destination::Allocate)?;
    Ok(core)
}

/// Lowers results to `pointer` of a memory of 64 bytes.
fn at(types: &[Type], message: &[u8], pointer: u32) -> Result<Vec<u8>, LowerError<Failure>> {
    let plan = Plan::new(types).expect("a plan");
    let mut guest = Guest::with(Encoding::Utf8, &[0; 64]);
    let lower = Lower::new(&plan);
    lower.run(message, &mut guest, &mut [], 0, Destination::At(pointer))?;
    Ok(guest.memory()[..64].to_vec())
}

/// The two texts, the list of lists and its inner list are allocated one after the other.
fn four_allocations() -> (Vec<Type>, Vec<u8>) {
    let types = vec![
        Type::list(Type::U64),
        Type::list(Type::list(Type::U16)),
        Type::list(Type::F32),
    ];
    let mut message = vec![1, 5, 1, 2, 6, 7, 1];
    message.extend(1.5f32.to_le_bytes());
    (types, message)
}

#[test]
fn an_allocator_that_traps_is_an_error_at_each_call() {
    let (types, message) = four_allocations();
    for call in 0..4 {
        let mut guest = Guest::new(Encoding::Utf8);
        guest.wrong = Some((call, Answer::Trap));
        let lowered = lower(&types, &message, &mut guest);
        assert!(
            matches!(lowered, Err(LowerError::Target(Failure::Trap))),
            "{lowered:?}"
        );
        assert_eq!(guest.allocations.len(), call + 1, "it is not asked again");
    }
    let mut guest = Guest::new(Encoding::Utf8);
    guest.wrong = Some((4, Answer::Trap));
    assert!(lower(&types, &message, &mut guest).is_ok());
}

#[test]
fn addresses_outside_of_the_memory_are_refused() {
    let (types, message) = four_allocations();
    for call in 0..4 {
        for answer in [
            Answer::End,
            Answer::Address(1 << 20),
            Answer::Address(1 << 32),
            Answer::Address(usize::MAX & !7),
        ] {
            let mut guest = Guest::new(Encoding::Utf8);
            guest.wrong = Some((call, answer));
            let lowered = lower(&types, &message, &mut guest);
            assert!(
                matches!(lowered, Err(LowerError::OutOfBounds { .. })),
                "call {call}, {answer:?}: {lowered:?}"
            );
        }
    }
}

#[test]
fn addresses_that_are_not_aligned_are_refused() {
    let (types, message) = four_allocations();
    for call in 0..4 {
        for answer in [Answer::OneOff, Answer::Address(usize::MAX)] {
            let mut guest = Guest::new(Encoding::Utf8);
            guest.wrong = Some((call, answer));
            let lowered = lower(&types, &message, &mut guest);
            assert!(
                matches!(lowered, Err(LowerError::Misaligned { .. })),
                "call {call}, {answer:?}: {lowered:?}"
            );
        }
    }
}

#[test]
fn text_at_the_last_address_there_is_does_not_overflow() {
    let types = [Type::String];
    for pointer in [usize::MAX, usize::MAX - 1] {
        let mut guest = Guest::new(Encoding::Utf8);
        guest.wrong = Some((0, Answer::Address(pointer)));
        let lowered = lower(&types, b"\x02hi", &mut guest);
        assert!(
            matches!(lowered, Err(LowerError::OutOfBounds { pointer: p, length: 2 }) if p == pointer),
            "{lowered:?}"
        );
    }
}

#[test]
fn text_of_another_encoding_is_the_targets_business() {
    for (answer, failure) in [
        (Answer::Trap, Failure::Trap),
        (Answer::End, Failure::OutOfBounds),
        (Answer::Address(usize::MAX), Failure::OutOfBounds),
    ] {
        let mut guest = Guest::new(Encoding::Utf16);
        guest.wrong = Some((0, answer));
        let lowered = lower(&[Type::String], b"\x02hi", &mut guest);
        assert!(
            matches!(lowered, Err(LowerError::Target(f)) if f == failure),
            "{lowered:?}"
        );
    }
}

#[test]
fn memory_for_too_many_parameters_is_checked_as_any_other() {
    let types = vec![Type::U32; 17];
    for (answer, aligned) in [
        (Answer::End, true),
        (Answer::Address(1 << 40), true),
        (Answer::OneOff, false),
    ] {
        let mut guest = Guest::new(Encoding::Utf8);
        guest.wrong = Some((0, answer));
        match lower(&types, &[0; 17], &mut guest) {
            Err(LowerError::OutOfBounds { length: 68, .. }) if aligned => {}
            Err(LowerError::Misaligned { align: 4, .. }) if !aligned => {}
            other => panic!("{answer:?}: {other:?}"),
        }
    }
}

#[test]
fn results_behind_a_return_pointer_out_of_range_are_refused() {
    let types = [Type::U8, Type::U32];
    for pointer in [60, 64, 1 << 20, u32::MAX - 3] {
        let lowered = at(&types, &[1, 2], pointer);
        assert!(
            matches!(lowered, Err(LowerError::OutOfBounds { pointer: p, length: 8 }) if p == pointer as usize),
            "{lowered:?}"
        );
    }
    assert_eq!(
        at(&types, &[1, 2], 56).unwrap()[56..],
        [1, 0, 0, 0, 2, 0, 0, 0]
    );
}

#[test]
fn results_behind_a_misaligned_return_pointer_are_refused() {
    for pointer in [1, 2, 58, u32::MAX] {
        let lowered = at(&[Type::U8, Type::U32], &[1, 2], pointer);
        assert!(
            matches!(lowered, Err(LowerError::Misaligned { pointer: p, align: 4 }) if p == pointer as usize),
            "{lowered:?}"
        );
    }
    // Bytes need no alignment.
    assert_eq!(
        at(&[Type::U8, Type::Bool], &[9, 1], 3).unwrap()[3..5],
        [9, 1]
    );
}

#[test]
fn too_few_core_values_are_an_error() {
    let none = Type::option(Type::U64);
    for (types, message) in [
        (vec![Type::U8], vec![1]),
        (vec![Type::String], vec![0]),
        (vec![Type::Flags(40)], vec![0; 5]),
        (vec![none], vec![0]),
        (vec![Type::U8; 3], vec![1; 3]),
    ] {
        let plan = Plan::new(&types).unwrap();
        for count in 0..plan.flat_count() {
            let mut guest = Guest::new(Encoding::Utf8);
            let mut core = vec![0; count];
            let lower = Lower::new(&plan);
            let lowered = lower.run(&message, &mut guest, &mut core, 16, Destination::Allocate);
            assert!(
                matches!(lowered, Err(LowerError::CoreValues)),
                "{lowered:?}"
            );
        }
    }
    let plan = Plan::new(&vec![Type::U8; 17]).unwrap();
    let mut guest = Guest::new(Encoding::Utf8);
    let lowered = Lower::new(&plan).run(&[0; 17], &mut guest, &mut [], 16, Destination::Allocate);
    assert!(
        matches!(lowered, Err(LowerError::CoreValues)),
        "{lowered:?}"
    );
}

#[test]
fn memory_that_grows_and_moves_meanwhile_is_written_where_it_is() {
    let types = [Type::list(Type::Tuple(vec![
        Type::U32,
        Type::String,
        Type::list(Type::S64),
    ]))];
    let plan = Plan::new(&types).unwrap();
    const COUNT: u8 = 100;
    let mut message = vec![COUNT];
    for number in 0..COUNT {
        message.extend([number, 3, b'a', b'b', b'c', 2, number / 2, 0x7f]);
    }
    let mut guest = Guest::new(Encoding::Utf8);
    let mut core = [0; 2];
    let lower = Lower::new(&plan);
    let lowered = lower.run(&message, &mut guest, &mut core, 16, Destination::Allocate);
    lowered.unwrap();
    // The list was allocated first, and is written to until the end.
    assert!(guest.moves > 2, "it moved {} times", guest.moves);
    let lifted = Lift::new(&plan).run(&mut guest.view(), &core, 16).unwrap();
    // -1 and the numbers are the same in as many bytes.
    assert_eq!(lifted.message(), message);
}

#[test]
fn a_guest_that_is_full_says_so() {
    let mut guest = Guest::new(Encoding::Utf8);
    guest.limit = 1000;
    let mut message = vec![0xd0, 0x0f];
    message.resize(2002, 1);
    let lowered = lower(&[Type::list(Type::U8)], &message, &mut guest);
    assert!(
        matches!(lowered, Err(LowerError::Target(Failure::OutOfMemory))),
        "{lowered:?}"
    );
}

#[test]
fn undefined_flags_of_a_peer_are_dropped() {
    let mut guest = Guest::new(Encoding::Utf8);
    assert_eq!(lower(&[Type::Flags(3)], &[0xff], &mut guest).unwrap(), [7]);
    assert_eq!(
        lower(&[Type::Flags(33)], &[0xff; 5], &mut guest).unwrap(),
        [0xffff_ffff, 1]
    );
    assert_eq!(
        at(&[Type::Flags(9)], &[0xff, 0xff], 0).unwrap()[..4],
        [0xff, 1, 0, 0]
    );
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Trap),
        Just(Answer::End),
        Just(Answer::OneOff),
        any::<usize>().prop_map(Answer::Address),
        // Within memory, over what is there already: that is the guest's own loss.
        (0..2048usize).prop_map(Answer::Address),
    ]
}

proptest! {
    #[test]
    fn no_answer_of_an_allocator_does_harm(
        (types, values) in strategy::message(),
        call in 0..6usize,
        answer in answer(),
        utf16: bool,
    ) {
        let message = encode(&types, &values);
        let encoding = if utf16 { Encoding::Utf16 } else { Encoding::Utf8 };
        let mut guest = Guest::new(encoding);
        guest.wrong = Some((call, answer));
        let asked_wrong = |guest: &Guest| guest.allocations.len() > call;
        match lower(&types, &message, &mut guest) {
            Ok(_) => prop_assert!(!asked_wrong(&guest) || !matches!(answer, Answer::Trap)),
            Err(LowerError::Unchecked(fault)) => panic!("the message is fine: {fault}"),
            Err(error) => prop_assert!(asked_wrong(&guest), "{error:?}"),
        }
    }
}
