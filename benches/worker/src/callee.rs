//! The callee, compiled and linked, and what of it is called.

use std::path::Path;

use anyhow::Context as _;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower,
    TypedFunc,
};
use wasmtime::{Engine, Store};

use crate::engine::{linker, store, State};

/// The interface that the callee exports.
pub(crate) const ECHO: &str = "inhost:demo/echo@0.1.0";

/// What does not depend on a call: done once, as the host does.
#[derive(Clone)]
pub(crate) struct Callee {
    engine: Engine,
    pre: InstancePre<State>,
    pub(crate) ping: ComponentExportIndex,
    pub(crate) bytes: ComponentExportIndex,
    pub(crate) strings: ComponentExportIndex,
    pub(crate) record: ComponentExportIndex,
}

/// An instance and the store that it lives in.
pub(crate) struct Running {
    pub(crate) store: Store<State>,
    instance: Instance,
}

impl Callee {
    /// Compiles the component in `file`.
    ///
    /// # Errors
    ///
    /// When it is no component, or not a callee.
    pub(crate) fn load(engine: Engine, file: &Path) -> anyhow::Result<Self> {
        let component = Component::from_file(&engine, file)
            .with_context(|| format!("cannot compile {}", file.display()))?;
        let pre = linker(&engine, &component)?.instantiate_pre(&component)?;
        let function = |name| function(&component, ECHO, name);
        Ok(Self {
            ping: function("ping")?,
            bytes: function("echo-bytes")?,
            strings: function("echo-strings")?,
            record: function("echo-record")?,
            engine,
            pre,
        })
    }

    /// A new store with a new instance.
    ///
    /// # Errors
    ///
    /// When the engine has no room.
    pub(crate) async fn instantiate(&self) -> anyhow::Result<Running> {
        let mut store = store(&self.engine);
        let instance = self.pre.instantiate_async(&mut store).await?;
        Ok(Running { store, instance })
    }
}

impl Running {
    /// The function at `index`.
    ///
    /// # Errors
    ///
    /// When it has other types.
    pub(crate) fn function<Params, Results>(
        &mut self,
        index: &ComponentExportIndex,
    ) -> anyhow::Result<TypedFunc<Params, Results>>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        self.instance.get_typed_func(&mut self.store, index)
    }
}

/// Where `component` exports `name` of `interface`.
///
/// # Errors
///
/// When it does not.
pub(crate) fn function(
    component: &Component,
    interface: &str,
    name: &str,
) -> anyhow::Result<ComponentExportIndex> {
    let (_, interface_index) = component
        .export_index(None, interface)
        .with_context(|| format!("the component does not export {interface}"))?;
    let (_, function) = component
        .export_index(Some(&interface_index), name)
        .with_context(|| format!("the component's {interface} has no function {name}"))?;
    Ok(function)
}
