//! wasmtime as the host sets it up: `wasmcloud-runtime` 0.8.1 with the defaults of the `wasmcloud` binary.

use std::time::Duration;

use anyhow::{bail, Context as _};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiView};

use crate::callee::ECHO;

/// How many components may run at once.
const MAX_COMPONENTS: u32 = 10_000;

/// The largest linear memory, in bytes.
const MAX_LINEAR_MEMORY: usize = 256 << 20;

/// The largest component, in bytes.
const MAX_COMPONENT_SIZE: usize = 50 << 20;

/// How many core instances, and so memories, a component may have.
const MAX_CORE_INSTANCES: u32 = 30;

/// How many bytes of a memory or a table stay in RAM when an instance ends.
const KEEP_RESIDENT: usize = 10 << 10;

/// How often the epoch advances.
const EPOCH: Duration = Duration::from_secs(1);

/// After how many epochs a call is stopped.
const DEADLINE: u64 = 600;

/// What a store holds.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }

    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// An engine, whose epoch advances as long as it lives.
///
/// # Errors
///
/// When there is not enough address space.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_COMPONENTS)
        .total_core_instances(MAX_COMPONENTS)
        .total_gc_heaps(MAX_COMPONENTS)
        .total_stacks(MAX_COMPONENTS)
        .max_component_instance_size(MAX_COMPONENT_SIZE)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_tables_per_component(20)
        .table_elements(15_000)
        .max_memories_per_component(MAX_CORE_INSTANCES)
        .total_memories(MAX_COMPONENTS)
        .total_tables(MAX_COMPONENTS)
        .max_memory_size(MAX_LINEAR_MEMORY)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT);
    let mut config = Config::new();
    config
        .async_support(true)
        .epoch_interruption(true)
        .wasm_component_model(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).context("cannot make an engine as the host's")?;
    let weak = engine.weak();
    std::thread::spawn(move || loop {
        std::thread::sleep(EPOCH);
        match weak.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    });
    Ok(engine)
}

/// A linker with WASI. What else `component` imports traps when it is called, but for `echo.wait`,
/// which does not answer.
///
/// # Errors
///
/// When the component imports something other than interfaces.
pub(crate) fn linker(engine: &Engine, component: &Component) -> anyhow::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::add_to_linker_async(&mut linker)?;
    for (interface, item) in component.component_type().imports(engine) {
        // wasmtime finds these by a compatible version. `define_unknown_imports_as_traps` does not,
        // and would hide them.
        if interface.starts_with("wasi:") {
            continue;
        }
        let ComponentItem::ComponentInstance(ty) = item else {
            bail!("the import {interface} is not an interface");
        };
        let mut instance = linker.instance(interface)?;
        for (name, item) in ty.exports(engine) {
            match item {
                ComponentItem::ComponentFunc(_) if (interface, name) == (ECHO, "wait") => {
                    instance.func_new_async(name, |_, _, _| Box::new(std::future::pending()))?;
                }
                ComponentItem::ComponentFunc(_) => {
                    let error = format!("{interface}.{name} is not linked");
                    instance.func_new(name, move |_, _, _| bail!("{error}"))?;
                }
                ComponentItem::Resource(_) => {
                    instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(linker)
}

/// A store as the host makes it for each call.
pub(crate) fn store(engine: &Engine) -> Store<State> {
    let wasi = WasiCtxBuilder::new()
        .args(&["main.wasm"])
        .inherit_stderr()
        .build();
    let table = ResourceTable::new();
    let mut store = Store::new(engine, State { wasi, table });
    store.set_epoch_deadline(DEADLINE);
    store
}
