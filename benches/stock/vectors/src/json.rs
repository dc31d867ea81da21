//! Types, values and bytes as JSON. The format is described in `main.rs`.

use std::fmt::Write as _;

use anyhow::bail;
use serde_json::{json, Value};
use wasmtime::component::Val;

use crate::ty::Ty;

/// The largest number up to which every reader of JSON is exact.
const EXACT: u64 = 1 << 53;

/// From this length on, a string of one character is written in short.
const LONG: usize = 64;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

// Keys are written in alphabetical order, so that serde_json's two kinds of map come to the same text.
pub(crate) fn ty(of: &Ty) -> Value {
    match of {
        Ty::List(element) => json!({ "list": ty(element) }),
        Ty::Tuple(types) => json!({ "tuple": types.iter().map(ty).collect::<Vec<_>>() }),
        Ty::Record(fields) => {
            let fields = fields.iter().map(|(name, field)| json!([name, ty(field)]));
            json!({ "record": fields.collect::<Vec<_>>() })
        }
        Ty::Variant(cases) => {
            let cases = cases.iter();
            let cases = cases.map(|(name, payload)| json!([name, payload.as_ref().map(ty)]));
            json!({ "variant": cases.collect::<Vec<_>>() })
        }
        Ty::Enum(names) => json!({ "enum": names }),
        Ty::Option(some) => json!({ "option": ty(some) }),
        Ty::Result { ok, err } => {
            json!({ "result": { "err": err.as_deref().map(ty), "ok": ok.as_deref().map(ty) } })
        }
        Ty::Flags(names) => json!({ "flags": names }),
        Ty::Own | Ty::Borrow | Ty::Stream => json!(of.to_string()),
        plain => json!(plain.keyword()),
    }
}

pub(crate) fn value(of: &Val) -> anyhow::Result<Value> {
    Ok(match of {
        Val::Bool(v) => json!(v),
        Val::U8(v) => json!(v),
        Val::S8(v) => json!(v),
        Val::U16(v) => json!(v),
        Val::S16(v) => json!(v),
        Val::U32(v) => json!(v),
        Val::S32(v) => json!(v),
        Val::U64(v) if *v > EXACT => json!(v.to_string()),
        Val::U64(v) => json!(v),
        Val::S64(v) if v.unsigned_abs() > EXACT => json!(v.to_string()),
        Val::S64(v) => json!(v),
        Val::Float32(v) => json!({ "f32": format!("{:08x}", v.to_bits()) }),
        Val::Float64(v) => json!({ "f64": format!("{:016x}", v.to_bits()) }),
        Val::Char(v) => json!(v),
        Val::String(v) => string(v),
        Val::List(vs) | Val::Tuple(vs) => array(vs)?,
        Val::Record(fields) => array(fields.iter().map(|(_, v)| v))?,
        Val::Variant(name, payload) => json!({ "case": name, "value": boxed(payload)? }),
        Val::Enum(name) => json!(name),
        Val::Option(None) => Value::Null,
        Val::Option(Some(v)) => json!({ "some": value(v)? }),
        Val::Result(Ok(v)) => json!({ "ok": boxed(v)? }),
        Val::Result(Err(v)) => json!({ "err": boxed(v)? }),
        Val::Flags(names) => json!(names),
        Val::Resource(_) => bail!("a resource has no value to write down"),
    })
}

fn array<'a>(values: impl IntoIterator<Item = &'a Val>) -> anyhow::Result<Value> {
    values.into_iter().map(value).collect()
}

fn boxed(payload: &Option<Box<Val>>) -> anyhow::Result<Option<Value>> {
    payload.as_deref().map(value).transpose()
}

fn string(text: &str) -> Value {
    let times = text.chars().count();
    match text.chars().next() {
        Some(first) if times >= LONG && text.chars().all(|other| other == first) => {
            json!({ "repeat": [first, times] })
        }
        _ => json!(text),
    }
}
