//! Where the resource types that a component imports come from.
//!
//! An interface of a peer may use a resource of the host, such as `wasi:io/streams.input-stream`. As a type, all that
//! can be told of such a resource is whether it is equal to another one: it gets a meaning when the component is
//! instantiated. So it is known by the import that defines it, which is the first one that has it.
//!
//! [`link_item`](crate::link_item) is given one import at a time, and never those that the host defines itself. But
//! whoever links asks [`collect_component_resources`](crate::collect_component_resources) about the component before,
//! and then links on the same thread without a pause. What that function has seen is kept here.

use std::cell::RefCell;
use std::rc::Rc;

use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::ResourceType;
use wasmtime::Engine;

use crate::types::by_resource::ByResource;
use crate::types::Budget;

/// The resources that a component imports: where each of them is. The first import defines it, and
/// others have it from there.
#[derive(Debug, Default)]
pub(crate) struct Imports(ByResource<Vec<Imported>>);

/// A resource in an import.
#[derive(Debug)]
struct Imported {
    /// Empty for the component itself.
    instance: Box<str>,
    name: Box<str>,
}

impl Imports {
    /// The resources that `component` imports.
    pub(crate) fn of(engine: &Engine, component: &types::Component) -> Self {
        let mut imports = Self::default();
        for (name, item) in component.imports(engine) {
            imports.add(engine, "", name, item);
        }
        imports
    }

    fn add(&mut self, engine: &Engine, instance: &str, name: &str, item: ComponentItem) {
        match item {
            ComponentItem::Resource(ty) => {
                let imported = Imported {
                    instance: instance.into(),
                    name: name.into(),
                };
                self.0.entry(ty, Vec::new).push(imported);
            }
            ComponentItem::ComponentInstance(ty) => {
                for (item_name, item) in ty.exports(engine) {
                    self.add(engine, name, item_name, item);
                }
            }
            _ => {}
        }
    }

    /// The import that defines `ty`.
    fn origin(&self, ty: ResourceType) -> Option<&Imported> {
        // A component declares its imports in the order of their dependencies.
        self.0.get(ty)?.first()
    }

    /// Whether `ty` is imported.
    pub(crate) fn contain(&self, ty: ResourceType) -> bool {
        self.origin(ty).is_some()
    }

    /// The name of `ty` where it is defined, for people.
    pub(crate) fn name(&self, ty: ResourceType) -> Option<String> {
        let origin = self.origin(ty)?;
        Some(crate::invocation::name::full_name(
            &origin.instance,
            &origin.name,
        ))
    }

    /// Whether `ty` is the input stream of `wasi:io`.
    pub(crate) fn is_input_stream(&self, ty: ResourceType) -> bool {
        self.origin(ty).is_some_and(|origin| {
            origin.instance.starts_with("wasi:io/streams@0.2.") && &*origin.name == "input-stream"
        })
    }

    /// Whether `instance` has `ty` from another import.
    fn is_used_by(&self, ty: ResourceType, instance: &str, name: &str) -> bool {
        let others = self.0.get(ty).and_then(|having| having.get(1..));
        let mut others = others.into_iter().flatten();
        others.any(|imported| &*imported.instance == instance && &*imported.name == name)
    }
}

/// The component whose imports are being linked.
#[derive(Default)]
pub(crate) struct Linking {
    imports: Imports,
    /// The resources that were defined as those of a peer.
    of_peers: ByResource<()>,
    /// What the functions of the component may take.
    budget: Rc<Budget>,
    /// Whether it is known which component it is.
    is_known: bool,
}

thread_local! {
    static LINKING: RefCell<Linking> = RefCell::default();
}

/// Notes that what is linked next on this thread are imports of `component`. Returns what was noted before.
pub(crate) fn linking(engine: &Engine, component: &types::Component) -> Linking {
    resume(Linking {
        imports: Imports::of(engine, component),
        is_known: true,
        ..Linking::default()
    })
}

/// Goes back to what [`linking`] has returned.
pub(crate) fn resume(linking: Linking) -> Linking {
    LINKING.replace(linking)
}

/// Whether a resource of `instance` needs a definition as that of a peer. One that it has from another import must not
/// get one: wasmtime takes the other definition, and accepts no other.
pub(crate) fn defines(ty: ResourceType, instance: &str, name: &str) -> bool {
    LINKING.with_borrow_mut(|linking| {
        let defines = !linking.imports.is_used_by(ty, instance, name);
        if defines {
            linking.of_peers.entry(ty, || ());
        }
        defines
    })
}

/// How many types of the functions that are linked next may be looked into. Of imports of no component that
/// [`linking`] was told of, each has as many as those of a component.
pub(crate) fn budget() -> Rc<Budget> {
    LINKING.with_borrow(|linking| match linking.is_known {
        true => Rc::clone(&linking.budget),
        false => Rc::default(),
    })
}

/// A resource type of the host, as an import has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OfHost {
    InputStream,
    /// Another one, by its name for people.
    Other(Box<str>),
}

/// What `ty` is, if the host defines it, and not a peer.
pub(crate) fn of_host(ty: ResourceType) -> Option<OfHost> {
    LINKING.with_borrow(|linking| {
        let Linking {
            imports, of_peers, ..
        } = linking;
        if of_peers.get(ty).is_some() {
            return None;
        }
        if imports.is_input_stream(ty) {
            return Some(OfHost::InputStream);
        }
        Some(OfHost::Other(imports.name(ty)?.into()))
    })
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::*;

    const USER: &str = r#"(component
        (import "wasi:io/streams@0.2.3" (instance $io
            (export "input-stream" (type (sub resource)))
            (export "output-stream" (type (sub resource)))))
        (alias export $io "input-stream" (type $in))
        (alias export $io "output-stream" (type $out))
        (import "test:peer/api" (instance
            (export "body" (type (eq $in)))
            (export "sink" (type (eq $out)))
            (export "input-stream" (type (sub resource))))))"#;

    fn resource(engine: &Engine, component: &types::Component, name: &str) -> ResourceType {
        let Some(ComponentItem::ComponentInstance(api)) =
            component.get_import(engine, "test:peer/api")
        else {
            panic!("the component imports the instance");
        };
        match api.get_export(engine, name) {
            Some(ComponentItem::Resource(ty)) => ty,
            other => panic!("{name} is a resource, and not {other:?}"),
        }
    }

    #[test]
    fn a_resource_is_known_by_the_import_that_defines_it_and_not_by_its_name() {
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(USER).expect("valid text"))
            .expect("a valid component");
        let ty = component.component_type();
        linking(&engine, &ty);
        let api = "test:peer/api";
        let [body, sink, own] =
            ["body", "sink", "input-stream"].map(|name| resource(&engine, &ty, name));

        assert!(!defines(body, api, "body"));
        assert!(!defines(sink, api, "sink"));
        assert!(defines(own, api, "input-stream"));

        assert_eq!(of_host(body), Some(OfHost::InputStream));
        let sink = of_host(sink).expect("the host's");
        assert_eq!(
            sink,
            OfHost::Other("wasi:io/streams@0.2.3.output-stream".into())
        );
        assert_eq!(of_host(own), None, "the peer's, whatever its name is");
    }

    #[test]
    fn nothing_is_known_of_another_component() {
        let engine = Engine::default();
        let [one, other] = [(), ()].map(|()| {
            Component::new(&engine, wat::parse_str(USER).expect("valid text")).expect("valid")
        });
        linking(&engine, &one.component_type());
        let body = resource(&engine, &other.component_type(), "body");
        assert_eq!(of_host(body), None);
        assert!(defines(body, "test:peer/api", "body"));
    }
}
