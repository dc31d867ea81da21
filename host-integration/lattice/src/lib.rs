//! Components, links and configuration in one process: a wasmCloud lattice without hosts and without a broker.
//!
//! A [`LocalLattice`] runs components on the runtime of the wasmCloud v1.5 host, `wasmcloud-runtime` 0.8.1, and carries
//! their calls as this project's host does: each component is served in a registry, and calls go through the dispatcher
//! and one of its backends. It is for tests, for development, and for devices on which nothing else shall run. It does
//! not listen, and does not connect to anything.
//!
//! ```
//! use inhost_lattice::{Link, LocalLattice, Val, Wasm};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if inhost_lattice::BackendKind::compiled_in().is_empty() { return Ok(()); }
//! let lattice = LocalLattice::builder()
//!     .component("caller", Wasm::file("../guests/caller/caller.wasm"))
//!     .component("callee", Wasm::file("../guests/callee/callee.wasm"))
//!     .link(Link::new("caller", "callee", "inhost:demo/echo"))
//!     .config("callee", [("greeting", "hello")])
//!     .build()
//!     .await?;
//!
//! // As values, or as text.
//! let results = lattice.call("caller", "inhost:demo/driver.ping", &[Val::U32(41)]).await?;
//! assert_eq!(results, [Val::U32(42)]);
//! let results = lattice.call_wave("caller", "inhost:demo/driver.ping", &["41"]).await?;
//! assert_eq!(results, ["42"]);
//!
//! lattice.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What a component can import
//!
//! | import | what it does |
//! |---|---|
//! | an interface of another component | the call goes to the component that the [`Link`] leads to |
//! | `wasi:keyvalue`, `wasi:blobstore`, outgoing `wasi:http` | so does this; the component stands where a provider would, and exports what that serves: `wrpc:keyvalue` and so on |
//! | `wasmcloud:messaging` 0.2 | so does this: there is no broker |
//! | `wasi:config` | reads [`Builder::config`] |
//! | `wasmcloud:secrets` | reads [`Builder::secrets`] |
//! | `wasi:logging` | logs with `tracing`, target `inhost_lattice::guest` |
//! | `wasmcloud:bus/lattice` | chooses between links by name, for the instance that asks |
//! | the rest of WASI 0.2 | as in a wasmCloud host |
//!
//! # What differs from a host
//!
//! - A call whose target is not here is an error at once, which says what is missing. There is no other place to look.
//! - A chosen link name holds for one instance; in a host, it holds for all instances of the component.
//! - No policy service, no providers, no control interface, no claims: what is built is what runs.
//!
//! # What this crate must not know
//!
//! NATS, and the host library.

mod builder;
mod client;
mod error;
mod exports;
mod function;
mod handler;
mod lattice;
mod limits;
mod link;
mod serve;
mod value;
mod wasm;

pub use builder::Builder;
pub use error::{BuildError, CallError};
pub use function::Function;
pub use inhost_backends::{BackendKind, UnknownBackend};
pub use lattice::{LocalLattice, Watch};
pub use limits::Limits;
pub use link::{InvalidLink, Link, DEFAULT_LINK};
pub use wasm::Wasm;
/// A value of the component model, as [`LocalLattice::call`] takes and answers it.
pub use wasmtime::component::Val;
