//! Values with the bytes that the two specifications give them, written down by hand.

mod guest;

use std::sync::Arc;

use inhost_codec::{Checker, Destination, Lift, Lower, Plan, Progress, Type};

use guest::{Encoding, Guest, View};

/// A value in both formats: what it is in the encoding, as core values, and in a memory that begins at 0.
struct Known {
    ty: Type,
    wire: Vec<u8>,
    core: Vec<u64>,
    memory: Vec<u8>,
}

fn known(ty: Type, wire: &[u8], core: &[u64], memory: &[u8]) -> Known {
    Known {
        ty,
        wire: wire.to_vec(),
        core: core.to_vec(),
        memory: memory.to_vec(),
    }
}

/// Values without pointers.
fn table() -> Vec<Known> {
    let shape = || Type::Variant(vec![None, Some(Type::U8), Some(Type::F64)]);
    let two = 2.0f64.to_le_bytes();
    let two_bits = 0x4000_0000_0000_0000;
    vec![
        known(Type::Bool, &[1], &[1], &[1]),
        known(Type::U8, &[200], &[200], &[200]),
        known(Type::S8, &[0xff], &[0xffff_ffff], &[0xff]),
        known(Type::U16, &[0xe5, 0x8e, 0x02], &[0x8765], &[0x65, 0x87]),
        known(Type::S16, &[0x80, 0x80, 0x7e], &[0xffff_8000], &[0, 0x80]),
        known(
            Type::U32,
            &[0xe5, 0x8e, 0x26],
            &[624_485],
            &[0x65, 0x87, 0x09, 0],
        ),
        known(
            Type::S32,
            &[0xc0, 0xbb, 0x78],
            &[0xfffe_1dc0],
            &[0xc0, 0x1d, 0xfe, 0xff],
        ),
        known(Type::S32, &[0xff, 0], &[127], &[127, 0, 0, 0]),
        known(
            Type::U64,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[u64::MAX],
            &[0xff; 8],
        ),
        known(Type::S64, &[0x7f], &[u64::MAX], &[0xff; 8]),
        known(
            Type::F32,
            &[0, 0, 0xc0, 0x3f],
            &[0x3fc0_0000],
            &[0, 0, 0xc0, 0x3f],
        ),
        known(Type::F64, &two, &[two_bits], &two),
        known(
            Type::Char,
            &[0xe2, 0x82, 0xac],
            &[0x20ac],
            &[0xac, 0x20, 0, 0],
        ),
        known(Type::Flags(3), &[0b101], &[5], &[5]),
        known(Type::Flags(12), &[0x01, 0x08], &[0x801], &[0x01, 0x08]),
        known(Type::Flags(20), &[1, 0, 8], &[0x8_0001], &[1, 0, 8, 0]),
        known(
            Type::Flags(34),
            &[0, 0, 0, 0x80, 2],
            &[0x8000_0000, 2],
            &[0, 0, 0, 0x80, 2, 0, 0, 0],
        ),
        known(Type::option(Type::U16), &[0], &[0, 0], &[0, 0, 0, 0]),
        known(
            Type::option(Type::U16),
            &[1, 0x80, 1],
            &[1, 128],
            &[1, 0, 128, 0],
        ),
        known(
            Type::result(Some(Type::U8), None),
            &[0, 9],
            &[0, 9],
            &[0, 9],
        ),
        known(
            Type::result(None, Some(Type::U8)),
            &[1, 9],
            &[1, 9],
            &[1, 9],
        ),
        known(Type::result(None, None), &[1], &[1], &[1]),
        known(
            shape(),
            &[1, 255],
            &[1, 255],
            &[1, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0],
        ),
        known(
            shape(),
            &[&[2], &two[..]].concat(),
            &[2, two_bits],
            &[&[2, 0, 0, 0, 0, 0, 0, 0], &two[..]].concat(),
        ),
        // Case 200 of an enum is two bytes of LEB128, and one byte in memory.
        known(Type::Variant(vec![None; 256]), &[0xc8, 1], &[200], &[200]),
        known(
            Type::Variant(vec![None; 300]),
            &[0xab, 2],
            &[299],
            &[0x2b, 1],
        ),
        known(
            Type::Tuple(vec![Type::U8, Type::U32, Type::Bool]),
            &[7, 8, 1],
            &[7, 8, 1],
            &[7, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0],
        ),
    ]
}

#[test]
fn values_have_the_bytes_of_the_specifications() {
    for Known {
        ty,
        wire,
        core,
        memory,
    } in table()
    {
        let plan = Arc::new(Plan::new(std::slice::from_ref(&ty)).unwrap());
        let length = wire.len();
        let checked = Checker::new(Arc::clone(&plan)).advance(&wire);
        assert_eq!(checked, Ok(Progress::Complete { length }), "{ty:?}");

        let lift = |core: &[u64], max_flat| {
            let mut view = View {
                memory: &memory,
                encoding: Encoding::Utf8,
            };
            let lifted = Lift::new(&plan).run(&mut view, core, max_flat);
            lifted.unwrap().message().to_vec()
        };
        assert_eq!(lift(&core, 16), wire, "{ty:?} of core values");
        assert_eq!(lift(&[0], 0), wire, "{ty:?} of memory");

        let lower = Lower::new(&plan);
        let mut guest = Guest::with(Encoding::Utf8, &vec![0; memory.len()]);
        let mut lowered = vec![0; core.len()];
        let result = lower.run(&wire, &mut guest, &mut lowered, 16, Destination::Allocate);
        result.unwrap();
        assert_eq!(lowered, core, "{ty:?} to core values");
        let result = lower.run(&wire, &mut guest, &mut [], 0, Destination::At(0));
        result.unwrap();
        assert_eq!(guest.memory(), memory, "{ty:?} to memory");
    }
}

#[test]
fn strings_and_lists_are_a_pointer_and_a_length() {
    let types = [
        Type::String,
        Type::list(Type::U16),
        Type::list(Type::String),
    ];
    // "é", [1, 300], ["a", ""]
    let wire = [2, 0xc3, 0xa9, 2, 1, 0xac, 2, 2, 1, b'a', 0];
    let plan = Plan::new(&types).unwrap();
    let mut guest = Guest::with(Encoding::Utf8, &[]);
    let mut core = [0; 6];
    let lower = Lower::new(&plan);
    let lowered = lower.run(&wire, &mut guest, &mut core, 16, Destination::Allocate);
    lowered.unwrap();
    assert_eq!(core, [0, 2, 2, 2, 8, 2]);
    let expected = [
        0xc3, 0xa9, // the text
        1, 0, 0x2c, 1, // the numbers
        0, 0, // padding that nobody reads
        24, 0, 0, 0, 1, 0, 0, 0, // where "a" is
        25, 0, 0, 0, 0, 0, 0, 0, // where "" is
        b'a',
    ];
    let memory = guest.memory();
    assert_eq!(memory[..6], expected[..6]);
    assert_eq!(memory[8..25], expected[8..]);
    let lifted = Lift::new(&plan).run(&mut guest.view(), &core, 16);
    assert_eq!(lifted.unwrap().message(), wire);
}

#[test]
fn each_nan_becomes_the_canonical_one() {
    let types = [
        Type::F32,
        Type::F64,
        Type::list(Type::F32),
        Type::list(Type::F64),
    ];
    let (f32s, f64s) = (
        [0xffff_ffffu32, 0x7f80_0001],
        [u64::MAX, 0x7ff0_0000_0000_0001],
    );
    let (f32_nan, f64_nan) = ([0, 0, 0xc0, 0x7f], [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]);
    let plan = Plan::new(&types).unwrap();
    for (a, b) in f32s.into_iter().zip(f64s) {
        let (a_bytes, b_bytes) = (a.to_le_bytes(), b.to_le_bytes());
        let wire = [&a_bytes[..], &b_bytes, &[1], &a_bytes, &[1], &b_bytes].concat();
        let canonical = [&f32_nan[..], &f64_nan, &[1], &f32_nan, &[1], &f64_nan].concat();
        // To a guest.
        let mut guest = Guest::new(Encoding::Utf8);
        let mut core = [0; 6];
        let lower = Lower::new(&plan);
        let lowered = lower.run(&wire, &mut guest, &mut core, 16, Destination::Allocate);
        lowered.unwrap();
        assert_eq!(core[..2], [0x7fc0_0000, 0x7ff8_0000_0000_0000]);
        let memory = guest.memory();
        assert_eq!(memory[core[2] as usize..][..4], f32_nan);
        assert_eq!(memory[core[4] as usize..][..8], f64_nan);
        // From a guest.
        let memory = [&b_bytes[..], &a_bytes].concat();
        let mut view = View {
            memory: &memory,
            encoding: Encoding::Utf8,
        };
        let lifted = Lift::new(&plan).run(&mut view, &[a.into(), b, 8, 1, 0, 1], 16);
        assert_eq!(lifted.unwrap().message(), canonical);
    }
}
