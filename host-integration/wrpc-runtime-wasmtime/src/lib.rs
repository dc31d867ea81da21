//! Drop-in for the crate of this name: it runs both ends of a call between components.
//!
//! It stands in for `wrpc-runtime-wasmtime` 0.25 through `[patch.crates-io]`, has the same public API, and adds what a
//! user of the library wants besides: [`Instance::call`], which runs one invocation over any pair of byte streams.
//!
//! - A guest calls an import: [`link_item`], [`link_instance`] and [`link_function`] define it.
//! - A peer calls an export: [`ServeExt`] serves it, and runs each invocation with [`Instance::call`].
//!
//! ```
//! use inhost_dispatch::Nowhere;
//! use wasmtime::component::{Component, Linker};
//! use wasmtime::{Config, Engine, Store};
//! use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiView};
//! use wrpc_runtime_wasmtime::{Instance, Root, SharedResourceTable, WrpcView};
//!
//! /// What a store holds: WASI, and the transport over which the guest's imports are called. This one reaches no one.
//! struct Data {
//!     wasi: WasiCtx,
//!     table: ResourceTable,
//!     shared: SharedResourceTable,
//!     client: Nowhere<()>,
//! }
//!
//! impl WasiView for Data {
//!     fn table(&mut self) -> &mut ResourceTable {
//!         &mut self.table
//!     }
//!
//!     fn ctx(&mut self) -> &mut WasiCtx {
//!         &mut self.wasi
//!     }
//! }
//!
//! impl WrpcView for Data {
//!     type Invoke = Nowhere<()>;
//!
//!     fn client(&self) -> &Nowhere<()> {
//!         &self.client
//!     }
//!
//!     fn shared_resources(&mut self) -> &mut SharedResourceTable {
//!         &mut self.shared
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let engine = Engine::new(Config::new().async_support(true))?;
//! let wasm = wat::parse_str(
//!     r#"(component
//!         (core module $code
//!             (func (export "double") (param i32) (result i32)
//!                 (i32.mul (local.get 0) (i32.const 2))))
//!         (core instance $instance (instantiate $code))
//!         (func (export "double") (param "n" u32) (result u32)
//!             (canon lift (core func $instance "double"))))"#,
//! )?;
//! let component = Component::new(&engine, wasm)?;
//! let pre = Linker::new(&engine).instantiate_pre(&component)?;
//! let instance = Instance::new(pre, move || {
//!     let data = Data {
//!         wasi: WasiCtxBuilder::new().build(),
//!         table: ResourceTable::new(),
//!         shared: SharedResourceTable::default(),
//!         client: Nowhere::new(),
//!     };
//!     Store::new(&engine, data)
//! });
//!
//! // The function is looked up once, and called with the bytes that a peer sends.
//! let double = instance.export("", "double")?;
//! let (mut params, mut results) = (Root(&[21_u8][..]), Root(Vec::new()));
//! instance.call(&double, &mut params, &mut results).await?;
//! assert_eq!(results.0, [42]);
//! # Ok(())
//! # }
//! ```
//!
//! # One way for values
//!
//! Values move between guest memory and the wRPC encoding in one pass. A `string` or a `list<u8>`
//! is one copy. Handles and streams are no exception: their bytes, or what they read from, are
//! found before a guest is entered, or after it was left. What a peer sends is checked before a
//! guest is entered, and what a guest passes is bounded.
//!
//! [`ValEncoder`] and [`read_value`] are for programs that have or want wasmtime's
//! [`Val`](wasmtime::component::Val), and here because they are in upstream. The bytes are the
//! same, which are upstream's.
//!
//! # Where what is
//!
//! Each knows those above it.
//!
//! | folder | what | what it must not know |
//! |---|---|---|
//! | `turns` | guests that compute give way to each other, and to all else | components, invocations |
//! | `invocation` | an invocation as the transport has it: messages, streams, names, and where its work is done | types, guests |
//! | `types` | what the values of a function are, and which resources are in them | values |
//! | `values` | between guest memory and the wire; `wire` is what resources are on it | instances |
//! | `instance` | one invocation of an export, from an empty store to the last byte of its results | who serves it |
//! | `link`, `serve` | upstream's two faces: imports of a guest, and exports that peers call | each other |
//!
//! # What this crate must not know
//!
//! NATS, wasmCloud, any one backend.

mod instance;
mod invocation;
mod link;
mod serve;
mod turns;
mod types;
mod values;
mod view;

// What unit tests share with those in `tests` and with the benches names the crate as they do.
#[cfg(test)]
extern crate self as wrpc_runtime_wasmtime;
#[cfg(test)]
#[path = "../tests/support/ctx.rs"]
mod test_ctx;

pub use instance::export::{Export, NotExported};
pub use instance::reuse::{reuse_instances, AlreadyChosen};
pub use instance::{CallFailed, Instance};
pub use invocation::root::Root;
pub use invocation::step::Step;
pub use link::{link_function, link_instance, link_item};
pub use serve::serving::type_being_served;
pub use serve::ServeExt;
pub use turns::{in_ticks, take_turns};
pub use types::resources::{
    collect_component_resources, collect_instance_resources, collect_item_resources,
};
pub use values::call;
pub use values::wire::{read_value, ValEncoder};
pub use view::{RemoteResource, SharedResourceTable, WrpcView};
