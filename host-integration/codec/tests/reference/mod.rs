//! Values, and the wRPC encoding of them in the simplest way: an independent word on what the bytes must be.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod read;
pub(crate) mod strategy;

use inhost_codec::Type;

/// A value of a [`Type`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    U8(u8),
    S8(i8),
    U16(u16),
    S16(i16),
    U32(u32),
    S32(i32),
    U64(u64),
    S64(i64),
    /// The bits.
    F32(u32),
    /// The bits.
    F64(u64),
    Char(char),
    String(String),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Variant(usize, Option<Box<Value>>),
    Option(Option<Box<Value>>),
    Result(Result<Option<Box<Value>>, Option<Box<Value>>>),
    Flags(Vec<bool>),
    /// The bytes of a handle.
    Handle(Vec<u8>),
    Stream,
}

/// A message of `values`.
pub(crate) fn encode(types: &[Type], values: &[Value]) -> Vec<u8> {
    assert_eq!(types.len(), values.len());
    let mut out = Vec::new();
    for (ty, value) in types.iter().zip(values) {
        encode_one(ty, value, &mut out);
    }
    out
}

/// The handles in values, in order.
pub(crate) fn handles(values: &[Value]) -> Vec<Vec<u8>> {
    values.iter().flat_map(Value::handles).collect()
}

fn encode_one(ty: &Type, value: &Value, out: &mut Vec<u8>) {
    match (ty, value) {
        (Type::Bool, Value::Bool(v)) => out.push(if *v { 1 } else { 0 }),
        (Type::U8, Value::U8(v)) => out.push(*v),
        (Type::S8, Value::S8(v)) => out.push(v.to_le_bytes()[0]),
        (Type::U16, Value::U16(v)) => unsigned(u128::from(*v), out),
        (Type::S16, Value::S16(v)) => signed(i128::from(*v), out),
        (Type::U32, Value::U32(v)) => unsigned(u128::from(*v), out),
        (Type::S32, Value::S32(v)) => signed(i128::from(*v), out),
        (Type::U64, Value::U64(v)) => unsigned(u128::from(*v), out),
        (Type::S64, Value::S64(v)) => signed(i128::from(*v), out),
        (Type::F32, Value::F32(bits)) => out.extend(bits.to_le_bytes()),
        (Type::F64, Value::F64(bits)) => out.extend(bits.to_le_bytes()),
        (Type::Char, Value::Char(v)) => out.extend(v.to_string().into_bytes()),
        (Type::String, Value::String(v)) => {
            unsigned(v.len() as u128, out);
            out.extend(v.bytes());
        }
        (Type::List(element), Value::List(vs)) => {
            unsigned(vs.len() as u128, out);
            for v in vs {
                encode_one(element, v, out);
            }
        }
        (Type::Tuple(types), Value::Tuple(vs)) => out.extend(encode(types, vs)),
        (Type::Variant(cases), Value::Variant(case, payload)) => {
            unsigned(*case as u128, out);
            encode_payload(cases[*case].as_ref(), payload, out);
        }
        (Type::Option(some), Value::Option(payload)) => {
            out.push(if payload.is_some() { 1 } else { 0 });
            encode_payload(payload.as_ref().map(|_| &**some), payload, out);
        }
        (Type::Result(ok, _), Value::Result(Ok(payload))) => {
            out.push(0);
            encode_payload(ok.as_deref(), payload, out);
        }
        (Type::Result(_, err), Value::Result(Err(payload))) => {
            out.push(1);
            encode_payload(err.as_deref(), payload, out);
        }
        (Type::Flags(count), Value::Flags(set)) => {
            assert_eq!(*count, set.len());
            for eight in set.chunks(8) {
                let bits = eight.iter().enumerate();
                out.push(
                    bits.map(|(at, set)| u8::from(*set) * 2u8.pow(at as u32))
                        .sum(),
                );
            }
        }
        (Type::Handle(_), Value::Handle(handle)) => {
            unsigned(handle.len() as u128, out);
            out.extend(handle);
        }
        (Type::Stream(_), Value::Stream) => {}
        other => panic!("no value of its type: {other:?}"),
    }
}

fn encode_payload(ty: Option<&Type>, value: &Option<Box<Value>>, out: &mut Vec<u8>) {
    match (ty, value) {
        (None, None) => {}
        (Some(ty), Some(value)) => encode_one(ty, value, out),
        other => panic!("no payload of its case: {other:?}"),
    }
}

/// LEB128 by its definition: as few groups of 7 bits as hold the number, lowest first, all but the last marked.
fn unsigned(value: u128, out: &mut Vec<u8>) {
    let groups = (1..).find(|groups| value < 1 << (7 * groups));
    groups_of_7(value, groups, out);
}

/// The same in two's complement.
fn signed(value: i128, out: &mut Vec<u8>) {
    let groups = (1..).find(|groups| {
        let half = 1 << (7 * groups - 1);
        (-half..half).contains(&value)
    });
    groups_of_7(value as u128, groups, out);
}

fn groups_of_7(value: u128, groups: Option<u32>, out: &mut Vec<u8>) {
    let groups = groups.expect("some number of groups is enough");
    for group in 0..groups {
        let bits = (value >> (7 * group)) as u8 % 0x80;
        let more = if group + 1 < groups { 0x80 } else { 0 };
        out.push(bits + more);
    }
}

impl Value {
    /// The handles in it, in order.
    pub(crate) fn handles(&self) -> Vec<Vec<u8>> {
        let payload = |payload: &Option<Box<Self>>| {
            payload
                .as_ref()
                .map(|value| value.handles())
                .unwrap_or_default()
        };
        match self {
            Self::Handle(handle) => vec![handle.clone()],
            Self::List(values) | Self::Tuple(values) => handles(values),
            Self::Variant(_, value) | Self::Option(value) => payload(value),
            Self::Result(Ok(value) | Err(value)) => payload(value),
            _ => Vec::new(),
        }
    }

    /// The value as it is after it went through a guest: each NaN is the canonical one.
    pub(crate) fn canonical(&self) -> Self {
        let boxed =
            |payload: &Option<Box<Value>>| payload.as_ref().map(|v| Box::new(v.canonical()));
        match self {
            Self::F32(bits) if f32::from_bits(*bits).is_nan() => Self::F32(0x7fc0_0000),
            Self::F64(bits) if f64::from_bits(*bits).is_nan() => Self::F64(0x7ff8_0000_0000_0000),
            Self::List(vs) => Self::List(vs.iter().map(Self::canonical).collect()),
            Self::Tuple(vs) => Self::Tuple(vs.iter().map(Self::canonical).collect()),
            Self::Variant(case, payload) => Self::Variant(*case, boxed(payload)),
            Self::Option(payload) => Self::Option(boxed(payload)),
            Self::Result(Ok(payload)) => Self::Result(Ok(boxed(payload))),
            Self::Result(Err(payload)) => Self::Result(Err(boxed(payload))),
            other => other.clone(),
        }
    }
}
