//! Guests and peers that do not keep to the rules. They get an error, and the host goes on.

use std::sync::Arc;

use bytes::Bytes;
use inhost_codec::Type;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wasmtime::component::{Component, Linker};
use wit_component::StringEncoding;

use super::guest::{pass_on, INSTANCE};
use super::host::{engine, store, Guest, Mirror};
use crate::{CallFailed, Export, Instance, Root, Step};

/// A component whose function `f` returns `result`: what its core function, written in `body`, makes of its memory.
fn returning(result: &str, core: &str, body: &str, memory: &str) -> String {
    format!(
        r#"(component
          (core module $m
            (memory (export "memory") 1)
            (data (i32.const 0) "{memory}")
            (func (export "f") (result {core}) {body}))
          (core instance $i (instantiate $m))
          {result}
          (export "f" (func $f)))"#
    )
}

fn lifted(result: &str) -> String {
    format!(r#"(func $f (result {result}) (canon lift (core func $i "f") (memory $i "memory")))"#)
}

async fn call(component: &str, params: &[u8]) -> Result<Vec<u8>, CallFailed> {
    let component = Component::new(&engine(), wat::parse_str(component).expect("valid text"))
        .expect("a valid component");
    call_component(&component, params).await
}

/// Calls the function `f` of a component that imports nothing.
pub(super) async fn call_component(
    component: &Component,
    params: &[u8],
) -> Result<Vec<u8>, CallFailed> {
    let engine = component.engine().clone();
    let pre = Linker::new(&engine)
        .instantiate_pre(component)
        .expect("nothing is imported");
    let instance = Instance::new(pre, move || store(&engine, &Mirror::default()));
    let export = instance.export("", "f").expect("it is exported");
    let mut results = Root(Vec::new());
    let mut params = Root(std::io::Cursor::new(params.to_vec()));
    instance
        .call(&export, &mut params, &mut results)
        .await
        .map(|()| results.0)
}

/// The reason, with all that led to it.
fn reason(error: CallFailed) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

#[tokio::test]
async fn results_that_cannot_be_are_errors_that_say_why() {
    // What the function returns, the core type of it, its code, its memory, and what the error says.
    let cases = [
        (
            "string",
            "i32",
            "i32.const 0",
            r"\ff\ff\00\00\10\00\00\00",
            "outside of its memory",
        ),
        (
            "string",
            "i32",
            "i32.const 0",
            r"\f0\ff\00\00\ff\ff\ff\ff",
            "outside of its memory",
        ),
        (
            "string",
            "i32",
            "i32.const 65532",
            "",
            "outside of its memory",
        ),
        (
            "string",
            "i32",
            "i32.const 2",
            "",
            "where a multiple of 4 is needed",
        ),
        (
            "string",
            "i32",
            "i32.const 0",
            r"\08\00\00\00\02\00\00\00\ff\fe",
            "not UTF-8",
        ),
        (
            "(list u64)",
            "i32",
            "i32.const 0",
            r"\08\00\00\00\ff\ff\ff\ff",
            "outside of its memory",
        ),
        (
            "(list u64)",
            "i32",
            "i32.const 0",
            r"\08\00\00\00\01\00\00\20",
            "outside of its memory",
        ),
        (
            "(list u32)",
            "i32",
            "i32.const 0",
            r"\0a\00\00\00\01\00\00\00",
            "where a multiple of 4 is needed",
        ),
        (
            "(list char)",
            "i32",
            "i32.const 0",
            r"\08\00\00\00\01\00\00\00\00\d8\00\00",
            "as a char",
        ),
        ("char", "i32", "i32.const 0x110000", "", "as a char"),
        (
            "(option u64)",
            "i32",
            "i32.const 0",
            r"\02",
            "discriminant 2 of a variant with 2 cases",
        ),
        (
            "(result)",
            "i32",
            "i32.const 3",
            "",
            "discriminant 3 of a variant with 2 cases",
        ),
        (
            "(list bool)",
            "i32",
            "i32.const -4",
            "",
            "outside of its memory",
        ),
        (
            "(tuple u8 u8)",
            "i32",
            "i32.const 65535",
            "",
            "outside of its memory",
        ),
    ];
    for (result, core, body, memory, expected) in cases {
        let component = returning(&lifted(result), core, body, memory);
        let error = call(&component, &[]).await.expect_err(result);
        assert_eq!(error.step(), Step::Call, "{result}");
        let reason = reason(error);
        assert!(reason.contains(expected), "{result}: {reason}");
    }
}

#[tokio::test]
async fn a_guest_without_memory_can_be_called_with_numbers() {
    let component = r#"(component
        (core module $m (func (export "f") (param i32 i64) (result i64)
            local.get 0 i64.extend_i32_u local.get 1 i64.add))
        (core instance $i (instantiate $m))
        (func $f (param "a" u32) (param "b" u64) (result u64) (canon lift (core func $i "f")))
        (export "f" (func $f)))"#;
    assert_eq!(call(component, &[2, 3]).await.expect("a sum"), [5]);
}

#[tokio::test]
async fn flag_bits_that_stand_for_nothing_are_dropped() {
    let flags = r#"(type $flags' (flags "a" "b" "c")) (export $flags "flags" (type $flags'))
        (func $f (result $flags) (canon lift (core func $i "f")))"#;
    let component = returning(flags, "i32", "i32.const -1", "");
    assert_eq!(call(&component, &[]).await.expect("flags"), [0b111]);
}

#[tokio::test]
async fn a_guest_that_passes_the_same_bytes_many_times_is_stopped() {
    // 4,096 strings of 64 KiB, all of them the whole memory: 256 MiB, and a byte more for each length.
    let body = r#"(local $i i32)
        (loop $more
          (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 8))) (i32.const 0))
          (i32.store (i32.add (i32.const 1028) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const 4096))))
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 4096))
        i32.const 0"#;
    let component = returning(&lifted("(list string)"), "i32", body, "");
    let error = call(&component, &[])
        .await
        .expect_err("256 MiB out of 64 KiB");
    let reason = reason(error);
    assert!(
        reason.contains("using the same bytes many times"),
        "{reason}"
    );
}

/// A component that takes a string or, with `list`, a list, whose allocator is `realloc`.
fn taking(parameter: &str, realloc: &str) -> String {
    format!(
        r#"(component
          (core module $m
            (memory (export "memory") 1)
            (global $calls (mut i32) (i32.const 0))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
            (func (export "f") (param i32 i32) (result i32) local.get 1))
          (core instance $i (instantiate $m))
          (func $f (param "p" {parameter}) (result u32)
            (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))
          (export "f" (func $f)))"#
    )
}

#[tokio::test]
async fn allocators_that_answer_rubbish_or_trap_are_errors() {
    let strings = [2, 1, b'a', 1, b'b'];
    let cases = [
        ("string", "i32.const 65536", &[1, b'a'][..]),
        ("string", "i32.const -1", &[1, b'a']),
        ("(list u32)", "i32.const 2", &[1, 7]),
        ("(list u32)", "i32.const 65534", &[1, 7]),
        ("string", "unreachable", &[1, b'a']),
        // The second allocation fails.
        (
            "(list string)",
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (if (i32.gt_u (global.get $calls) (i32.const 1)) (then unreachable)) i32.const 8",
            &strings,
        ),
    ];
    for (parameter, realloc, message) in cases {
        let error = call(&taking(parameter, realloc), message)
            .await
            .expect_err(realloc);
        assert_eq!(error.step(), Step::Call, "{realloc}");
    }
    // And one that answers the same address each time harms no one but its own guest.
    let same = call(&taking("(list string)", "i32.const 8"), &strings).await;
    assert_eq!(same.expect("two strings"), [2]);
}

#[tokio::test]
async fn peers_that_send_something_else_do_not_reach_the_guest() {
    let component = taking("(list string)", "unreachable");
    let cases = [
        (&[][..], "ended the stream after 0 bytes"),
        (&[1], "ended the stream after 1 bytes"),
        (
            &[1, 3, b'a'],
            "ended the stream after 3 bytes, and at least 5",
        ),
        (
            &[1, 2, 0xff, 0xff],
            "value 0, byte 1 of the message: text is not UTF-8",
        ),
        (
            &[0xff, 0xff, 0xff, 0xff, 0x7f],
            "a number does not fit its 32 bits",
        ),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], "fits no memory of a guest"),
        (
            &[0xff, 0xff, 0xff, 0xff, 0x01],
            "ended the stream after 5 bytes",
        ),
    ];
    for (message, expected) in cases {
        let error = call(&component, message).await.expect_err(expected);
        assert_eq!(error.step(), Step::Parameters, "{message:?}");
        let reason = reason(error);
        assert!(reason.contains(expected), "{message:?}: {reason}");
    }
}

/// The import's results: a peer that answers rubbish, and a guest whose return pointer is wrong.
#[tokio::test]
async fn a_peer_that_answers_something_else_makes_its_caller_trap() {
    let engine = engine();
    let types = [Type::String, Type::Bool];
    let component = pass_on(&types, StringEncoding::UTF8);
    let component = Component::new(&engine, component).expect("a valid component");
    for (answer, expected) in [
        (&[1, 0xff, 0][..], "text is not UTF-8"),
        (&[1, b'a', 2], "0x02 where 0 or 1 is expected"),
        (&[1, b'a'], "ended the stream after 2 bytes"),
    ] {
        let peer = Mirror {
            answer: Some(Bytes::copy_from_slice(answer)),
            ..Mirror::default()
        };
        let guest = Guest::new(&component, peer);
        let reason = reason(guest.call(&[1, b'x', 1]).await.expect_err(expected));
        assert!(reason.contains(expected), "{reason}");
        assert!(reason.contains(INSTANCE), "it names the import: {reason}");
    }
}

#[tokio::test]
async fn a_return_pointer_outside_of_memory_is_an_error() {
    for (pointer, expected) in [
        ("i32.const 65532", "outside of its memory"),
        ("i32.const -4", "outside of its memory"),
        ("i32.const 2", "where a multiple of 4 is needed"),
    ] {
        let component = format!(
            r#"(component
              (import "{INSTANCE}" (instance $peer (export "echo" (func (param "p0" string) (result string)))))
              (core module $libc
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64))
              (core instance $libc (instantiate $libc))
              (core func $echo (canon lower (func $peer "echo") (memory $libc "memory") (realloc (func $libc "realloc"))))
              (core module $m
                (import "" "echo" (func $echo (param i32 i32 i32)))
                (func (export "f") i32.const 8 i32.const 0 {pointer} call $echo))
              (core instance $i (instantiate $m (with "" (instance (export "echo" (func $echo))))))
              (func $f (canon lift (core func $i "f")))
              (instance $echo_out (export "echo" (func $f)))
              (export "{INSTANCE}" (instance $echo_out)))"#
        );
        let engine = engine();
        let component = Component::new(&engine, wat::parse_str(component).expect("valid text"))
            .expect("a valid component");
        let guest = Guest::new(&component, Mirror::default());
        let reason = reason(guest.call(&[]).await.expect_err(pointer));
        assert!(reason.contains(expected), "{pointer}: {reason}");
    }
}

/// Any memory and any result: the call succeeds or fails, and when it succeeds its bytes are a valid message.
#[test]
fn any_result_out_of_any_memory_is_valid_or_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = engine();
    let types = [
        ("(list string)", Type::list(Type::String)),
        (
            "(list (option (list u16)))",
            Type::list(Type::option(Type::list(Type::U16))),
        ),
        (
            "(tuple char (result string (error bool)) f32 (list (list u8)))",
            Type::Tuple(vec![
                Type::Char,
                Type::result(Some(Type::String), Some(Type::Bool)),
                Type::F32,
                Type::list(Type::list(Type::U8)),
            ]),
        ),
    ];
    for (wat, ty) in types {
        // The memory's first bytes come as a parameter, so that the component is compiled once.
        let component = format!(
            r#"(component
              (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                (func (export "f") (param i32 i32 i32) (result i32) local.get 2))
              (core instance $i (instantiate $m))
              (func $f (param "memory" (list u8)) (param "result" u32) (result {wat})
                (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))
              (export "f" (func $f)))"#
        );
        let component = Component::new(&engine, wat::parse_str(component).expect("valid text"))
            .expect("a valid component");
        let pre = Linker::new(&engine)
            .instantiate_pre(&component)
            .expect("no imports");
        let stores = engine.clone();
        let instance = Instance::new(pre, move || store(&stores, &Mirror::default()));
        let export: Export = instance.export("", "f").expect("it is exported");
        let plan = Arc::new(inhost_codec::Plan::new(std::slice::from_ref(&ty)).unwrap());
        // Small numbers are likelier to be valid pointers and lengths.
        let byte = prop_oneof![3 => 0..=3_u8, 1 => any::<u8>()];
        let memory = proptest::collection::vec(byte, 0..120);
        let pointer = prop_oneof![3 => (0..30_u8).prop_map(|n| n & !3), 1 => 0..127_u8];
        let mut runner = TestRunner::new(Config {
            cases: 400,
            failure_persistence: None,
            ..Config::default()
        });
        runner
            .run(&(memory, pointer), |(memory, pointer)| {
                let mut message = vec![memory.len() as u8];
                message.extend(&memory);
                message.push(pointer);
                let mut results = Root(Vec::new());
                let mut params = Root(std::io::Cursor::new(message));
                let call = instance.call(&export, &mut params, &mut results);
                if runtime.block_on(call).is_ok() {
                    let mut checker = inhost_codec::Checker::new(Arc::clone(&plan));
                    let length = results.0.len();
                    prop_assert_eq!(
                        checker.advance(&results.0),
                        Ok(inhost_codec::Progress::Complete { length })
                    );
                }
                Ok(())
            })
            .unwrap();
    }
}
