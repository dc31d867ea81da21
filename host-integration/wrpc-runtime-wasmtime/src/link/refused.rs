//! An import that cannot be called, of a component that is loaded all the same: it may never call it.

use anyhow::Context as _;
use wasmtime::component::LinkerInstance;
use wasmtime::StoreContextMut;

use crate::types::TooLarge;
use crate::values::{NoResults, Unread};

/// Defines the import `name` in `linker`, so that a guest that calls it traps, whatever it passes.
/// `function` is its name for people.
///
/// # Errors
///
/// When `linker` has a definition of that name.
pub(crate) fn link<V>(
    linker: &mut LinkerInstance<'_, V>,
    name: &str,
    function: String,
    reason: TooLarge,
) -> wasmtime::Result<()> {
    linker.func_wrap(name, move |_: StoreContextMut<'_, V>, Unread| {
        Err::<NoResults, _>(reason).with_context(|| format!("`{function}` cannot be called"))
    })
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{Component, Linker};
    use wasmtime::{Engine, Store};

    use super::*;

    #[test]
    fn it_traps_before_what_a_guest_passes_is_looked_at() {
        let engine = Engine::default();
        // The list is not in its memory, nor where the results are to go.
        let guest = r#"(component
            (import "f" (func $f (param "p" (list string)) (result string)))
            (core module $libc (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
            (core instance $libc (instantiate $libc))
            (core func $lowered
                (canon lower (func $f) (memory $libc "memory") (realloc (func $libc "realloc"))))
            (core module $m
                (import "" "f" (func $f (param i32 i32 i32)))
                (func (export "run") (call $f (i32.const -8) (i32.const -1) (i32.const -8))))
            (core instance $m (instantiate $m (with "" (instance (export "f" (func $lowered))))))
            (func (export "run") (canon lift (core func $m "run"))))"#;
        let component = wat::parse_str(guest).expect("valid text");
        let component = Component::new(&engine, component).expect("a component");
        let mut linker = Linker::<()>::new(&engine);
        let linked = link(
            &mut linker.root(),
            "f",
            "t:t/i.f".into(),
            TooLarge::Component,
        );
        linked.expect("the name is free");
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component);
        let instance = instance.expect("it may not be called");
        let run = instance.get_typed_func::<(), ()>(&mut store, "run");
        let error = run.expect("it is exported").call(&mut store, ());
        let error = format!("{:#}", error.expect_err("it cannot be called"));
        assert!(error.contains("`t:t/i.f` cannot be called"), "{error}");
    }
}
