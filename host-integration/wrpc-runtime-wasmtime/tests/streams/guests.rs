//! Two components: one imports an interface with streams, the other one exports it. They are made
//! as those of a toolchain are, so their interfaces have the streams of `wasi:io` by `use`.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

pub(crate) const API: &str = "test:peer/api@1.0.0";
pub(crate) const CONTROL: &str = "test:host/control";

const IO: &str = "package wasi:io@0.2.0;
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource input-stream {
            blocking-read: func(len: u64) -> result<list<u8>, stream-error>;
        }
        resource output-stream;
    }";

/// What the test does for the callee.
const HOST: &str = "package test:host;
    interface control {
        use wasi:io/streams@0.2.0.{input-stream};
        make: func() -> input-stream;
        saw: func(chunk: list<u8>);
        wait: func();
    }";

/// More streams than a transport is told paths of.
pub(crate) const WIDE: usize = 257;

fn peer() -> String {
    let wide = vec!["body"; WIDE].join(", ");
    format!(
        "package test:peer@1.0.0;
    interface api {{
        use wasi:io/streams@0.2.0.{{input-stream as body, output-stream}};
        record nested {{ name: string, one: option<body>, more: list<tuple<u8, body>> }}
        both: func(in: body) -> tuple<body, body>;
        deep: func(in: nested) -> nested;
        count: func(in: body) -> u32;
        peek: func(in: body) -> u32;
        hold: func(in: body) -> u32;
        ingest: func(in: body);
        fresh: func() -> body;
        many: func(in: list<body>) -> list<body>;
        flood: func(count: u32) -> list<body>;
        wide: func(in: tuple<{wide}>) -> tuple<{wide}>;
        maybe: func(out: option<output-stream>) -> u32;
    }}
    interface hopeless {{
        use wasi:io/streams@0.2.0.{{output-stream}};
        sink: func(level: u32, out: tuple<u8, output-stream>);
    }}
    world caller {{ import api; export api; }}
    world callee {{ import test:host/control; export api; }}
    world doomed {{ import hopeless; }}"
    )
}

const MEMORY: &str = r#"
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $new i32)
        (local.set $new (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $new) (local.get 3)))
        (local.get $new))"#;

/// Passes each call on.
pub(crate) fn caller() -> Vec<u8> {
    let forward = |name: &str, params: &str, result: &str, body: &str| {
        format!(r#"(func (export "{API}#{name}") (param {params}) (result {result}) {body})"#)
    };
    let one = "local.get 0";
    let exports = [
        forward("both", "i32", "i32", "local.get 0 i32.const 256 call $both i32.const 256"),
        forward(
            "deep",
            "i32 i32 i32 i32 i32 i32",
            "i32",
            "local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5 i32.const 256 call $deep
             i32.const 256",
        ),
        forward("count", "i32", "i32", &format!("{one} call $count")),
        forward("peek", "i32", "i32", &format!("{one} call $peek")),
        forward("hold", "i32", "i32", &format!("{one} call $hold")),
        format!(r#"(func (export "{API}#ingest") (param i32) {one} call $ingest)"#),
        forward("fresh", "", "i32", "call $fresh"),
        forward("many", "i32 i32", "i32", "local.get 0 local.get 1 i32.const 256 call $many i32.const 256"),
        forward("flood", "i32", "i32", "local.get 0 i32.const 256 call $flood i32.const 256"),
        forward("wide", "i32", "i32", "local.get 0 i32.const 2048 call $wide i32.const 2048"),
        forward("maybe", "i32 i32", "i32", "local.get 0 local.get 1 call $maybe"),
    ]
    .concat();
    component(
        "caller",
        &format!(
            r#"(module
            (import "{API}" "both" (func $both (param i32 i32)))
            (import "{API}" "deep" (func $deep (param i32 i32 i32 i32 i32 i32 i32)))
            (import "{API}" "count" (func $count (param i32) (result i32)))
            (import "{API}" "peek" (func $peek (param i32) (result i32)))
            (import "{API}" "hold" (func $hold (param i32) (result i32)))
            (import "{API}" "ingest" (func $ingest (param i32)))
            (import "{API}" "fresh" (func $fresh (result i32)))
            (import "{API}" "many" (func $many (param i32 i32 i32)))
            (import "{API}" "flood" (func $flood (param i32 i32)))
            (import "{API}" "wide" (func $wide (param i32 i32)))
            (import "{API}" "maybe" (func $maybe (param i32 i32) (result i32)))
            {MEMORY} {exports})"#
        ),
    )
}

/// How `count` says that its stream has closed.
pub(crate) const CLOSED: u32 = 1;
/// How `count` says that its stream has failed.
const FAILED: u32 = 2;

/// `both` reads a chunk, and returns the rest of it with a stream of its host. `deep`, `many` and
/// `wide` return what they get, and `flood` so many streams of its host. `count` reads to the end,
/// and after one that is none computes for some turns and shows `cut`. `peek` reads a chunk. `hold`
/// waits. `ingest` waits, and then does as `count`; it shows `end`, too. `fresh` returns a stream of
/// its host.
pub(crate) fn callee() -> Vec<u8> {
    component(
        "callee",
        &format!(
            r#"(module
            (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))
            (import "wasi:io/streams@0.2.0" "[resource-drop]input-stream" (func $drop-in (param i32)))
            (import "{CONTROL}" "make" (func $make (result i32)))
            (import "{CONTROL}" "saw" (func $saw (param i32 i32)))
            (import "{CONTROL}" "wait" (func $wait))
            {MEMORY}
            ;; Reads a chunk and shows it. Not 0: there is none any more.
            (func $one (param $in i32) (result i32)
                (global.set $free (i32.const 4096))
                (call $read (local.get $in) (i64.const 4096) (i32.const 0))
                (if (result i32) (i32.eqz (i32.load8_u (i32.const 0)))
                    (then (call $saw (i32.load (i32.const 4)) (i32.load (i32.const 8))) (i32.const 0))
                    (else (select (i32.const {CLOSED}) (i32.const {FAILED}) (i32.load8_u (i32.const 4))))))
            (func (export "{API}#both") (param $in i32) (result i32)
                (drop (call $one (local.get $in)))
                (i32.store (i32.const 256) (local.get $in))
                (i32.store (i32.const 260) (call $make))
                (i32.const 256))
            (func (export "{API}#deep") (param i32 i32 i32 i32 i32 i32) (result i32)
                (i32.store (i32.const 256) (local.get 0))
                (i32.store (i32.const 260) (local.get 1))
                (i32.store (i32.const 264) (local.get 2))
                (i32.store (i32.const 268) (local.get 3))
                (i32.store (i32.const 272) (local.get 4))
                (i32.store (i32.const 276) (local.get 5))
                (i32.const 256))
            (data (i32.const 512) "endcut")
            (func $count (export "{API}#count") (param $in i32) (result i32) (local $end i32) (local $rounds i32)
                (loop $more
                    (local.set $end (call $one (local.get $in)))
                    (br_if $more (i32.eqz (local.get $end))))
                (if (i32.eq (local.get $end) (i32.const {FAILED}))
                    (then
                        (local.set $rounds (i32.const 0x1000000))
                        (loop $clean-up
                            (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
                            (br_if $clean-up (local.get $rounds)))
                        (call $saw (i32.const 515) (i32.const 3))))
                (local.get $end))
            (func (export "{API}#ingest") (param $in i32)
                (call $wait)
                (if (i32.eq (call $count (local.get $in)) (i32.const {CLOSED}))
                    (then (call $saw (i32.const 512) (i32.const 3)))))
            (func (export "{API}#peek") (param $in i32) (result i32)
                (drop (call $one (local.get $in)))
                (call $drop-in (local.get $in))
                (i32.const 7))
            (func (export "{API}#hold") (param $in i32) (result i32) (call $wait) (i32.const 7))
            (func (export "{API}#fresh") (result i32) (call $make))
            (func (export "{API}#many") (param i32 i32) (result i32)
                (i32.store (i32.const 256) (local.get 0))
                (i32.store (i32.const 260) (local.get 1))
                (i32.const 256))
            (func (export "{API}#flood") (param $count i32) (result i32) (local $at i32)
                (loop $more
                    (i32.store (i32.add (i32.const 4096) (i32.mul (i32.const 4) (local.get $at))) (call $make))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $at) (local.get $count))))
                (i32.store (i32.const 256) (i32.const 4096))
                (i32.store (i32.const 260) (local.get $count))
                (i32.const 256))
            (func (export "{API}#wide") (param i32) (result i32) (local.get 0))
            (func (export "{API}#maybe") (param i32 i32) (result i32) (local.get 0)))"#
        ),
    )
}

/// Imports a function that takes an output stream.
pub(crate) fn doomed() -> Vec<u8> {
    component(
        "doomed",
        r#"(module (import "test:peer/hopeless@1.0.0" "sink" (func (param i32 i32 i32))))"#,
    )
}

fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("io.wit", IO).expect("valid WIT");
    resolve.push_str("host.wit", HOST).expect("valid WIT");
    let peer = resolve.push_str("peer.wit", &peer()).expect("valid WIT");
    let world = resolve
        .select_world(peer, Some(world))
        .expect("one of its worlds");
    let mut module = wat::parse_str(module).expect("a valid module");
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the module belongs to its world");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("the module makes a component")
}
