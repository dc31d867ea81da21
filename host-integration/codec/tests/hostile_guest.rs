//! A guest may pass anything: it gets an error, and the host takes no harm.

mod guest;

use inhost_codec::{Lift, LiftError, Plan, Type};

use guest::{Encoding, Failure, View};

type Lifted = Result<Vec<u8>, LiftError<Failure>>;

/// Lifts one value by core values.
fn flat(ty: Type, core: &[u64], memory: &[u8]) -> Lifted {
    lift(&[ty], core, 16, memory, Encoding::Utf8)
}

/// Lifts values that are in memory at `pointer`.
fn at(types: &[Type], pointer: u32, memory: &[u8]) -> Lifted {
    lift(types, &[pointer.into()], 0, memory, Encoding::Utf8)
}

fn lift(
    types: &[Type],
    core: &[u64],
    max_flat: usize,
    memory: &[u8],
    encoding: Encoding,
) -> Lifted {
    let plan = Plan::new(types).expect("a plan");
    let lifted = Lift::new(&plan).run(&mut View { memory, encoding }, core, max_flat);
    lifted.map(|lifted| lifted.message().to_vec())
}

/// Little-endian words, as a guest has them in memory.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[track_caller]
fn assert_out_of_bounds(lifted: Lifted, at: u32, of: u64) {
    match lifted {
        Err(LiftError::OutOfBounds { pointer, length }) => {
            assert_eq!((pointer, length), (at, of));
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_misaligned(lifted: Lifted, at: u32, to: u32) {
    match lifted {
        Err(LiftError::Misaligned { pointer, align }) => assert_eq!((pointer, align), (at, to)),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_no_case(lifted: Lifted, wrong: u32, of: usize) {
    match lifted {
        Err(LiftError::Discriminant {
            discriminant,
            cases,
        }) => {
            assert_eq!((discriminant, cases), (wrong, of));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pointer_behind_the_memory_is_refused() {
    let memory = [0; 16];
    for ty in [Type::String, Type::list(Type::U8), Type::list(Type::U64)] {
        assert_out_of_bounds(flat(ty.clone(), &[1 << 30, 0], &memory), 1 << 30, 0);
        assert!(matches!(
            flat(ty.clone(), &[17, 0], &memory),
            Err(LiftError::OutOfBounds { .. })
        ));
        // The end itself is fine for nothing, also where it is all there is.
        assert_eq!(flat(ty.clone(), &[16, 0], &memory).unwrap(), [0]);
        assert_eq!(flat(ty, &[0, 0], &[]).unwrap(), [0]);
    }
    assert_out_of_bounds(flat(Type::String, &[16, 1], &memory), 16, 1);
    assert_out_of_bounds(flat(Type::String, &[0, 17], &memory), 0, 17);
    assert_out_of_bounds(at(&[Type::U32], 16, &memory), 16, 4);
    assert_out_of_bounds(at(&[Type::U32, Type::U8], 12, &memory), 12, 8);
}

#[test]
fn a_pointer_and_a_length_that_overflow_together_are_refused() {
    let most = u64::from(u32::MAX);
    for ty in [Type::String, Type::list(Type::U8)] {
        assert_out_of_bounds(flat(ty.clone(), &[most, most], &[0; 16]), u32::MAX, most);
        // 8 + (2^32 - 1) is 7 in 32 bits.
        assert_out_of_bounds(flat(ty, &[8, most], &[0; 16]), 8, most);
    }
    assert_out_of_bounds(at(&[Type::U64], u32::MAX - 7, &[0; 16]), u32::MAX - 7, 8);
}

#[test]
fn a_list_whose_size_overflows_is_refused() {
    // 2^29 elements of 8 bytes are 0 bytes in 32 bits.
    assert_out_of_bounds(
        flat(Type::list(Type::U64), &[0, 1 << 29], &[0; 16]),
        0,
        1 << 32,
    );
    let wide = Type::Tuple(vec![Type::U64; 4096]);
    let length = u64::from(u32::MAX);
    assert_out_of_bounds(
        flat(Type::list(wide), &[0, length], &[0; 16]),
        0,
        length << 15,
    );
}

#[test]
fn a_misaligned_list_is_refused() {
    let memory = [0; 64];
    for (element, align) in [
        (Type::U16, 2),
        (Type::F32, 4),
        (Type::Char, 4),
        (Type::String, 4),
        (Type::S64, 8),
        (Type::option(Type::F64), 8),
        (Type::Flags(9), 2),
        (Type::Flags(33), 4),
        (Type::Variant(vec![None; 257]), 2),
    ] {
        let list = Type::list(element);
        assert_misaligned(
            flat(list.clone(), &[align / 2, 1], &memory),
            align as u32 / 2,
            align as u32,
        );
        // An empty one too, as in the canonical ABI.
        assert_misaligned(
            flat(list.clone(), &[align + 1, 0], &memory),
            align as u32 + 1,
            align as u32,
        );
        assert!(flat(list, &[align, 1], &memory).is_ok());
    }
}

#[test]
fn a_misaligned_return_pointer_is_refused() {
    let memory = [0; 32];
    assert_misaligned(at(&[Type::String], 2, &memory), 2, 4);
    assert_misaligned(at(&[Type::U8, Type::U64], 4, &memory), 4, 8);
    assert!(at(&[Type::U8, Type::U64], 8, &memory).is_ok());
    assert!(at(&[Type::U8, Type::U8], 3, &memory).is_ok());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for wrong in [
        &[0xff][..],
        &[b'a', 0x80],
        &[0xc0, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
        // Cut in the middle of a character.
        &[0xe2, 0x82],
    ] {
        let lifted = flat(Type::String, &[0, wrong.len() as u64], wrong);
        assert!(matches!(lifted, Err(LiftError::Text(_))), "{lifted:?}");
    }
}

#[test]
fn what_is_wrong_with_text_of_another_encoding_is_passed_on() {
    let lift =
        |core: &[u64], memory: &[u8]| lift(&[Type::String], core, 16, memory, Encoding::Utf16);
    let failure = |lifted: Lifted| match lifted {
        Err(LiftError::Source(failure)) => failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(lift(&[0, 1], &[0x00, 0xd8])), Failure::Text);
    assert_eq!(failure(lift(&[0, 2], &[b'a', 0])), Failure::OutOfBounds);
    assert_eq!(failure(lift(&[1, 1], &[0; 8])), Failure::Misaligned);
    assert_eq!(lift(&[0, 1], &[0xe9, 0]).unwrap(), [2, 0xc3, 0xa9]);
}

#[test]
fn numbers_that_are_no_characters_are_refused() {
    for code in [0xd800, 0xdfff, 0x11_0000, u32::MAX] {
        let memory = words(&[u32::from('x'), code]);
        for lifted in [
            flat(Type::Char, &[code.into()], &[]),
            at(&[Type::Char], 4, &memory),
            flat(Type::list(Type::Char), &[0, 2], &memory),
        ] {
            assert!(
                matches!(lifted, Err(LiftError::Char { code: c }) if c == code),
                "{lifted:?}"
            );
        }
    }
    for code in [0xd7ff, 0xe000, 0x10_ffff] {
        assert!(flat(Type::Char, &[code], &[]).is_ok());
    }
}

#[test]
fn a_discriminant_without_a_case_is_refused() {
    let three = Type::Variant(vec![None, Some(Type::U8), None]);
    assert_no_case(flat(three.clone(), &[3, 0], &[]), 3, 3);
    assert_no_case(flat(three.clone(), &[u32::MAX.into(), 0], &[]), u32::MAX, 3);
    assert_no_case(at(&[three], 0, &[3, 0]), 3, 3);
    assert_no_case(at(&[Type::option(Type::U8)], 0, &[2, 0]), 2, 2);
    assert_no_case(flat(Type::result(None, None), &[2], &[]), 2, 2);
    // Two bytes: all of them count.
    let many = Type::Variant(vec![None; 257]);
    assert_no_case(at(std::slice::from_ref(&many), 0, &[1, 1]), 257, 257);
    assert_eq!(at(&[many], 0, &[0, 1]).unwrap(), [0x80, 2]);
    // One byte: the next one is not part of it.
    let most_of_one = Type::Variant(vec![None; 256]);
    assert_eq!(at(&[most_of_one], 0, &[255, 255]).unwrap(), [0xff, 1]);
}

#[test]
fn a_wrong_value_deep_inside_is_found() {
    let ty = Type::list(Type::Tuple(vec![
        Type::U8,
        Type::option(Type::list(Type::Bool)),
    ]));
    // One element at 0, of 16 bytes: its list is at 1000.
    let memory = words(&[0, 1, 1000, 1]);
    assert_out_of_bounds(flat(ty.clone(), &[0, 1], &memory), 1000, 1);
    let memory = words(&[7, 1, 0, 1]);
    assert_eq!(flat(ty, &[0, 1], &memory).unwrap(), [1, 7, 1, 1, 1]);
}

#[test]
fn too_few_core_values_are_an_error() {
    for types in [
        vec![Type::U8],
        vec![Type::String],
        vec![Type::list(Type::U8)],
        vec![Type::Flags(40)],
        vec![Type::option(Type::U64)],
        vec![Type::Variant(vec![None, Some(Type::String)])],
        vec![Type::U8; 4],
    ] {
        let needed = Plan::new(&types).unwrap().flat_count();
        for count in 0..needed {
            let lifted = lift(&types, &vec![0; count], 16, &[], Encoding::Utf8);
            assert!(
                matches!(lifted, Err(LiftError::CoreValues)),
                "{count} of {needed}"
            );
        }
        assert!(lift(&types, &vec![0; needed], 16, &[], Encoding::Utf8).is_ok());
        let lifted = lift(&types, &[], 0, &[], Encoding::Utf8);
        assert!(
            matches!(lifted, Err(LiftError::CoreValues)),
            "without a pointer"
        );
    }
}

#[test]
fn more_than_16_parameters_behind_a_wrong_pointer_are_refused() {
    let types = vec![Type::U16; 17];
    let lift = |pointer: u64| lift(&types, &[pointer], 16, &[1; 40], Encoding::Utf8);
    assert_misaligned(lift(1), 1, 2);
    assert_out_of_bounds(lift(8), 8, 34);
    assert_eq!(lift(6).unwrap().len(), 34, "two bytes for each 0x0101");
}

#[test]
fn undefined_flags_are_dropped() {
    assert_eq!(flat(Type::Flags(3), &[0xffff_ffff], &[]).unwrap(), [0b111]);
    assert_eq!(at(&[Type::Flags(9)], 0, &[0xff, 0xff]).unwrap(), [0xff, 1]);
    assert_eq!(
        flat(Type::Flags(33), &[1, u64::MAX], &[]).unwrap(),
        [1, 0, 0, 0, 1]
    );
    let memory = [0xff; 12];
    assert_eq!(
        at(&[Type::Flags(70)], 0, &memory).unwrap(),
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f]
    );
}

#[test]
fn any_number_but_0_is_true() {
    assert_eq!(flat(Type::Bool, &[2], &[]).unwrap(), [1]);
    assert_eq!(flat(Type::Bool, &[1 << 31], &[]).unwrap(), [1]);
    assert_eq!(
        at(&[Type::Bool, Type::Bool], 0, &[0x80, 0]).unwrap(),
        [1, 0]
    );
    assert_eq!(
        flat(Type::list(Type::Bool), &[0, 3], &[255, 0, 2]).unwrap(),
        [3, 1, 0, 1]
    );
}

#[test]
fn bits_beyond_a_type_are_cut_off() {
    let all = &[u64::MAX][..];
    assert_eq!(flat(Type::U8, all, &[]).unwrap(), [0xff]);
    assert_eq!(flat(Type::S8, all, &[]).unwrap(), [0xff]);
    assert_eq!(flat(Type::U16, all, &[]).unwrap(), [0xff, 0xff, 3]);
    assert_eq!(flat(Type::S16, all, &[]).unwrap(), [0x7f]);
    assert_eq!(
        flat(Type::U32, all, &[]).unwrap(),
        [0xff, 0xff, 0xff, 0xff, 0xf]
    );
    assert_eq!(flat(Type::S32, all, &[]).unwrap(), [0x7f]);
    assert_eq!(flat(Type::U8, &[1 << 32], &[]).unwrap(), [0]);
    assert_eq!(flat(Type::Bool, &[1 << 32], &[]).unwrap(), [0]);
}
