//! Functions with handles in their signatures: what is beside the handles is as in any other, and
//! so is what is wrong with it.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder as _, Encoder as _};
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime_wasi::{InputStream, OutputStream};
use wrpc_transport::{ResourceBorrow, ResourceEncoder, ResourceOwn, ResourceOwnDecoder};

use super::host::{engine, store, Ctx, Mirror};
use crate::{collect_component_resources, link_item, CallFailed, Instance, Root, Step};

const IO: &str = "wasi:io/streams@0.2.0";

/// A component that imports the resource `thing` and the functions `functions` of a peer.
fn importing(functions: &str, rest: &str) -> String {
    format!(
        r#"(component
          (import "test:peer/api" (instance $api
            (export "thing" (type $thing (sub resource)))
            {functions}))
          (alias export $api "thing" (type $thing))
          {rest})"#
    )
}

/// Links what a component imports as functions of `peer`.
fn instance(component: &str, peer: Mirror) -> anyhow::Result<Instance<Ctx>> {
    let component = Component::new(&engine(), wat::parse_str(component)?)?;
    instance_of(&component, peer)
}

/// As [`instance`], of a component that was compiled.
pub(super) fn instance_of(component: &Component, peer: Mirror) -> anyhow::Result<Instance<Ctx>> {
    let engine = component.engine().clone();
    let ty = component.component_type();
    let mut linker = Linker::<Ctx>::new(&engine);
    collect_component_resources(&engine, &ty, &mut Vec::new());
    let mut io = linker.instance(IO)?;
    let (input, output) = (
        ResourceType::host::<InputStream>(),
        ResourceType::host::<OutputStream>(),
    );
    io.resource("input-stream", input, |_, _| Ok(()))?;
    io.resource("output-stream", output, |_, _| Ok(()))?;
    for (name, item) in ty.imports(&engine).filter(|(name, _)| *name != IO) {
        link_item(&engine, &mut linker.root(), [], item, "", name, ())?;
    }
    let pre = linker.instantiate_pre(component)?;
    Ok(Instance::new(pre, move || store(&engine, &peer)))
}

async fn call(instance: &Instance<Ctx>, name: &str, params: &[u8]) -> Result<Vec<u8>, CallFailed> {
    call_in(instance, "", name, params).await
}

/// Calls a function of an interface.
pub(super) async fn call_in(
    instance: &Instance<Ctx>,
    interface: &str,
    name: &str,
    params: &[u8],
) -> Result<Vec<u8>, CallFailed> {
    let export = instance.export(interface, name).expect("it is exported");
    let mut results = Root(Vec::new());
    let mut params = Root(std::io::Cursor::new(params.to_vec()));
    let called = instance.call(&export, &mut params, &mut results).await;
    called.map(|()| results.0)
}

fn answering(answer: &'static [u8]) -> Mirror {
    Mirror {
        answer: Some(Bytes::from_static(answer)),
        ..Mirror::default()
    }
}

fn reason(error: CallFailed) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

/// Its exports call an import with `n` lists, each of which is the whole memory.
fn aliasing(result: &str) -> String {
    importing(
        &format!(r#"(export "f" (func (param "l" (list (list u8))) (result {result})))"#),
        r#"(core module $memory (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
          (core instance $memory (instantiate $memory))
          (core func $f (canon lower (func $api "f") (memory $memory "memory")))
          (core module $main
            (import "host" "memory" (memory 1))
            (import "host" "f" (func $f (param i32 i32) (result i32)))
            (func (export "f") (param $n i32) (result i32) (local $i i32)
              (loop $more
                (i32.store (i32.mul (local.get $i) (i32.const 8)) (i32.const 0))
                (i32.store (i32.add (i32.const 4) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $i) (local.get $n))))
              (call $f (i32.const 0) (local.get $n))))
          (core instance $main (instantiate $main (with "host" (instance
            (export "memory" (memory $memory "memory")) (export "f" (func $f))))))
          (func (export "f") (param "n" u32) (result u32) (canon lift (core func $main "f")))"#,
    )
}

#[tokio::test]
async fn a_guest_that_passes_the_same_bytes_many_times_beside_a_handle_is_stopped_as_without(
) -> anyhow::Result<()> {
    for result in ["(own $thing)", "u32"] {
        let guest = instance(&aliasing(result), answering(&[0]))?;
        // 4,096 times 64 KiB.
        let error = call(&guest, "f", &[0x80, 0x20]).await.expect_err(result);
        let reason = reason(error);
        assert!(
            reason.contains("using the same bytes many times"),
            "{result}: {reason}"
        );
        let n = call(&guest, "f", &[2]).await;
        assert_eq!(n.expect("128 KiB").len(), 1, "{result}");
    }
    Ok(())
}

/// The export `f` takes a number, and passes it to the import as a value of the type `$t`.
fn passing(definition: &str) -> String {
    format!(
        r#"(component
          (type $t' ({definition}))
          (import "t" (type $t (eq $t')))
          (import "test:peer/api" (instance $api
            (export "thing" (type $thing (sub resource)))
            (alias outer 1 $t (type $outer))
            (export "t" (type $mine (eq $outer)))
            (export "f" (func (param "v" $mine) (result (own $thing))))))
          (core func $f (canon lower (func $api "f")))
          (core module $main
            (import "host" "f" (func $f (param i32) (result i32)))
            (func (export "f") (param i32) (result i32) (call $f (local.get 0))))
          (core instance $main (instantiate $main (with "host" (instance (export "f" (func $f))))))
          (func (export "f") (param "n" u32) (result u32) (canon lift (core func $main "f"))))"#
    )
}

#[tokio::test]
async fn flag_bits_that_stand_for_nothing_are_dropped_beside_a_handle() -> anyhow::Result<()> {
    let peer = answering(b"\x01a");
    let guest = instance(&passing(r#"flags "a" "b""#), peer.clone())?;
    let index = call(&guest, "f", &[0xff, 0x01]).await.expect("a handle");
    assert_eq!(index, [1]);
    assert_eq!(*peer.seen.lock().unwrap(), [3][..]);
    Ok(())
}

#[tokio::test]
async fn an_enum_of_256_cases_is_one_byte_beside_a_handle() -> anyhow::Result<()> {
    let names: String = (0..256).map(|at| format!(" \"c{at}\"")).collect();
    let component = format!(
        r#"(component
          (type $e' (enum{names})) (import "e" (type $e (eq $e')))
          (import "thing" (type $thing (sub resource)))
          (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
            (func (export "f") (param $pointer i32) (param $length i32) (param $thing i32) (result i32)
              (i32.store (i32.const 0) (local.get $pointer))
              (i32.store (i32.const 4) (local.get $length))
              i32.const 0))
          (core instance $i (instantiate $m))
          (func $f (param "l" (list $e)) (param "t" (own $thing)) (result (list u8))
            (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))
          (export "f" (func $f)))"#
    );
    let guest = instance(&component, Mirror::default())?;
    let message = [3, 0, 0x80, 1, 0xff, 1, 0];
    assert_eq!(
        call(&guest, "f", &message).await.expect("bytes"),
        [3, 0, 128, 255]
    );
    Ok(())
}

/// The export `f` takes a string, a char and two handles of the peer's, and returns the one that it owns.
fn taking(realloc: &str) -> String {
    importing(
        r#"(export "back" (func))"#,
        &format!(
            r#"(core func $back (canon lower (func $api "back")))
          (core func $drop (canon resource.drop $thing))
          (core module $m
            (import "" "back" (func $back))
            (import "" "drop" (func $drop (param i32)))
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
            (func (export "f") (param i32 i32 i32 i32 i32) (result i32)
              (call $drop (local.get 4))
              local.get 3))
          (core instance $i (instantiate $m (with "" (instance
            (export "back" (func $back)) (export "drop" (func $drop))))))
          (func (export "f") (param "s" string) (param "c" char) (param "a" (own $thing)) (param "b" (borrow $thing))
            (result (own $thing))
            (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))"#
        ),
    )
}

#[tokio::test]
async fn a_handle_of_the_published_crate_passes_through_a_guest_and_back_to_it(
) -> anyhow::Result<()> {
    let guest = instance(&taking("i32.const 8"), Mirror::default())?;
    for length in [0, 3, 300, 70_000] {
        let handle = Bytes::from(vec![7; length]);
        let mut message = BytesMut::from(&b"\x01s!"[..]);
        ResourceEncoder.encode(ResourceOwn::<()>::from(handle.clone()), &mut message)?;
        ResourceEncoder.encode(ResourceBorrow::<()>::from(b"b".to_vec()), &mut message)?;
        let result = call(&guest, "f", &message).await;
        let mut result = BytesMut::from(&*result.expect("the handle"));
        let read = ResourceOwnDecoder::<()>::default().decode(&mut result)?;
        assert_eq!(Bytes::from(read.expect("all of it")), handle);
        assert!(result.is_empty(), "and nothing else");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_does_not_reach_a_guest_that_takes_handles() -> anyhow::Result<()> {
    let guest = instance(&taking("unreachable"), Mirror::default())?;
    let cases = [
        (
            &b"\x01s\xc0\x80\x00\x00"[..],
            "value 1, byte 2 of the message: text is not UTF-8",
        ),
        (
            b"\x01s!\x03ab",
            "ended the stream after 6 bytes, and at least 7",
        ),
        (b"\x01s!\x01a", "ended the stream after 5 bytes"),
        (b"\x01s!\xff\xff\xff\xff\x0f", "which may have 4294967296"),
        (b"\x01s!\xff\xff\xff\xff\x1f", "does not fit its 32 bits"),
    ];
    for (message, expected) in cases {
        let error = call(&guest, "f", message).await.expect_err(expected);
        assert_eq!(error.step(), Step::Parameters, "{message:?}");
        let reason = reason(error);
        assert!(reason.contains(expected), "{message:?}: {reason}");
    }
    Ok(())
}

#[tokio::test]
async fn an_allocator_that_fails_or_calls_back_beside_a_handle_is_an_error() -> anyhow::Result<()> {
    for (realloc, expected) in [
        ("unreachable", "unreachable"),
        ("i32.const -1", "beyond end of memory"),
        ("call $back i32.const 8", "cannot leave component instance"),
    ] {
        let guest = instance(&taking(realloc), Mirror::default())?;
        let error = call(&guest, "f", b"\x01s!\x01a\x01b").await;
        let error = error.expect_err(realloc);
        assert_eq!(error.step(), Step::Call, "{realloc}");
        let reason = reason(error);
        for part in ["`f` failed", "parameter value 0", expected] {
            assert!(reason.contains(part), "{realloc}: {reason}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_guest_that_passes_what_is_no_handle_is_told_where() -> anyhow::Result<()> {
    let guest = importing(
        r#"(export "f" (func (param "n" u32) (param "t" (borrow $thing))))"#,
        r#"(core func $f (canon lower (func $api "f")))
          (core module $main
            (import "host" "f" (func $f (param i32 i32)))
            (func (export "f") (param i32) (call $f (i32.const 1) (local.get 0))))
          (core instance $main (instantiate $main (with "host" (instance (export "f" (func $f))))))
          (func (export "f") (param "n" u32) (canon lift (core func $main "f")))"#,
    );
    let guest = instance(&guest, Mirror::default())?;
    let error = call(&guest, "f", &[9]).await.expect_err("it has none");
    let reason = reason(error);
    for part in ["value 1", "at 9", "unknown handle index 9"] {
        assert!(reason.contains(part), "{reason}");
    }
    Ok(())
}

/// The export `f` takes a number and a resource of `wasi:io`.
fn taking_of_host(resource: &str) -> String {
    format!(
        r#"(component
          (import "{IO}" (instance $io (export "{resource}" (type (sub resource)))))
          (alias export $io "{resource}" (type $r))
          (core module $m (func (export "f") (param i32 i32) unreachable))
          (core instance $i (instantiate $m))
          (func (export "f") (param "n" u32) (param "r" (own $r)) (canon lift (core func $i "f"))))"#
    )
}

#[tokio::test]
async fn a_stream_whose_path_cannot_be_opened_is_an_error_before_the_guest_runs(
) -> anyhow::Result<()> {
    let guest = instance(&taking_of_host("input-stream"), Mirror::default())?;
    // What it is called with has no paths.
    let error = call(&guest, "f", &[7]).await.expect_err("there is no path");
    assert_eq!(error.step(), Step::Parameters);
    let reason = reason(error);
    for part in ["parameter value 1", "the stream at [1]"] {
        assert!(reason.contains(part), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn no_handle_is_one_of_a_resource_of_this_host() -> anyhow::Result<()> {
    let guest = instance(&taking_of_host("output-stream"), Mirror::default())?;
    let error = call(&guest, "f", &[7, 1, b'a']).await;
    let error = error.expect_err("no peer has one");
    assert_eq!(error.step(), Step::Parameters);
    let reason = reason(error);
    for part in ["wasi:io/streams@0.2.0.output-stream", "not supported"] {
        assert!(reason.contains(part), "{reason}");
    }
    Ok(())
}

/// The export `f` calls the import `f` with a pointer and a length as its second parameter; the
/// result is a string, for which memory is had from `realloc`.
fn asking(beside: &str, realloc: &str, pointer: &str) -> String {
    importing(
        &format!(r#"(export "f" (func (param "n" u32) (param "l" (list u64)) (result {beside})))"#),
        &format!(
            r#"(core module $memory (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
          (core instance $memory (instantiate $memory))
          (core func $f (canon lower (func $api "f") (memory $memory "memory") (realloc (func $memory "realloc"))))
          (core module $main
            (import "host" "f" (func $f (param i32 i32 i32 i32)))
            (func (export "f") (call $f (i32.const 1) ({pointer}) (i32.const 1) (i32.const 64))))
          (core instance $main (instantiate $main (with "host" (instance (export "f" (func $f))))))
          (func (export "f") (canon lift (core func $main "f")))"#
        ),
    )
}

#[tokio::test]
async fn a_guest_that_passes_what_is_no_value_is_told_in_which_call_and_where() -> anyhow::Result<()>
{
    for (beside, answer) in [
        ("string", &b"\x01s"[..]),
        ("(tuple string (own $thing))", b"\x01s\x01a"),
    ] {
        for (pointer, expected) in [
            (
                "i32.const 9",
                "the guest passed 0x9 where a multiple of 8 is needed",
            ),
            ("i32.const -8", "the guest passed 8 bytes at 0xfffffff8"),
        ] {
            let guest = instance(&asking(beside, "i32.const 8", pointer), answering(answer))?;
            let error = call(&guest, "f", &[]).await.expect_err(expected);
            let reason = reason(error);
            for part in [
                "failed to call `test:peer/api.f`",
                "parameter value 1",
                expected,
            ] {
                assert!(reason.contains(part), "{beside}: {reason}");
            }
        }
        for (realloc, expected) in [
            ("unreachable", "unreachable"),
            ("i32.const -1", "realloc return: beyond end of memory"),
        ] {
            let guest = instance(&asking(beside, realloc, "i32.const 8"), answering(answer))?;
            let error = call(&guest, "f", &[]).await.expect_err(expected);
            let reason = reason(error);
            for part in [
                "the results of `test:peer/api.f`",
                "return value 0",
                expected,
            ] {
                assert!(reason.contains(part), "{beside}: {reason}");
            }
        }
        let guest = instance(
            &asking(beside, "i32.const 8", "i32.const 8"),
            answering(answer),
        )?;
        call(&guest, "f", &[])
            .await
            .expect("what is right is taken");
    }
    Ok(())
}
