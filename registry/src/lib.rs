//! Which function of which component is served on this host, right now.
//!
//! A [`Registry`] maps (scope, prefix, instance, function) to what is kept of the function while it
//! is served. It does no I/O, knows neither NATS nor wasmtime, and needs no runtime.
//!
//! - A [`Scope`] is the identity of a connection: functions of two connections never meet, whatever their names.
//! - All that one client serves under a prefix is one *generation* of a component. **The oldest
//!   living generation serves; newer ones stand by.** When it ends, the next one serves all
//!   functions that it has, and no others, at once.
//! - A generation ends when one of its [`Registration`]s is dropped, or by [`Registry::end_older`].
//! - What is kept of a function goes from one generation to the next: see [`Function`].
//! - [`Registry::lookup`] neither allocates nor takes a lock. [`Registry::view`] is for those who
//!   need no reference of their own.
//!
//! A program that serves *different* functions of one component over several clients has to make
//! clones of one client of them, or they stand by for each other.
//!
//! ```
//! use std::sync::Arc;
//! use inhost_registry::{Registry, Scope};
//!
//! let scope = Scope::new(Arc::new("a connection to the lattice"));
//! let registry = Registry::new();
//! let register = |client, function| {
//!     registry.register(scope.clone(), "default.callee", client, "wasi:keyvalue/store", function, || ())
//! };
//! let is_served = |function| {
//!     registry.lookup(&scope, "default.callee", "wasi:keyvalue/store", function).is_some()
//! };
//! let (old, new) = (registry.client(), registry.client());
//! let old = register(old, "get");
//! let _new = register(new, "set");
//! assert!(is_served("get") && !is_served("set"));
//! drop(old);
//! assert!(!is_served("get") && is_served("set"));
//! ```

mod component;
mod function;
mod key;
mod registration;
mod registry;
mod scope;

pub use function::Function;
pub use registration::Registration;
pub use registry::{Generations, Listed, Registry, View};
pub use scope::{Scope, ScopeId};
