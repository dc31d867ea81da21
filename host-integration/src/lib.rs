//! In-host invocation for wasmCloud v1.5, for programs that have components in their own process.
//!
//! There are two ways:
//!
//! - [`Host`] is the wasmCloud v1.5 host with in-host invocation, in this process. It is a member of a lattice: it needs
//!   NATS, and is controlled as any host is.
//! - [`LocalLattice`] is components, links and configuration alone, without NATS and without a host. It is a crate of its
//!   own, `inhost-lattice`, which builds without the host library.
//!
//! A program that starts the published host library or provider library by itself can have in-host invocation, too, by
//! putting this project's drop-ins in the place of two crates. `examples/embed` in this package's folder is such a program.
//!
//! The package's binary, `wasmcloud`, is [`run`].

mod args;
mod certificates;
mod commands;
mod embed;
mod host_config;
mod labels;
mod local_dispatch;
mod memory;
mod nats_credentials;
mod observability;
mod observe;
mod program;
mod status;
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
