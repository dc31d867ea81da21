//! The bytes are those of the published crates.

use std::collections::BTreeMap;

use anyhow::Context as _;
use inhost_codec::Type;
use serde_json::Value;
use wasmtime::component::Component;
use wit_component::StringEncoding;

use super::agreement::check;
use super::guest::{pass_on, FUNCTION, INSTANCE};
use super::host::{engine, Mirror};
use super::resources::{call_in, instance_of};
use types::ty;

#[allow(
    dead_code,
    reason = "shared with tests of the codec, which use more of it"
)]
#[path = "../../../../codec/tests/vectors/types.rs"]
mod types;

/// See `tests/data/README.md`.
const VECTORS: &str = include_str!("../../../tests/data/wire-vectors.json");

/// The types of the vectors in which there is each of `has` and none of `lacks`, with the messages of each.
fn messages(has: &[&str], lacks: &[&str]) -> Vec<(Type, Vec<Vec<u8>>)> {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    let mut messages: BTreeMap<String, (Type, Vec<Vec<u8>>)> = BTreeMap::new();
    for vector in &vectors {
        let tree = vector["type"].to_string();
        let there = |leaf: &&str| tree.contains(&format!("\"{leaf}\""));
        if !has.iter().all(there) || lacks.iter().any(there) {
            continue;
        }
        let wire = vector["wire"].as_str().expect("hexadecimal digits");
        messages
            .entry(tree)
            .or_insert_with(|| (ty(&vector["type"]), Vec::new()))
            .1
            .push(bytes(wire));
    }
    messages.into_values().collect()
}

#[test]
fn messages_of_the_published_crates_pass_through_guests() {
    let messages = messages(&[], &["own", "borrow", "stream"]);
    let count: usize = messages.iter().map(|(_, messages)| messages.len()).sum();
    assert!(count > 400, "there are {count} vectors");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = engine();
    for (ty, messages) in messages {
        check(&runtime, &engine, &[ty], StringEncoding::UTF8, &messages);
    }
}

#[tokio::test]
async fn messages_with_handles_of_the_published_crates_pass_through_guests() -> anyhow::Result<()> {
    // A stream has a path, which this peer has not; and a function cannot return what it has borrowed.
    let messages = messages(&["own"], &["borrow", "stream"]);
    assert!(messages.len() > 20, "there are {} types", messages.len());
    for (ty, messages) in messages {
        let component = pass_on(std::slice::from_ref(&ty), StringEncoding::UTF8);
        let component = Component::new(&engine(), component)?;
        let peer = Mirror::default();
        let guest = instance_of(&component, peer.clone())?;
        for message in messages {
            let answer = call_in(&guest, INSTANCE, FUNCTION, &message).await;
            let answer = answer
                .map_err(anyhow::Error::new)
                .with_context(|| format!("{ty:?}"))?;
            assert_eq!(
                *peer.seen.lock().unwrap(),
                message[..],
                "to the peer: {ty:?}"
            );
            assert_eq!(answer, message, "back: {ty:?}");
        }
    }
    Ok(())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
