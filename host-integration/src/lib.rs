//! In-host invocation for wasmCloud v1.5, for programs that have components in their own process.
//!
//! There are two ways:
//!
//! - [`Host`] is the wasmCloud v1.5 host with in-host invocation, in this process. It is a member
//!   of a lattice: it needs NATS, and is controlled as any host is.
//! - [`LocalLattice`] is components, links and configuration alone, without NATS and without a
//!   host. It is a crate of its own, `inhost-lattice`, which builds without the host library.
//!
//! ```
//! use inhost::{Link, LocalLattice, Wasm};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if inhost::BackendKind::compiled_in().is_empty() { return Ok(()); }
//! let lattice = LocalLattice::builder()
//!     .component("caller", Wasm::file("guests/caller/caller.wasm"))
//!     .component("callee", Wasm::file("guests/callee/callee.wasm"))
//!     .link(Link::new("caller", "callee", "inhost:demo/echo"))
//!     .build()
//!     .await?;
//! let results = lattice.call_wave("caller", "inhost:demo/driver.ping", &["41"]).await?;
//! assert_eq!(results, ["42"]);
//! # Ok(())
//! # }
//! ```
//!
//! With NATS at hand, the same components on a host:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = inhost::Host::builder().nats("nats://127.0.0.1:4222").start().await?;
//! // `wash start component`, `wash link put` and so on; until `wash stop host`:
//! host.stop_requested().await?;
//! println!("{} calls were made in memory", host.status().calls.local);
//! host.shut_down().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A program that starts the published host library or provider library by itself can have in-host
//! invocation, too, by putting this project's drop-ins in the place of two crates. `examples/embed`
//! in this package's folder is such a program.
//!
//! The package's binary, `wasmcloud`, is [`run`].

mod args;
mod certificates;
mod commands;
mod elsewhere;
mod embed;
mod host_config;
mod labels;
mod local_dispatch;
mod named;
mod nats_credentials;
mod observability;
mod observe;
mod program;
mod status;
mod steer;
mod stop;
mod subject;
mod threads;
mod updates;

pub use embed::{Host, HostBuilder, StartError};
pub use inhost_lattice::{
    BackendKind, BuildError, Builder, CallError, Function, InvalidLink, Limits, Link, LocalLattice,
    UnknownBackend, Val, Wasm, Watch, DEFAULT_LINK,
};
pub use program::run;
pub use threads::runtime_builder;
/// The configuration of a [`Host`].
pub use wasmcloud_host::WasmbusHostConfig as HostConfig;
/// How a [`Host`] carries calls in memory.
pub use wrpc_transport_nats::local;
