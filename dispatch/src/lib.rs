//! Carries an invocation in memory when the callee is on this host, and over a remote transport otherwise.
//!
//! A [`Dispatcher`] stands where a wRPC transport stood: it implements [`wrpc_transport::Invoke`]
//! and [`wrpc_transport::Serve`] over any remote transport that does. Serving a function subscribes
//! it on the remote transport *and* registers an [`Endpoint`] in this host's registry, once it is
//! the turn of its generation of the component ([`Local::generations`]). Invoking one decides on a
//! [`Route`] first.
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
//! How a local call flows, and where each step is:
//!
//! 1. `dispatcher`: [`Invoke::invoke`](wrpc_transport::Invoke::invoke) looks the function up and
//!    decides. `route`: what there is to decide between. `modes`: where calls may go, which can
//!    change while they are made. `host`: what the dispatchers of a host share.
//! 2. `endpoint`: the invocation waits in the function's bounded queue, with its context untouched
//!    and its parameters not copied. `queue`: who reads it, and who waits for room.
//! 3. `served`: the served stream merges local and remote invocations and hands them out in turn.
//! 4. `call`: what both sides of the call share, and the streams that they write and read. `lazy`:
//!    the [`Backend`] makes a byte stream for the parameters, or for the results, once a side
//!    writes to it. `paths` gives each path of [`Index`](wrpc_transport::Index) a byte stream of
//!    its own. `home`: what the call knows of the endpoint. `patience`: for how long a callee waits
//!    for parameters, and how many bytes of them it takes. `pile`: what a writer may add to a write
//!    that waits.
//! 5. `beside`: what a callee and a caller can do with the streams of a local call besides to write
//!    and to read: pass on in one piece and without a copy, say why the call failed, learn that no
//!    one waits any more, put back a call that has not started. `ambient`: what goes along in the
//!    task.
//! 6. `observe`: what is counted of each function, who wants to be told about each call, which calls are in
//!    flight, and whether calls come one by one.
//! 7. `drain`: what becomes of calls when the process ends.
//!
//! # Who sees the end of a stream, and when
//!
//! | event | what the other side sees |
//! |---|---|
//! | `shutdown` on a writer | the bytes written before it, then end of stream |
//! | the callee's result root dropped without `shutdown` | the bytes, then an [`std::io::Error`] that holds [`CallError::CalleeFailed`], with the cause if the callee gave one ([`Caller::failed`]) |
//! | a generation ends before a call has started | the next one takes it, or [`CallError::NotAccepted`], at once |
//! | the callee has no room for the call ([`Caller::refused`]) | [`CallError::NoRoom`], with the cause |
//! | any other writer dropped without `shutdown` | the bytes, then end of stream; [`Reader::why_failed`] has the cause if that is a callee that gave one |
//! | a reader dropped | the writer gets `BrokenPipe`, at once if it was waiting |
//!
//! A caller that drops its streams before the results are complete has gone: a queued call is skipped, and a running
//! callee can learn of it ([`Caller::gone`]). The exception is a caller that shut its parameters down and never asked
//! for results, as that of a function without results does: its call runs, and has all of the parameters.
//!
//! # What this crate must not know
//!
//! NATS, wasmtime, wasmCloud, and any one backend.

mod ambient;
mod backend;
mod beside;
mod call;
mod dispatcher;
mod drain;
mod elsewhere;
mod endpoint;
mod host;
mod leaving;
mod modes;
mod nowhere;
mod observe;
mod queue;
mod route;
mod served;
mod sync;

pub use ambient::{elsewhere, with_serving, with_types, Serving, Types};
pub use backend::Backend;
pub use beside::{put_back, Caller, Reader};
pub use call::{CallError, Incoming, Outgoing};
pub use dispatcher::Dispatcher;
pub use drain::{Drain, Drained, Run};
pub use endpoint::{Endpoint, QueueLimits};
pub use host::{Local, Served};
pub use inhost_registry::{Generations, ScopeId};
pub use nowhere::{NoStream, Nowhere};
pub use observe::{
    note_pool_used_up, note_time_used_up, on_start, pool_used_up, queue_full, starts, time_used_up,
    Calls, Counted, Ended, Ending, Failures, Observer, Pace, Running, Stage, Target,
};
pub use route::{Mode, Modes, Outcome, Route, UnknownMode};
