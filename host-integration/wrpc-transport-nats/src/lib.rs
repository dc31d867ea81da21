//! Drop-in for the crate of this name: a call is carried in memory when the callee is on this host, and over NATS
//! otherwise.
//!
//! It stands in for `wrpc-transport-nats` 0.27 through `[patch.crates-io]`, and has the API of it that can be used.
//! [`local`] is for who wants to configure it or to see what it does, [`nats`] says what goes over the wire: what
//! upstream sends, message by message.
//!
//! - Serving a function subscribes it on NATS as before, and registers it as a local endpoint.
//! - Invoking a function asks the registry first. Only functions served over a clone of the *same*
//!   `Arc<async_nats::Client>` are reached in memory: two connections are two scopes, even to one server.
//! - [`Client::new`] does no I/O. NATS is touched when a remote call or a subscription needs it.
//!
//! What differs from upstream: [`SubjectWriter`] cannot be cloned. `Subscriber`, `ByteSubscription`, `Message`,
//! `RootParamWriter` and `IndexedParamWriter` are not there: they were public, but no one could make one.

#![allow(clippy::module_name_repetitions)]

mod client;
pub mod local;
pub mod nats;
mod remote;

pub use client::{Client, ParamWriter, Reader, SubjectWriter};
pub use inhost_backends::AnyBackend;
pub use nats::subject::{
    index_path, invocation_subject, param_subject, result_subject, subscribe_path, PROTOCOL,
};
