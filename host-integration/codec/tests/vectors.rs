//! The wire vectors that the published crates made: our codec and the tests' own reference agree with them.

mod guest;
mod reference;
#[path = "vectors/types.rs"]
mod types;

use std::sync::Arc;

use inhost_codec::{Checker, Destination, Lift, Lower, Passes, Plan, Progress, Type};
use serde_json::Value as Json;

use guest::{Encoding, Guest, Noting};
use reference::Value;
use types::{array, kind, ty};

const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../wrpc-runtime-wasmtime/tests/data/wire-vectors.json"
);

/// One vector. The format is described in `benches/stock/vectors/src/main.rs`.
struct Vector {
    name: String,
    ty: Type,
    value: Value,
    wire: Vec<u8>,
    /// The paths of its streams, in order.
    streams: Vec<Vec<usize>>,
}

fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(VECTORS).expect("the vectors are committed");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    let vectors: Vec<_> = array(&json).iter().map(vector).collect();
    assert!(vectors.len() > 100, "only {} vectors", vectors.len());
    vectors
}

fn vector(json: &Json) -> Vector {
    let streams = json["streams"].as_array().into_iter().flatten();
    let path = |stream: &Json| array(&stream["path"]).iter().map(number).collect();
    Vector {
        name: text(&json["name"]).to_owned(),
        ty: ty(&json["type"]),
        value: value(&json["type"], &json["value"]),
        wire: hex(&json["wire"]),
        streams: streams.map(path).collect(),
    }
}

fn hex(json: &Json) -> Vec<u8> {
    let digits = text(json).chars();
    let digits: Vec<_> = digits
        .map(|digit| digit.to_digit(16).expect("a digit"))
        .collect();
    let pairs = digits.chunks(2);
    pairs.map(|pair| (16 * pair[0] + pair[1]) as u8).collect()
}

fn text(json: &Json) -> &str {
    json.as_str()
        .unwrap_or_else(|| panic!("not a string: {json}"))
}

fn value(ty: &Json, json: &Json) -> Value {
    let boxed = |ty: &Json, json: &Json| (!ty.is_null()).then(|| Box::new(value(ty, json)));
    let (kind, of) = kind(ty);
    match kind {
        "bool" => Value::Bool(json.as_bool().expect("a bool")),
        "u8" => Value::U8(number(json)),
        "s8" => Value::S8(number(json)),
        "u16" => Value::U16(number(json)),
        "s16" => Value::S16(number(json)),
        "u32" => Value::U32(number(json)),
        "s32" => Value::S32(number(json)),
        "u64" => Value::U64(number(json)),
        "s64" => Value::S64(number(json)),
        "f32" => Value::F32(u32::from_str_radix(text(&json["f32"]), 16).expect("bits")),
        "f64" => Value::F64(u64::from_str_radix(text(&json["f64"]), 16).expect("bits")),
        "char" => Value::Char(text(json).parse().expect("a character")),
        "own" | "borrow" => Value::Handle(hex(json)),
        "stream" => Value::Stream,
        "string" => Value::String(match &json["repeat"] {
            Json::Null => text(json).to_owned(),
            repeat => text(&repeat[0]).repeat(number(&repeat[1])),
        }),
        "list" => Value::List(array(json).iter().map(|json| value(of, json)).collect()),
        "tuple" => {
            let fields = array(of).iter().zip(array(json));
            Value::Tuple(fields.map(|(ty, json)| value(ty, json)).collect())
        }
        "record" => {
            let fields = array(of).iter().zip(array(json));
            Value::Tuple(fields.map(|(field, json)| value(&field[1], json)).collect())
        }
        "variant" => {
            let case = array(of).iter().position(|case| case[0] == json["case"]);
            let case = case.expect("a case");
            Value::Variant(case, boxed(&of[case][1], &json["value"]))
        }
        "enum" => {
            let case = array(of).iter().position(|name| name == json);
            Value::Variant(case.expect("a case"), None)
        }
        "option" => Value::Option(json.get("some").and_then(|json| boxed(of, json))),
        "result" => Value::Result(match (json.get("ok"), json.get("err")) {
            (Some(ok), None) => Ok(boxed(&of["ok"], ok)),
            (None, Some(err)) => Err(boxed(&of["err"], err)),
            _ => panic!("not a result: {json}"),
        }),
        "flags" => {
            let set = array(json);
            Value::Flags(array(of).iter().map(|name| set.contains(name)).collect())
        }
        other => panic!("unknown type {other}"),
    }
}

/// A number, or its digits where JSON would not be exact.
fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(json: &Json) -> T {
    let digits = json
        .as_str()
        .map_or_else(|| json.to_string(), str::to_owned);
    digits.parse().expect("a number of its type")
}

#[test]
fn the_reference_of_these_tests_makes_the_same_bytes() {
    for Vector {
        name,
        ty,
        value,
        wire,
        ..
    } in vectors()
    {
        assert!(reference::encode(&[ty], &[value]) == wire, "{name}");
    }
}

#[test]
fn the_checker_takes_each_vector_and_nothing_shorter() {
    for Vector { name, ty, wire, .. } in vectors() {
        let plan = Arc::new(Plan::new(&[ty]).expect("a plan"));
        let length = wire.len();
        let check = |message: &[u8]| Checker::new(Arc::clone(&plan)).advance(message);
        assert_eq!(check(&wire), Ok(Progress::Complete { length }), "{name}");
        // A stream takes no bytes.
        if let Some(shorter) = length.checked_sub(1) {
            assert_eq!(
                check(&wire[..shorter]),
                Ok(Progress::Incomplete { needed: length }),
                "{name}"
            );
        }
    }
}

#[test]
fn the_checker_finds_the_handles_and_streams_of_each_vector() {
    let (mut all_handles, mut all_streams) = (0, 0);
    for vector in vectors() {
        let plan = Arc::new(Plan::new(&[vector.ty]).expect("a plan"));
        let mut checker = Checker::new(plan);
        let checked = checker.advance(&vector.wire);
        assert!(matches!(checked, Ok(Progress::Complete { .. })));
        let (mut found, mut paths) = (Vec::new(), Vec::new());
        for resource in checker.into_found() {
            match resource.passes {
                Passes::Handle(bytes) => found.push(vector.wire[bytes].to_vec()),
                // The first index is that of the value.
                Passes::Stream(path) => paths.push(path[1..].to_vec()),
            }
        }
        assert_eq!(found, vector.value.handles(), "{}", vector.name);
        assert_eq!(paths, vector.streams, "{}", vector.name);
        all_handles += found.len();
        all_streams += paths.len();
    }
    assert!(
        all_handles > 200 && all_streams > 200,
        "{all_handles} handles, {all_streams} streams"
    );
}

#[test]
fn each_vector_comes_back_from_a_guest() {
    for vector in vectors() {
        let Vector { name, wire, .. } = &vector;
        let plan = Plan::new(std::slice::from_ref(&vector.ty)).expect("a plan");
        let handles = vector.value.handles();
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            for max_flat in [0, 16, usize::MAX] {
                let mut guest = Guest::new(encoding);
                let mut core = vec![0; plan.flat_count().max(1)];
                let lower = Lower::new(&plan);
                let lowered =
                    lower.run(wire, &mut guest, &mut core, max_flat, Destination::Allocate);
                lowered.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                let mut noting = Noting::new(guest.view());
                let lifted = Lift::new(&plan).run(&mut noting, &core, max_flat);
                let lifted = lifted.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                let message = lifted.with_handles(&handles).expect("as many");
                assert!(
                    message == *wire,
                    "{name}: {encoding:?}, max_flat {max_flat}"
                );
                let paths = noting.streams().into_iter();
                let paths: Vec<_> = paths.map(|path| path[1..].to_vec()).collect();
                assert_eq!(paths, vector.streams, "{name}: {encoding:?}");
            }
        }
    }
}
