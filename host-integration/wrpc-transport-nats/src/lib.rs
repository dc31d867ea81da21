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
//! How calls are carried is set once in a process, before its first client is made:
//!
//! ```
//! use wrpc_transport_nats::local::{self, BackendKind, Config, Mode};
//!
//! # fn main() -> Result<(), local::InstallError> {
//! local::install(Config {
//!     mode: Mode::Prefer,
//!     ..Config::default()
//! })?;
//! let status = local::status();
//! assert_eq!(status.mode, "prefer");
//! assert_eq!(status.backend.is_some(), !BackendKind::compiled_in().is_empty());
//! assert_eq!(status.calls.local, 0);
//! # Ok(())
//! # }
//! ```
//!
//! Then clients are made and used as those of the published crate. Two that share a connection find
//! each other in memory:
//!
//! ```no_run
//! use std::pin::pin;
//! use std::sync::Arc;
//!
//! use futures::StreamExt as _;
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! use wrpc_transport::{Invoke as _, Serve as _};
//! use wrpc_transport_nats::{local, Client};
//!
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! let nats = Arc::new(async_nats::connect("nats://127.0.0.1:4222").await?);
//! let callee = Client::new(Arc::clone(&nats), "default.callee", None).await?;
//! let mut invocations = pin!(callee.serve("inhost:demo/echo", "shout", []).await?);
//! let serve = async {
//!     let (_, mut results, mut params) = invocations.next().await.expect("an invocation")?;
//!     let mut text = String::new();
//!     params.read_to_string(&mut text).await?;
//!     results.write_all(text.to_uppercase().as_bytes()).await?;
//!     results.shutdown().await?;
//!     anyhow::Ok(())
//! };
//!
//! let caller = Client::new(nats, "default.callee", None).await?;
//! let call = async {
//!     let paths: [&[Option<usize>]; 0] = [];
//!     let call = caller.invoke(None, "inhost:demo/echo", "shout", "hello".into(), paths);
//!     let (mut params, mut results) = call.await?;
//!     params.shutdown().await?;
//!     let mut answer = String::new();
//!     results.read_to_string(&mut answer).await?;
//!     anyhow::Ok(answer)
//! };
//!
//! let ((), answer) = tokio::try_join!(serve, call)?;
//! assert_eq!(answer, "HELLO");
//! assert_eq!(local::status().calls.local, 1);
//! # Ok(())
//! # }
//! ```
//!
//! What differs from upstream: [`SubjectWriter`] cannot be cloned. `Subscriber`, `ByteSubscription`, `Message`,
//! `RootParamWriter` and `IndexedParamWriter` are not there: they were public, but no one could make one.

#![allow(clippy::module_name_repetitions)]

mod client;
mod http;
pub mod local;
pub mod nats;
mod remote;
mod subscriptions;

pub use client::{Client, ParamWriter, Reader, SubjectWriter};
pub use inhost_backends::AnyBackend;
pub use nats::subject::{
    index_path, invocation_subject, param_subject, result_subject, subscribe_path, PROTOCOL,
};
