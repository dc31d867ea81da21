//! Writes wire vectors to standard output: values of the component model and their wRPC encoding, made by the
//! published crates. `cargo xtask vectors` puts them into the repository.
//!
//! Each value is encoded by `wrpc-runtime-wasmtime`, and what that crate decodes from the bytes has
//! to be the value again, if there are no resources in it: it takes all that follows the length of
//! a handle for the handle. Where `wrpc-transport` can encode a Rust type of that shape, it has to
//! come to the same bytes and the same value. A vector is written only if all agree.
//!
//! # The format
//!
//! An array of vectors, one a line: `{"name": TEXT, "type": TYPE, "value": VALUE, "wire": BYTES}`.
//! Names are unique. `BYTES` are lower-case hexadecimal digits, two a byte. What is sent at other
//! paths is in `"streams": [{"path": [NUMBER, …], "wire": BYTES}, …]`, which is there if there is
//! any: the path is below that of the value, and the bytes go up to the first end marker.
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
//! | `"own"`, `"borrow"`: of a resource of a peer | `BYTES`, its handle |
//! | `"stream"`: an owned input stream of `wasi:io` | an array of `BYTES`, the chunks that it gives |
//!
//! NaN is the canonical one throughout: the crates pass others on as they are, but a guest need not. There are no
//! flags types with more than 32 names: wasmtime refuses them unless it is configured otherwise. A handle of a
//! resource of the guest is 16 bytes of chance. Other resources of the host, pollables among them, and borrowed streams
//! are refused, and futures are not resources of this wasmtime.

mod case;
mod cases;
mod component;
mod json;
mod native;
mod resources;
mod runtime;
mod ty;
mod writer;

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
    let (wire, streams) = runtime.encode(&case.ty, &case.value)?;
    if streams.is_empty() && !case.ty.has_handles() {
        let decoded = json::value(&runtime.decode(&case.ty, wire.clone())?)?;
        ensure!(
            decoded == value,
            "{value} became {decoded} after it was encoded as {}",
            json::hex(&wire)
        );
    }
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
    let mut vector = json!({
        "name": case.name,
        "type": json::ty(&case.ty),
        "value": value,
        "wire": json::hex(&wire),
    });
    if !streams.is_empty() {
        let streams = streams.iter();
        let streams = streams.map(|(path, wire)| json!({ "path": path, "wire": json::hex(wire) }));
        vector["streams"] = streams.collect();
    }
    Ok(vector.to_string())
}
