//! Finds the resource types that a component exports.

use tracing::instrument;
use wasmtime::component::types;
use wasmtime::Engine;

use crate::turns;
use crate::types::imports;

/// Adds the resource types in `ty` to `resources`, those of nested instances and components included.
#[instrument(level = "trace", skip_all)]
pub fn collect_item_resources(
    engine: &Engine,
    ty: types::ComponentItem,
    resources: &mut impl Extend<types::ResourceType>,
) {
    match ty {
        types::ComponentItem::Resource(ty) => resources.extend([ty]),
        types::ComponentItem::ComponentInstance(ty) => {
            collect_instance_resources(engine, &ty, resources);
        }
        types::ComponentItem::Component(ty) => collect(engine, &ty, resources),
        types::ComponentItem::ComponentFunc(_)
        | types::ComponentItem::CoreFunc(_)
        | types::ComponentItem::Module(_)
        | types::ComponentItem::Type(_) => {}
    }
}

/// Adds the resource types that an instance exports to `resources`, those of nested instances included.
#[instrument(level = "trace", skip_all)]
pub fn collect_instance_resources(
    engine: &Engine,
    ty: &types::ComponentInstance,
    resources: &mut impl Extend<types::ResourceType>,
) {
    for (_, item) in ty.exports(engine) {
        collect_item_resources(engine, item, resources);
    }
}

/// Adds the resource types that a component exports to `resources`, those of its instances included.
///
/// The types are those of the component as `ty` describes it. They are equal to the types of its functions only if
/// these come from the same description.
///
/// Call it before imports of the component are linked, on the same thread.
/// [`link_item`](crate::link_item) is not told of the component, and this function keeps which of
/// its imports defines which resource until it is called again. That is needed for imports that use
/// resources of other imports, such as `wasi:io/streams.input-stream`.
#[instrument(level = "trace", skip_all)]
pub fn collect_component_resources(
    engine: &Engine,
    ty: &types::Component,
    resources: &mut impl Extend<types::ResourceType>,
) {
    imports::linking(engine, ty);
    turns::tick(engine);
    collect(engine, ty, resources);
}

/// As [`collect_component_resources`], for a component that is not about to be linked.
pub(crate) fn collect(
    engine: &Engine,
    ty: &types::Component,
    resources: &mut impl Extend<types::ResourceType>,
) {
    for (_, item) in ty.exports(engine) {
        collect_item_resources(engine, item, resources);
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::*;

    #[test]
    fn exported_resources_are_found_at_the_root_and_in_instances() -> wasmtime::Result<()> {
        let engine = Engine::default();
        let component = wat::parse_str(
            r#"(component
                (type $a (resource (rep i32)))
                (type $b (resource (rep i32)))
                (export "a" (type $a))
                (instance $i (export "b" (type $b)))
                (export "i" (instance $i))
                (import "c" (type (sub resource))))"#,
        )?;
        let component = Component::new(&engine, component)?;
        let mut found = Vec::new();
        collect_component_resources(&engine, &component.component_type(), &mut found);
        assert_eq!(
            found.len(),
            2,
            "the imported resource is not exported: {found:?}"
        );
        assert_ne!(found[0], found[1]);
        Ok(())
    }
}
