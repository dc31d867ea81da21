//! What the published runtime takes an error for: it serves some interfaces by an older one when it
//! finds no one for the newer one. A component that ran is not called a second time so.

mod common;

use common::{chain, text, BACKENDS};
use inhost_lattice::{Link, LocalLattice, Val};

const BLOBSTORE: &str = "wasi:blobstore/blobstore";

/// Memory and an allocator, for what is lowered.
const LIBC: &str = r#"
    (core module $libc
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;

/// Whether there is a container; traps if that cannot be learned.
fn asks() -> String {
    format!(
        r#"(component
            (import "wasi:blobstore/blobstore@0.2.0-draft" (instance $blobstore
                (export "container-exists" (func (param "name" string) (result (result bool (error string)))))))
            {LIBC}
            (alias export $blobstore "container-exists" (func $exists))
            (core func $exists (canon lower (func $exists) (memory $memory) (realloc $realloc)))
            (core module $module
                (import "" "exists" (func $exists (param i32 i32 i32)))
                (import "" "memory" (memory 1))
                (func (export "run") (result i32)
                    (call $exists (i32.const 0) (i32.const 0) (i32.const 16))
                    (i32.load8_u (i32.const 20))))
            (core instance $core (instantiate $module (with "" (instance
                (export "exists" (func $exists))
                (export "memory" (memory $memory))))))
            (func $run (result bool) (canon lift (core func $core "run")))
            (instance $driver (export "run" (func $run)))
            (export "inhost:test/driver" (instance $driver)))"#
    )
}

/// Says of each container that it exists, by the older interface. By the newer one, it calls what is not there first.
fn answers(newer: bool) -> String {
    let newer = match newer {
        true => r#"(export "wrpc:blobstore/blobstore@0.2.0" (instance $newer))"#,
        false => "",
    };
    let lift = |name: &str| {
        format!(
            r#"(func ${name} (param "name" string) (result (result bool (error string)))
                (canon lift (core func $core "{name}") (memory $memory) (realloc $realloc)))
            (instance ${name} (export "container-exists" (func ${name})))"#
        )
    };
    format!(
        r#"(component
            (import "inhost:test/absent" (instance $absent (export "nothing" (func (result u32)))))
            {LIBC}
            (alias export $absent "nothing" (func $nothing))
            (core func $nothing (canon lower (func $nothing)))
            (core module $module
                (import "" "nothing" (func $nothing (result i32)))
                (import "" "memory" (memory 1))
                (func $yes (export "older") (param i32 i32) (result i32)
                    (i32.store8 (i32.const 16) (i32.const 0))
                    (i32.store8 (i32.const 20) (i32.const 1))
                    (i32.const 16))
                (func (export "newer") (param i32 i32) (result i32)
                    (drop (call $nothing))
                    (call $yes (i32.const 0) (i32.const 0))))
            (core instance $core (instantiate $module (with "" (instance
                (export "nothing" (func $nothing))
                (export "memory" (memory $memory))))))
            {} {}
            {newer}
            (export "wrpc:blobstore/blobstore@0.1.0" (instance $older)))"#,
        lift("older"),
        lift("newer")
    )
}

/// Calls `asks`, and returns its answer and how many calls were made in all.
async fn ask(newer: bool, backend: inhost_lattice::BackendKind) -> (Result<bool, String>, usize) {
    let lattice = LocalLattice::builder()
        .component("asks", text(&asks()))
        .component("answers", text(&answers(newer)))
        .link(Link::new("asks", "answers", BLOBSTORE))
        .link(Link::new("answers", "asks", "inhost:test/absent"))
        .backend(backend)
        .build()
        .await
        .expect("it builds");
    let answer = lattice.call("asks", "inhost:test/driver.run", &[]).await;
    let calls = lattice.watch().calls();
    let answer = answer.map(|answer| answer == [Val::Bool(true)]);
    (answer.map_err(|error| chain(&error)), calls as usize)
}

#[tokio::test]
async fn an_older_interface_is_called_when_there_is_no_newer_one() {
    for backend in BACKENDS {
        assert_eq!(ask(false, backend).await, (Ok(true), 2));
    }
}

#[tokio::test]
async fn an_older_interface_is_not_called_when_the_newer_one_has_run() {
    for backend in BACKENDS {
        let (answer, calls) = ask(true, backend).await;
        let error = answer.expect_err("its callee failed");
        assert!(error.contains("does not export"), "{error}");
        // From outside, and to the newer interface.
        assert_eq!(calls, 2, "{error}");
    }
}
