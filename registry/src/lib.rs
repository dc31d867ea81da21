//! Which function of which component is served on this host, right now.
//!
//! A [`Registry`] maps (scope, prefix, instance, function) to what serves it. It does no I/O, knows neither
//! NATS nor wasmtime, and needs no runtime.
//!
//! - A [`Scope`] is the identity of a connection: endpoints of two connections never meet, whatever their names.
//! - [`Registry::register`] returns a [`Registration`]. Dropping it removes exactly that registration.
//! - Where two registrations of one function overlap, as they do while a component is updated, the newest wins.
//!   When it goes, the older one is found again.
//! - [`Registry::lookup`] neither allocates nor takes a lock. [`Registry::view`] is for those who need no reference of their own.
//! - [`Registry::snapshot`] lists what is registered.
//!
//! ```
//! use std::sync::Arc;
//! use inhost_registry::{Registry, Scope};
//!
//! let scope = Scope::new(Arc::new("a connection to the lattice"));
//! let registry = Registry::new();
//! let guard = registry.register(
//!     scope.clone(),
//!     "default.callee",
//!     "wasi:keyvalue/store@0.2.0-draft",
//!     "get",
//!     Arc::new(42),
//! );
//! let find = || registry.lookup(&scope, "default.callee", "wasi:keyvalue/store@0.2.0-draft", "get");
//! assert_eq!(find().as_deref(), Some(&42));
//! drop(guard);
//! assert_eq!(find(), None);
//! ```

mod key;
mod registration;
mod registry;
mod scope;

pub use registration::Registration;
pub use registry::{Listed, Registry, View};
pub use scope::Scope;
