//! What is the same for all functions that a component exports: found out once, and not for each.
//!
//! Upstream's [`ServeExt`](crate::ServeExt) is told of one function at a time. So what is known of
//! a component is kept for as long as one of its exports is there.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use wasmtime::component::{Component, ResourceType};
use wasmtime_wasi::InputStream;

use crate::turns::Line;
use crate::types::by_resource::ByResource;
use crate::types::imports::Imports;
use crate::types::intern::FEW;
use crate::types::resources::collect;
use crate::types::Budget;
use crate::values::wire::{Kind, UNNAMED};

/// What is known of a component.
#[derive(Debug)]
pub(crate) struct Known {
    /// The resources that it defines.
    defines: ByResource<()>,
    /// The resources that it imports.
    pub(crate) imports: Imports,
    /// What the types of its exports may take.
    pub(crate) budget: Budget,
    /// Its guests that compute.
    pub(crate) line: Arc<Line>,
    /// Keeps its address from being used again for as long as this is there.
    _component: Option<KeptComponent>,
}

struct KeptComponent(#[allow(dead_code, reason = "it is kept")] Component);

impl std::fmt::Debug for KeptComponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Component")
    }
}

impl Known {
    /// What is known of `component`.
    pub(crate) fn of(component: &Component) -> Arc<Self> {
        /// By where their code is: each has its own.
        type Components = HashMap<usize, Weak<Known>>;
        static KNOWN: LazyLock<Mutex<(Components, usize)>> =
            LazyLock::new(|| Mutex::new((HashMap::new(), FEW)));

        let place = component.image_range().start as usize;
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let (components, until) = &mut *known;
        if let Some(known) = components.get(&place).and_then(Weak::upgrade) {
            return known;
        }
        if components.len() >= *until {
            components.retain(|_, known| known.strong_count() > 0);
            *until = FEW.max(2 * components.len());
        }
        let known = Arc::new(Self::find_out(component));
        components.insert(place, Arc::downgrade(&known));
        known
    }

    fn find_out(component: &Component) -> Self {
        let (engine, ty) = (component.engine(), component.component_type());
        let imports = Imports::of(engine, &ty);
        let mut guest = Vec::new();
        collect(engine, &ty, &mut guest);
        // An exported interface that uses an imported resource has it among its own.
        guest.retain(|ty| !imports.contain(*ty));
        Self {
            imports,
            _component: Some(KeptComponent(component.clone())),
            ..Self::of_guest(&guest)
        }
    }

    /// Of a component of which nothing is known but the resources that it defines.
    pub(crate) fn of_guest(guest: &[ResourceType]) -> Self {
        let mut defines = ByResource::default();
        for ty in guest {
            defines.entry(*ty, || ());
        }
        Self {
            defines,
            imports: Imports::default(),
            budget: Budget::of_component(),
            line: Line::of_component(),
            _component: None,
        }
    }

    /// What a resource in the types of an export is.
    pub(crate) fn kind(&self, ty: ResourceType) -> Kind {
        if ty == ResourceType::host::<InputStream>() || self.imports.is_input_stream(ty) {
            return Kind::Stream;
        }
        if self.defines.get(ty).is_some() {
            return Kind::Guest;
        }
        let name = self.imports.name(ty);
        Kind::Imported(name.as_deref().unwrap_or(UNNAMED).into())
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::*;
    use crate::instance::export::Export;

    fn component(engine: &Engine) -> Component {
        let component = wat::parse_str("(component)").expect("valid text");
        Component::new(engine, component).expect("a component")
    }

    #[test]
    fn it_is_found_out_once_for_a_component_and_for_each_component() {
        let engine = Engine::default();
        let [one, other] = [component(&engine), component(&engine)];
        let known = Known::of(&one);
        assert!(Arc::ptr_eq(&known, &Known::of(&one.clone())));
        assert!(!Arc::ptr_eq(&known, &Known::of(&other)));
    }

    #[test]
    fn it_is_kept_for_as_long_as_one_function_of_the_component_is() {
        let engine = Engine::default();
        let text = r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#;
        let component = wat::parse_str(text).expect("valid text");
        let component = Component::new(&engine, component).expect("a component");
        let export = Export::resolve(&component, "", "f").expect("it exports it");
        let known = Arc::downgrade(&Known::of(&component));
        assert!(known.upgrade().is_some());
        drop((export, component));
        assert!(known.upgrade().is_none());
    }

    #[test]
    fn it_is_not_kept_for_components_that_have_gone() {
        let engine = Engine::default();
        let known = Arc::downgrade(&Known::of(&component(&engine)));
        assert!(known.upgrade().is_none());
    }
}
