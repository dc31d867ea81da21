//! Types, and values of them in the wRPC encoding, chosen at random. What is written here is independent of the codec.

use inhost_codec::Type;
use proptest::prelude::*;

/// A type of any kind, nested a few times.
pub(super) fn ty() -> impl Strategy<Value = Type> {
    let scalar = prop_oneof![
        Just(Type::Bool),
        Just(Type::U8),
        Just(Type::S8),
        Just(Type::U16),
        Just(Type::S16),
        Just(Type::U32),
        Just(Type::S32),
        Just(Type::U64),
        Just(Type::S64),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        (1..=32_usize).prop_map(Type::Flags),
        // Not 256: see `an_enum_of_256_cases_is_one_byte_in_memory`.
        prop_oneof![1..=4_usize, Just(255), Just(257)]
            .prop_map(|cases| Type::Variant(vec![None; cases])),
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        let optional = proptest::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::option),
            proptest::collection::vec(inner, 1..5).prop_map(Type::Tuple),
            (optional.clone(), optional.clone()).prop_map(|(ok, err)| Type::result(ok, err)),
            proptest::collection::vec(optional, 1..5).prop_map(Type::Variant),
        ]
    })
}

/// An encoded value of `ty`, made out of `seed`.
pub(super) fn encoded(ty: &Type, seed: &mut Seed, out: &mut Vec<u8>) {
    match ty {
        Type::Bool => out.push(seed.below(2) as u8),
        Type::U8 | Type::S8 => out.push(seed.number() as u8),
        Type::U16 => unsigned(u64::from(seed.number() as u16), out),
        Type::U32 => unsigned(u64::from(seed.number() as u32), out),
        Type::U64 => unsigned(seed.number(), out),
        Type::S16 => signed(i64::from(seed.number() as i16), out),
        Type::S32 => signed(i64::from(seed.number() as i32), out),
        Type::S64 => signed(seed.number() as i64, out),
        Type::F32 => {
            // All NaNs are one on the way through a component.
            let value = f32::from_bits(seed.number() as u32);
            let value = if value.is_nan() { f32::NAN } else { value };
            out.extend(value.to_le_bytes());
        }
        Type::F64 => {
            let value = f64::from_bits(seed.number());
            let value = if value.is_nan() { f64::NAN } else { value };
            out.extend(value.to_le_bytes());
        }
        Type::Char => out.extend(seed.char().to_string().bytes()),
        Type::String => {
            let text: String = (0..seed.length()).map(|_| seed.char()).collect();
            unsigned(text.len() as u64, out);
            out.extend(text.bytes());
        }
        Type::List(element) => {
            let length = seed.length();
            unsigned(length, out);
            (0..length).for_each(|_| encoded(element, seed, out));
        }
        Type::Tuple(types) => types.iter().for_each(|ty| encoded(ty, seed, out)),
        Type::Variant(cases) => {
            let case = seed.below(cases.len() as u64);
            unsigned(case, out);
            if let Some(ty) = &cases[case as usize] {
                encoded(ty, seed, out);
            }
        }
        Type::Option(payload) => {
            let some = seed.below(2);
            out.push(some as u8);
            if some == 1 {
                encoded(payload, seed, out);
            }
        }
        Type::Result(ok, err) => {
            let is_err = seed.below(2);
            out.push(is_err as u8);
            if let Some(ty) = if is_err == 1 { err } else { ok } {
                encoded(ty, seed, out);
            }
        }
        Type::Flags(count) => {
            for first in (0..*count).step_by(8) {
                let valid = (count - first).min(8) as u32;
                out.push(seed.below(1 << valid) as u8);
            }
        }
        Type::Handle(_) | Type::Stream(_) => unreachable!("values have no resources here"),
    }
}

/// A source of numbers (xorshift64).
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// A number of any magnitude.
    fn number(&mut self) -> u64 {
        let shift = self.below(64);
        (self.below(1 << 32) << 32 | self.below(1 << 32)) >> shift
    }

    fn length(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => self.below(200),
            _ => self.below(5),
        }
    }

    fn char(&mut self) -> char {
        let chars = ['a', '\0', 'é', 'ÿ', '漢', '\u{ffff}', '😀', '\u{10ffff}'];
        chars[self.below(chars.len() as u64) as usize]
    }
}

fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn signed(mut value: i64, out: &mut Vec<u8>) {
    while !(-0x40..0x40).contains(&value) {
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}
