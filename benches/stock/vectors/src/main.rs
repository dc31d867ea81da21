//! Writes wire vectors to standard output: values of the component model and their wRPC encoding, made by the
//! published crates. `cargo xtask vectors` puts them into the repository.
//!
//! Each value is encoded by `wrpc-runtime-wasmtime`, and what that crate decodes from the bytes has to be the value
//! again. Where `wrpc-transport` can encode a Rust type of that shape, it has to come to the same bytes and the same
//! value. A vector is written only if all agree.
//!
//! # The format
//!
//! An array of vectors, one a line: `{"name": TEXT, "type": TYPE, "value": VALUE, "wire": BYTES}`. Names are
//! unique. `BYTES` are lower-case hexadecimal digits, two a byte.
//!
//! | TYPE | VALUE |
//! |---|---|
//! | `"bool"` | `true` or `false` |
//! | `"u8"`, `"s8"`, `"u16"`, `"s16"`, `"u32"`, `"s32"` | a number |
//! | `"u64"`, `"s64"` | a number; beyond ±2^53 its decimal digits as a string |
//! | `"f32"` | `{"f32": "7fc00000"}`: the bits, 8 hexadecimal digits, most significant first |
//! | `"f64"` | `{"f64": "7ff8000000000000"}`: the bits, 16 hexadecimal digits |
//! | `"char"` | a string of one character |
//! | `"string"` | a string; if it is 64 or more times one character, `{"repeat": [CHARACTER, TIMES]}` |
//! | `{"list": TYPE}` | an array |
//! | `{"tuple": [TYPE, …]}` | an array |
//! | `{"record": [[NAME, TYPE], …]}` | an array, in the order of the fields |
//! | `{"variant": [[NAME, TYPE or null], …]}` | `{"case": NAME, "value": VALUE or null}` |
//! | `{"enum": [NAME, …]}` | a name |
//! | `{"option": TYPE}` | `null` or `{"some": VALUE}` |
//! | `{"result": {"err": TYPE or null, "ok": TYPE or null}}` | `{"ok": VALUE or null}` or `{"err": VALUE or null}` |
//! | `{"flags": [NAME, …]}` | an array of the names that are set, in the order of the type |
//!
//! NaN is the canonical one throughout: the crates pass others on as they are, but a guest need not. There are no
//! flags types with more than 32 names: wasmtime refuses them unless it is configured otherwise. Resources, streams
//! and futures have no encoding that stands for itself.

mod case;
mod cases;
mod component;
mod json;
mod native;
mod runtime;
mod ty;

use std::collections::HashSet;
use std::io::Write as _;

use anyhow::{ensure, Context as _};
use serde_json::json;

use crate::case::Case;
use crate::runtime::Runtime;

fn main() -> anyhow::Result<()> {
    let cases = cases::all()?;
    let mut names = HashSet::new();
    for case in &cases {
        ensure!(
            names.insert(&case.name),
            "two cases are named `{}`",
            case.name
        );
    }
    let mut runtime = Runtime::new(cases.iter().map(|case| &case.ty))?;
    let lines: Vec<_> = cases
        .iter()
        .map(|case| vector(&mut runtime, case).with_context(|| format!("case `{}`", case.name)))
        .collect::<anyhow::Result<_>>()?;
    writeln!(std::io::stdout(), "[\n{}\n]", lines.join(",\n")).context("cannot write the vectors")
}

/// The vector of a case, once all agree on it.
fn vector(runtime: &mut Runtime, case: &Case) -> anyhow::Result<String> {
    // Compared as JSON: there, two floats are equal when their bits are.
    let value = json::value(&case.value)?;
    let wire = runtime.encode(&case.ty, &case.value)?;
    let decoded = json::value(&runtime.decode(&case.ty, wire.clone())?)?;
    ensure!(
        decoded == value,
        "{value} became {decoded} after it was encoded as {}",
        json::hex(&wire)
    );
    if let Some(native) = &case.native {
        ensure!(
            native.wire == wire,
            "wrpc-transport encodes {} where wrpc-runtime-wasmtime encodes {}",
            json::hex(&native.wire),
            json::hex(&wire)
        );
        let decoded = json::value(&native.decoded)?;
        ensure!(
            decoded == value,
            "wrpc-transport decodes {decoded} where wrpc-runtime-wasmtime decodes {value}"
        );
    }
    let vector = json!({
        "name": case.name,
        "type": json::ty(&case.ty),
        "value": value,
        "wire": json::hex(&wire),
    });
    Ok(vector.to_string())
}
