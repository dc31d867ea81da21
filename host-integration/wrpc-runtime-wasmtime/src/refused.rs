//! An import that cannot be called, of a component that is loaded all the same: it may never call it.

use anyhow::Context as _;
use wasmtime::component::LinkerInstance;

use crate::types::TooLarge;

/// Defines the import `name` in `linker`, so that a guest that calls it traps. `function` is its name for people.
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
    linker.func_new(name, move |_, _, _| {
        Err(reason).with_context(|| format!("`{function}` cannot be called"))
    })
}
