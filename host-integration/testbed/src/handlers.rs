//! Components that call interfaces which the host library knows, and such that serve them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// An interface that the host library knows: a component that calls it, one that serves it, and the
/// link between the two.
///
/// The caller exports [`Handler::CALL`]. Its function `call: func(n: u64) -> bool` calls the callee
/// with `n`. The callee traps when that is 0, and else calls `inhost:demo/tally.add` with it.
#[derive(Debug)]
pub struct Handler {
    caller: fn() -> String,
    callee: fn() -> String,
    /// The package and the interface of the link.
    pub link: (&'static str, &'static str),
    /// The interface that is called, as it is listed.
    pub instance: &'static str,
    /// The function of it that is called.
    pub function: &'static str,
    /// Whether a call that waits for an instance moves on when the component is scaled or updated.
    pub put_back: bool,
}

impl Handler {
    /// `wasmcloud:messaging/handler`, which the host library's runtime serves by code that is generated.
    pub const MESSAGING: Self = Self {
        caller: messaging_caller,
        callee: messaging_callee,
        link: ("wasmcloud:messaging", "handler"),
        instance: "wasmcloud:messaging/handler@0.2.0",
        function: "handle-message",
        put_back: false,
    };

    /// `wasi:keyvalue`, which the host library's runtime calls by code that is generated.
    pub const KEYVALUE: Self = Self {
        caller: keyvalue_caller,
        callee: keyvalue_callee,
        link: ("wasi:keyvalue", "store"),
        instance: "wrpc:keyvalue/store@0.2.0-draft",
        function: "exists",
        put_back: true,
    };

    /// The interface by which a caller is called.
    pub const CALL: &'static str = "inhost:promises/call";

    /// Writes the components to `folder`, under names that begin with `name`. Returns the files of
    /// the caller and of the callee.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn write_to(&self, folder: &Path, name: &str) -> anyhow::Result<[PathBuf; 2]> {
        let caller = write_component(folder, &format!("{name}-caller.wasm"), &(self.caller)())?;
        let callee = write_component(folder, &format!("{name}-callee.wasm"), &(self.callee)())?;
        Ok([caller, callee])
    }
}

/// Writes a component that serves [`Handler::MESSAGING`] to `folder`, and computes without end when
/// it is called. Returns its file.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_spinning_handler(folder: &Path) -> anyhow::Result<PathBuf> {
    let begin = "(param i32 i32 i32 i32 i32 i32 i32) (result i32)";
    let spin = format!("{begin} (loop $again (br $again))");
    let text = messaging_callee().replacen(begin, &spin, 1);
    write_component(folder, "spinning-handler.wasm", &text)
}

/// Writes the component `text` to `folder` as `name`, and returns its file.
///
/// # Errors
///
/// When it is not the text of a component, or cannot be written.
pub fn write_component(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    let component = wat::parse_str(text).with_context(|| format!("{name} is no component"))?;
    std::fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A module with a memory, which gives room and takes none back: an instance lives for one call.
const MEMORY: &str = r#"
    (core module $memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 2048))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $memory (instantiate $memory))"#;

/// What strings and lists pass through.
const OPTIONS: &str = r#"(memory $memory "memory") (realloc (func $memory "realloc"))"#;

/// The import of the tally, and its function.
const TALLY: &str = r#"
    (import "inhost:demo/tally@0.1.0" (instance $tally (export "add" (func (param "id" u64) (result u64)))))
    (core func $add (canon lower (func $tally "add")))"#;

const MESSAGE: &str = r#"(record (field "subject" string) (field "body" (list u8)) (field "reply-to" (option string)))"#;

const ERROR: &str =
    r#"(variant (case "no-such-store") (case "access-denied") (case "other" string))"#;

/// The export of a caller, whose module has a function `call`.
fn export_call() -> String {
    format!(
        r#"(func $call (param "n" u64) (result bool) (canon lift (core func $main "call")))
        (instance $call (export "call" (func $call)))
        (export "{}" (instance $call))"#,
        Handler::CALL
    )
}

fn messaging_caller() -> String {
    format!(
        r#"(component
        (import "wasmcloud:messaging/handler@0.2.0" (instance $handler
            (type $fields {MESSAGE})
            (export "broker-message" (type $message (eq $fields)))
            (export "handle-message" (func (param "msg" $message) (result (result (error string)))))))
        {MEMORY}
        (core func $handle (canon lower (func $handler "handle-message") {OPTIONS}))
        (core module $main
            (import "host" "memory" (memory 1))
            (import "host" "handle" (func $handle (param i32 i32 i32 i32 i32 i32 i32 i32)))
            (func (export "call") (param i64) (result i32)
                (i64.store (i32.const 16) (local.get 0))
                (call $handle (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 8)
                    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32))
                (i32.eqz (i32.load8_u (i32.const 32)))))
        (core instance $main (instantiate $main (with "host" (instance
            (export "memory" (memory $memory "memory")) (export "handle" (func $handle))))))
        {})"#,
        export_call()
    )
}

fn messaging_callee() -> String {
    format!(
        r#"(component
        {TALLY} {MEMORY}
        (core module $main
            (import "host" "memory" (memory 1))
            (import "host" "add" (func $add (param i64) (result i64)))
            (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
                (if (i64.eqz (i64.load align=1 (local.get 2))) (then unreachable))
                (drop (call $add (i64.load align=1 (local.get 2))))
                (i32.const 16)))
        (core instance $main (instantiate $main (with "host" (instance
            (export "memory" (memory $memory "memory")) (export "add" (func $add))))))
        (type $message {MESSAGE})
        (func $handle (param "msg" $message) (result (result (error string)))
            (canon lift (core func $main "handle") {OPTIONS}))
        ;; An instance with a type in it comes out of a component.
        (component $interface
            (type $fields {MESSAGE})
            (import "imported-message" (type $imported (eq $fields)))
            (import "imported-handle" (func $handle
                (param "msg" $imported) (result (result (error string)))))
            (export $message "broker-message" (type $imported))
            (export "handle-message" (func $handle) (func
                (param "msg" $message) (result (result (error string))))))
        (instance $handler (instantiate $interface
            (with "imported-message" (type $message)) (with "imported-handle" (func $handle))))
        (export "wasmcloud:messaging/handler@0.2.0" (instance $handler)))"#
    )
}

fn keyvalue_caller() -> String {
    format!(
        r#"(component
        (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
            (type $cases {ERROR})
            (export "error" (type $error (eq $cases)))
            (export "bucket" (type $bucket (sub resource)))
            (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))
            (export "[method]bucket.exists"
                (func (param "self" (borrow $bucket)) (param "key" string) (result (result bool (error $error)))))))
        {MEMORY}
        (core func $open (canon lower (func $store "open") {OPTIONS}))
        (core func $exists (canon lower (func $store "[method]bucket.exists") {OPTIONS}))
        (core module $main
            (import "host" "memory" (memory 1))
            (import "host" "open" (func $open (param i32 i32 i32)))
            (import "host" "exists" (func $exists (param i32 i32 i32 i32)))
            ;; The key has a letter for each four bits of the number, the lowest first.
            (func (export "call") (param i64) (result i32)
                (local $at i32)
                (loop $letter
                    (i32.store8 offset=16 (local.get $at)
                        (i32.add (i32.const 97) (i32.and (i32.wrap_i64 (local.get 0)) (i32.const 15))))
                    (local.set 0 (i64.shr_u (local.get 0) (i64.const 4)))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $letter (i32.lt_u (local.get $at) (i32.const 16))))
                (call $open (i32.const 0) (i32.const 0) (i32.const 1024))
                (if (i32.load8_u (i32.const 1024)) (then unreachable))
                (call $exists (i32.load (i32.const 1028)) (i32.const 16) (i32.const 16) (i32.const 1040))
                (if (i32.load8_u (i32.const 1040)) (then unreachable))
                (i32.load8_u (i32.const 1044))))
        (core instance $main (instantiate $main (with "host" (instance
            (export "memory" (memory $memory "memory"))
            (export "open" (func $open)) (export "exists" (func $exists))))))
        {})"#,
        export_call()
    )
}

fn keyvalue_callee() -> String {
    format!(
        r#"(component
        {TALLY} {MEMORY}
        (core module $main
            (import "host" "memory" (memory 1))
            (import "host" "add" (func $add (param i64) (result i64)))
            (func (export "exists") (param i32 i32 i32 i32) (result i32)
                (local $n i64) (local $at i32)
                (local.set $at (local.get 3))
                (loop $letter
                    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                    (local.set $n (i64.or
                        (i64.shl (local.get $n) (i64.const 4))
                        (i64.extend_i32_u (i32.sub
                            (i32.load8_u (i32.add (local.get 2) (local.get $at))) (i32.const 97)))))
                    (br_if $letter (local.get $at)))
                (if (i64.eqz (local.get $n)) (then unreachable))
                (drop (call $add (local.get $n)))
                (i32.store8 (i32.const 1028) (i32.const 1))
                (i32.const 1024)))
        (core instance $main (instantiate $main (with "host" (instance
            (export "memory" (memory $memory "memory")) (export "add" (func $add))))))
        (type $error {ERROR})
        (func $exists (param "bucket" string) (param "key" string) (result (result bool (error $error)))
            (canon lift (core func $main "exists") {OPTIONS}))
        (component $interface
            (type $cases {ERROR})
            (import "imported-error" (type $error (eq $cases)))
            (import "imported-exists" (func $exists
                (param "bucket" string) (param "key" string) (result (result bool (error $error)))))
            (export $named "error" (type $error))
            (export "exists" (func $exists) (func
                (param "bucket" string) (param "key" string) (result (result bool (error $named))))))
        (instance $store (instantiate $interface
            (with "imported-error" (type $error)) (with "imported-exists" (func $exists))))
        (export "wrpc:keyvalue/store@0.2.0-draft" (instance $store)))"#
    )
}
