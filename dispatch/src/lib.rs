//! Carries an invocation in memory when the callee is on this host, and over a remote transport otherwise.
//!
//! A [`Dispatcher`] stands where a wRPC transport stood: it implements [`wrpc_transport::Invoke`] and
//! [`wrpc_transport::Serve`] over any remote transport that does. Serving a function subscribes it on the remote
//! transport *and* registers an [`Endpoint`] in this host's registry, once it is the turn of its generation of the component
//! ([`Local::generations`]). Invoking one decides on a [`Route`] first.
//!
//! ```
//! use std::pin::pin;
//! use std::sync::Arc;
//!
//! use futures::StreamExt as _;
//! use inhost_dispatch::{Backend, Dispatcher, Local, Mode, Nowhere, QueueLimits};
//! use inhost_registry::Scope;
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
//! use wrpc_transport::{Invoke as _, Serve as _};
//!
//! /// A backend for this example. `inhost-backend-duplex` and `inhost-backend-mpsc` are those to use.
//! #[derive(Clone)]
//! struct Streams;
//!
//! impl Backend for Streams {
//!     type Writer = DuplexStream;
//!     type Reader = DuplexStream;
//!
//!     fn stream(&self) -> (DuplexStream, DuplexStream) {
//!         tokio::io::duplex(64 * 1024)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! // What the dispatchers of a host share. Nothing but this process can be reached here, so calls have to stay in it.
//! let local = Arc::new(Local::new(Some(Streams), Mode::Require, QueueLimits::default()));
//! let scope = Scope::new(Arc::new("a connection"));
//! let callee = || {
//!     let (scope, local) = (scope.clone(), Arc::clone(&local));
//!     Dispatcher::new(Nowhere::new(), scope, "default.callee".into(), local)
//! };
//!
//! // The callee: takes one invocation. Its context is `()` here, and the headers of a message over NATS.
//! let mut invocations = pin!(callee().serve("inhost:demo/echo", "shout", []).await?);
//! let serve = async {
//!     let ((), mut results, mut params) = invocations.next().await.expect("an invocation")?;
//!     let mut text = String::new();
//!     params.read_to_string(&mut text).await?;
//!     results.write_all(text.to_uppercase().as_bytes()).await?;
//!     results.shutdown().await?;
//!     anyhow::Ok(())
//! };
//!
//! // The caller, over a dispatcher of its own for the same prefix.
//! let call = async {
//!     let paths: [&[Option<usize>]; 0] = [];
//!     let call = callee();
//!     let call = call.invoke((), "inhost:demo/echo", "shout", "hello".into(), paths);
//!     let (mut params, mut results) = call.await?;
//!     params.shutdown().await?;
//!     let mut answer = String::new();
//!     results.read_to_string(&mut answer).await?;
//!     anyhow::Ok(answer)
//! };
//!
//! let ((), answer) = tokio::try_join!(serve, call)?;
//! assert_eq!(answer, "HELLO");
//! assert_eq!(local.calls().local, 1);
//! # Ok(())
//! # }
//! ```
//!
//! How a local call flows, and the file each step is in:
//!
//! 1. `dispatcher`: [`Invoke::invoke`](wrpc_transport::Invoke::invoke) looks the function up and decides.
//! 2. `call`: what both sides of the call share. `root`: the [`Backend`] makes a byte stream for the parameters, or for the
//!    results, once a side writes to it.
//! 3. `endpoint`: the invocation waits in the function's bounded queue, with its context untouched and its
//!    parameters not copied. `home`: what the call knows of the endpoint. `queue`: who reads it, and who waits for room.
//! 4. `served`: the served stream merges local and remote invocations and hands them out in turn.
//! 5. `outgoing`, `incoming`: both sides write and read. `paths` gives each path of
//!    [`Index`](wrpc_transport::Index) a byte stream of its own.
//!    `pieces` passes on what came in one piece without a copy.
//! 6. `caller`: the callee may hand its results over in one piece, say why it failed, and learn that no one
//!    waits for it any more. `put_back`: it stops before it has started. `patience`: for how long it waits for parameters.
//! 7. `target`, `counters`: what is counted of each function. `observer`: who wants to be told about each call. `pace`:
//!    whether calls come one by one.
//!
//! # Who sees the end of a stream, and when
//!
//! | event | what the other side sees |
//! |---|---|
//! | `shutdown` on a writer | the bytes written before it, then end of stream |
//! | the callee's result root dropped without `shutdown` | the bytes, then an [`std::io::Error`] that holds [`CallError::CalleeFailed`], with the cause if the callee gave one ([`Caller::failed`]) |
//! | a generation ends before a call has started | the next one takes it, or [`CallError::NotAccepted`], at once |
//! | any other writer dropped without `shutdown` | the bytes, then end of stream |
//! | a reader dropped | the writer gets `BrokenPipe`, at once if it was waiting |
//!
//! A caller that drops its streams before the results are complete has gone: a queued call is skipped, and a running
//! callee can learn of it ([`Caller::gone`]). The exception is a caller that shut its parameters down and never asked
//! for results, as that of a function without results does: its call runs, and has all of the parameters.
//!
//! # What this crate must not know
//!
//! NATS, wasmtime, wasmCloud, and any one backend.

mod backend;
mod call;
mod caller;
mod counters;
mod dispatcher;
mod drain;
mod endpoint;
mod error;
mod home;
mod incoming;
mod known;
mod local;
mod modes;
mod nowhere;
mod observer;
mod outgoing;
mod pace;
mod paths;
mod patience;
mod pieces;
mod put_back;
mod queue;
mod root;
mod route;
mod served;
mod serving;
mod sync;
mod target;
mod types;

pub use backend::Backend;
pub use caller::Caller;
pub use counters::{Calls, Failures};
pub use dispatcher::Dispatcher;
pub use drain::{Drain, Drained, Run};
pub use endpoint::{Endpoint, QueueLimits};
pub use error::CallError;
pub use incoming::Incoming;
pub use inhost_registry::{Generations, ScopeId};
pub use local::{Local, Served};
pub use modes::Modes;
pub use nowhere::{NoStream, Nowhere};
pub use observer::{on_start, starts, Ended, Ending, Observer, Outcome};
pub use outgoing::Outgoing;
pub use pace::Pace;
pub use pieces::{is_whole, next_piece, until_ended};
pub use put_back::put_back;
pub use route::{Mode, Route, UnknownMode};
pub use serving::with_prefix;
pub use target::{Counted, Target};
pub use types::with_types;
