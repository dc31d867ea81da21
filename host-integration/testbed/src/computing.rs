//! Components that keep a processor busy: when they are called, or when they are compiled.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::driver::ECHO;
use crate::handlers::write_component;

/// How many rounds of its loop [`write_computing`]'s component makes for each number of its `ping`: a millisecond or
/// two.
const ROUNDS: i64 = 2_500_000;

/// Writes a component to `folder` whose `ping(n)` computes for `n` milliseconds or a little more, and then answers as
/// that of the callee: `n + 1`. Returns its file.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_computing(folder: &Path) -> anyhow::Result<PathBuf> {
    let compute = format!(
        "(local $left i64)
         (local.set $left (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const {ROUNDS})))
         (block $done
            (loop $again
                (br_if $done (i64.eqz (local.get $left)))
                (local.set $left (i64.sub (local.get $left) (i64.const 1)))
                (br $again)))
         (i32.add (local.get 0) (i32.const 1))"
    );
    write_component(folder, "computing.wasm", &pings(&compute, ""))
}

/// Writes a component to `folder` whose `ping` never comes to an end. Returns its file.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_spinning(folder: &Path) -> anyhow::Result<PathBuf> {
    let spin = "(loop $again (br $again)) unreachable";
    write_component(folder, "spins.wasm", &pings(spin, ""))
}

/// Writes a component to `folder`, as `name`, that takes a host long to compile: it has `functions` functions, of a
/// hundred operations each, that no one calls. Its `ping` is that of the callee. Returns its file.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_large(folder: &Path, name: &str, functions: usize) -> anyhow::Result<PathBuf> {
    let mut large = String::new();
    for function in 0..functions {
        large.push_str("(func (param i64 i64) (result i64) (local.get 0)");
        for operation in 0..50 {
            // Different ones, so that none is left out.
            let number = function * 50 + operation;
            let _infallible = write!(
                large,
                "(i64.const {number}) (i64.xor) (local.get 1) (i64.rotl)"
            );
        }
        large.push(')');
    }
    let answer = "(i32.add (local.get 0) (i32.const 1))";
    write_component(folder, &format!("{name}.wasm"), &pings(answer, &large))
}

/// The text of a component of one module whose `ping`, of one number, is `body`, the text of core
/// instructions. `more` is in the module, too. See [`write_component`].
#[must_use]
pub fn pings(body: &str, more: &str) -> String {
    format!(
        r#"(component
            (core module $module
                (func (export "ping") (param i32) (result i32) {body})
                {more})
            (core instance $core (instantiate $module))
            (func $ping (param "n" u32) (result u32) (canon lift (core func $core "ping")))
            (instance $echo (export "ping" (func $ping)))
            (export "{ECHO}" (instance $echo)))"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_components() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write_computing(folder).unwrap();
        write_spinning(folder).unwrap();
        let large = write_large(folder, "large", 100).unwrap();
        assert!(std::fs::metadata(large).unwrap().len() > 100 * 300);
    }
}
