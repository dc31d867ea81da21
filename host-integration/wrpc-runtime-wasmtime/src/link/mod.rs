//! Imports of a component that are functions of peers.

mod refused;

use std::sync::Arc;

use anyhow::{bail, Context as _};
use tracing::{debug, instrument, warn};
use wasmtime::component::{types as items, LinkerInstance, ResourceType};
use wasmtime::Engine;
use wasmtime_wasi::{InputStream, WasiView};
use wrpc_transport::Invoke;

use crate::invocation::invoke::Import;
use crate::invocation::name::full_name;
use crate::types::imports;
use crate::types::imports::{of_host, OfHost};
use crate::types::Function;
use crate::values;
use crate::values::wire::Kinds;
use crate::values::Signature;
use crate::view::{RemoteResource, WrpcView};

/// Defines an import of a component as one that invokes a peer; see [`link_function`].
///
/// An instance is defined with all it has, a component with all it imports, a resource as a [`RemoteResource`]. Types
/// need no definition. `instance` is the name of the instance that `name` is in, and empty for none.
///
/// Functions are invoked with a clone of the store's transport, one for each store.
///
/// A resource that the import uses, and that another import defines, stays what it is there. To tell the two apart,
/// [`collect_component_resources`](crate::collect_component_resources) must have seen the component before, on this
/// thread. Otherwise each resource is taken for one that the import defines.
///
/// # Errors
///
/// When `linker` has a definition of that name, when the item is a core function or a module, and those of
/// [`link_function`].
#[instrument(level = "trace", skip_all)]
pub fn link_item<V>(
    engine: &Engine,
    linker: &mut LinkerInstance<'_, V>,
    resources: impl Into<Arc<[ResourceType]>>,
    ty: items::ComponentItem,
    instance: impl Into<Arc<str>>,
    name: impl Into<Arc<str>>,
    cx: <V::Invoke as Invoke>::Context,
) -> wasmtime::Result<()>
where
    V: WasiView + WrpcView,
    V::Invoke: Clone + 'static,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let (instance, name) = (instance.into(), name.into());
    let resources = resources.into();
    match ty {
        items::ComponentItem::ComponentFunc(ty) => {
            link_function(linker, resources, ty, instance, name, cx)
        }
        items::ComponentItem::ComponentInstance(ty) => {
            let mut linker = linker
                .instance(&name)
                .with_context(|| format!("the linker cannot hold an instance `{name}`"))?;
            link_instance(engine, &mut linker, resources, ty, name, cx)
        }
        items::ComponentItem::Component(ty) => {
            let outer = imports::linking(engine, &ty);
            let linked = ty.imports(engine).try_for_each(|(name, ty)| {
                let resources = Arc::clone(&resources);
                link_item(engine, linker, resources, ty, "", name, cx.clone())
            });
            imports::resume(outer);
            linked
        }
        items::ComponentItem::Resource(ty) => {
            if !imports::defines(ty, &instance, &name) {
                debug!(%instance, %name, "a resource of another import");
                return Ok(());
            }
            debug!(%instance, %name, "linking a resource");
            linker.resource(&name, ResourceType::host::<RemoteResource>(), |_, _| Ok(()))
        }
        items::ComponentItem::Type(_) => Ok(()),
        items::ComponentItem::CoreFunc(_) => {
            bail!("import `{name}` is a core function, which no peer can serve")
        }
        items::ComponentItem::Module(_) => {
            bail!("import `{name}` is a core module, which no peer can serve")
        }
    }
}

/// Defines all that an imported instance has; see [`link_item`].
///
/// # Errors
///
/// As [`link_item`].
#[instrument(level = "trace", skip_all)]
pub fn link_instance<V>(
    engine: &Engine,
    linker: &mut LinkerInstance<'_, V>,
    resources: impl Into<Arc<[ResourceType]>>,
    ty: items::ComponentInstance,
    name: impl Into<Arc<str>>,
    cx: <V::Invoke as Invoke>::Context,
) -> wasmtime::Result<()>
where
    V: WrpcView + WasiView,
    V::Invoke: Clone + 'static,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let instance = name.into();
    let resources = resources.into();
    for (name, ty) in ty.exports(engine) {
        let (resources, instance) = (Arc::clone(&resources), Arc::clone(&instance));
        link_item(engine, linker, resources, ty, instance, name, cx.clone())?;
    }
    Ok(())
}

/// Defines the import `name` of `instance`: a guest that calls it invokes the function of that name of a peer, with the
/// store's [`client`](WrpcView::client). The guest traps when that fails, or takes longer than
/// [`WrpcView::timeout`].
///
/// The import returns when the results are there. Streams among the results and the parameters may
/// still flow then: what sends the parameters ends with the streams of the results.
///
/// `resources` are the resource types that the guest exports. `cx` goes to the transport with every invocation.
///
/// # Errors
///
/// When `linker` has a definition of that name, or each call would pass a resource of the host that cannot be passed,
/// such as an output stream.
#[instrument(level = "trace", skip_all)]
pub fn link_function<V>(
    linker: &mut LinkerInstance<'_, V>,
    resources: impl Into<Arc<[ResourceType]>>,
    ty: items::ComponentFunc,
    instance: impl Into<Arc<str>>,
    name: impl Into<Arc<str>>,
    cx: <V::Invoke as Invoke>::Context,
) -> wasmtime::Result<()>
where
    V: WrpcView + WasiView,
    V::Invoke: Clone + 'static,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let (instance, name) = (instance.into(), name.into());
    let is_stream = |ty| {
        // The second, if the types are those of an instance.
        of_host(ty) == Some(OfHost::InputStream) || ty == ResourceType::host::<InputStream>()
    };
    let types = match Function::of(&ty, is_stream, &imports::budget()) {
        Ok(types) => types,
        Err(reason) => {
            let function = full_name(&instance, &name);
            warn!(function, %reason, "an import cannot be called");
            return refused::link(linker, &name, function, reason);
        }
    };
    let import = Import {
        instance,
        name,
        types: Arc::clone(&types.signature),
    };
    debug!(function = %import, "linking a function");
    let kinds = Kinds::of_import(types.resources(), &resources.into());
    let signature = Signature::new(&types, |ty| kinds.of(ty).clone());
    signature
        .check()
        .with_context(|| format!("`{import}` cannot be invoked"))?;
    values::link(linker, signature, import, cx)
}
