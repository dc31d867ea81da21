//! The bytes are those of the published crates.

use std::collections::BTreeMap;

use inhost_codec::Type;
use serde_json::Value;
use wit_component::StringEncoding;

use super::agreement::check;
use super::host::engine;

/// See `tests/data/README.md`.
const VECTORS: &str = include_str!("../../../tests/data/wire-vectors.json");

#[test]
fn messages_of_the_published_crates_pass_through_guests() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    let mut messages: BTreeMap<String, (Type, Vec<Vec<u8>>)> = BTreeMap::new();
    for vector in &vectors {
        let wire = vector["wire"].as_str().expect("hexadecimal digits");
        messages
            .entry(vector["type"].to_string())
            .or_insert_with(|| (ty(&vector["type"]), Vec::new()))
            .1
            .push(bytes(wire));
    }
    assert!(vectors.len() > 400, "there are {} vectors", vectors.len());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = engine();
    for (ty, messages) in messages.into_values() {
        check(&runtime, &engine, &[ty], StringEncoding::UTF8, &messages);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn ty(tree: &Value) -> Type {
    let members = |value: &Value| value.as_array().expect("a list of members").clone();
    let optional = |value: &Value| (!value.is_null()).then(|| ty(value));
    if let Some(name) = tree.as_str() {
        return match name {
            "bool" => Type::Bool,
            "u8" => Type::U8,
            "s8" => Type::S8,
            "u16" => Type::U16,
            "s16" => Type::S16,
            "u32" => Type::U32,
            "s32" => Type::S32,
            "u64" => Type::U64,
            "s64" => Type::S64,
            "f32" => Type::F32,
            "f64" => Type::F64,
            "char" => Type::Char,
            "string" => Type::String,
            other => panic!("unknown type {other}"),
        };
    }
    let (kind, of) = tree
        .as_object()
        .expect("a type")
        .iter()
        .next()
        .expect("a kind");
    match kind.as_str() {
        "list" => Type::list(ty(of)),
        "option" => Type::option(ty(of)),
        "tuple" => Type::Tuple(members(of).iter().map(ty).collect()),
        "record" => Type::Tuple(members(of).iter().map(|field| ty(&field[1])).collect()),
        "variant" => Type::Variant(members(of).iter().map(|case| optional(&case[1])).collect()),
        "enum" => Type::Variant(vec![None; members(of).len()]),
        "flags" => Type::Flags(members(of).len()),
        "result" => Type::result(optional(&of["ok"]), optional(&of["err"])),
        other => panic!("unknown kind of type {other}"),
    }
}
