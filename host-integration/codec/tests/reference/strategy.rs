//! Types of all kinds, and values of them.

use inhost_codec::Type;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Value;

/// Types within types.
const DEPTH: u32 = 4;

/// The parameters or results of a function, with values: often too many for core values.
pub(crate) fn message() -> impl Strategy<Value = (Vec<Type>, Vec<Value>)> {
    let types = prop_oneof![3 => vec(ty(), 0..4), 1 => vec(ty(), 4..20)];
    types.prop_flat_map(|types| {
        let values: Vec<_> = types.iter().map(value).collect();
        (Just(types), values)
    })
}

pub(crate) fn ty() -> impl Strategy<Value = Type> {
    // What does not nest: numbers more often than the rest.
    let numbers = vec![
        Type::Bool,
        Type::U8,
        Type::S8,
        Type::U16,
        Type::S16,
        Type::U32,
        Type::S32,
        Type::U64,
        Type::S64,
        Type::F32,
        Type::F64,
        Type::Char,
    ];
    let plain = prop_oneof![
        6 => select(numbers),
        2 => Just(Type::String),
        1 => (1..=70usize).prop_map(Type::Flags),
        // An enum, with a discriminant of two bytes in memory or in the encoding now and then.
        1 => (1..=300usize).prop_map(|count| Type::Variant(vec![None; count])),
        // Those with even numbers have handles, and the others are streams.
        1 => (0..3u32).prop_map(|number| Type::Handle(2 * number)),
        1 => (0..3u32).prop_map(|number| Type::Stream(2 * number + 1)),
    ];
    plain.prop_recursive(DEPTH - 1, 24, 5, |inner| {
        let payload = proptest::option::of(inner.clone());
        prop_oneof![
            3 => inner.clone().prop_map(Type::list),
            2 => inner.clone().prop_map(Type::option),
            2 => vec(inner, 1..5).prop_map(Type::Tuple),
            2 => (payload.clone(), payload.clone()).prop_map(|(ok, err)| Type::result(ok, err)),
            2 => (vec(payload, 1..5), some_cases()).prop_map(|(mut cases, more)| {
                // The cases with payloads come last, so that their discriminants are the large ones.
                cases.splice(0..0, vec![None; more]);
                Type::Variant(cases)
            }),
        ]
    })
}

/// How many cases without payload a variant has.
fn some_cases() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..4usize, 1 => 120..130usize, 1 => 250..296usize]
}

pub(crate) fn value(ty: &Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::U8 => any::<u8>().prop_map(Value::U8).boxed(),
        Type::S8 => any::<i8>().prop_map(Value::S8).boxed(),
        Type::U16 => bits().prop_map(|v| Value::U16(v as u16)).boxed(),
        Type::S16 => bits().prop_map(|v| Value::S16(v as i16)).boxed(),
        Type::U32 => bits().prop_map(|v| Value::U32(v as u32)).boxed(),
        Type::S32 => bits().prop_map(|v| Value::S32(v as i32)).boxed(),
        Type::U64 => bits().prop_map(Value::U64).boxed(),
        Type::S64 => bits().prop_map(|v| Value::S64(v as i64)).boxed(),
        Type::F32 => prop_oneof![
            any::<f32>().prop_map(|v| Value::F32(v.to_bits())),
            // Any bits: NaNs of all kinds among them.
            any::<u32>().prop_map(|v| Value::F32(v | 0x7f80_0000)),
        ]
        .boxed(),
        Type::F64 => prop_oneof![
            any::<f64>().prop_map(|v| Value::F64(v.to_bits())),
            any::<u64>().prop_map(|v| Value::F64(v | 0x7ff0_0000_0000_0000)),
        ]
        .boxed(),
        Type::Char => any::<char>().prop_map(Value::Char).boxed(),
        Type::String => text().prop_map(Value::String).boxed(),
        Type::List(element) => {
            // Beyond what is converted in one batch, where that is cheap.
            let most = match **element {
                Type::List(_) | Type::Tuple(_) | Type::Variant(_) | Type::String => 5,
                Type::Option(_) | Type::Result(..) | Type::Flags(_) => 8,
                _ => 150,
            };
            vec(value(element), 0..most).prop_map(Value::List).boxed()
        }
        Type::Tuple(types) => {
            let values: Vec<_> = types.iter().map(value).collect();
            values.prop_map(Value::Tuple).boxed()
        }
        Type::Variant(cases) => {
            let cases = cases.clone();
            // The last ones are those with payloads.
            let count = cases.len();
            prop_oneof![0..count, count.saturating_sub(4)..count]
                .prop_flat_map(move |case| {
                    payload(cases[case].as_ref()).prop_map(move |v| Value::Variant(case, v))
                })
                .boxed()
        }
        Type::Option(some) => prop_oneof![
            Just(Value::Option(None)),
            payload(Some(some)).prop_map(Value::Option),
        ]
        .boxed(),
        Type::Result(ok, err) => prop_oneof![
            payload(ok.as_deref()).prop_map(|v| Value::Result(Ok(v))),
            payload(err.as_deref()).prop_map(|v| Value::Result(Err(v))),
        ]
        .boxed(),
        Type::Flags(count) => vec(any::<bool>(), *count).prop_map(Value::Flags).boxed(),
        Type::Handle(_) => {
            prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..140)]
                .prop_map(Value::Handle)
                .boxed()
        }
        Type::Stream(_) => Just(Value::Stream).boxed(),
    }
}

fn payload(ty: Option<&Type>) -> BoxedStrategy<Option<Box<Value>>> {
    match ty {
        None => Just(None).boxed(),
        Some(ty) => value(ty).prop_map(|v| Some(Box::new(v))).boxed(),
    }
}

/// Numbers of all lengths in LEB128, and the ones at the borders of types.
fn bits() -> impl Strategy<Value = u64> {
    let borders = [7, 8, 14, 15, 16, 21, 31, 32, 35, 63];
    let borders = borders.map(|shift| 1u64 << shift);
    prop_oneof![
        (any::<u64>(), 0..64u32).prop_map(|(v, shift)| v >> shift),
        (any::<i64>(), 0..64u32).prop_map(|(v, shift)| (v >> shift) as u64),
        (select(borders.to_vec()), 0..2u64).prop_map(|(v, less)| v - less),
        (select(borders.to_vec()), 0..2u64).prop_map(|(v, less)| v.wrapping_neg() - less),
    ]
}

/// Text with characters of 1 to 4 bytes, of a length of up to two bytes in LEB128.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => vec(any::<char>(), 0..8),
        1 => vec(any::<char>(), 30..80),
    ]
    .prop_map(|chars| chars.into_iter().collect())
}
