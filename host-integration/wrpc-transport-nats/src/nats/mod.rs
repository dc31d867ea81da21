//! wRPC over NATS: the remote path, and the protocol that it speaks.
//!
//! The protocol is that of `wrpc-transport-nats` 0.28.1 (`src/lib.rs` there; the names below are its functions). Stock
//! hosts and providers speak it too, so nothing of it may change. `tests/wire.rs` compares the messages of both.
//!
//! # The protocol
//!
//! Text after `$` stands for a value. An inbox is a subject that only its owner is subscribed to.
//!
//! | subject | who sends | reply subject | payload |
//! |---|---|---|---|
//! | `$prefix.wrpc.0.0.1.$instance.$function` | caller, once: `Invoke::invoke` | `$caller`, a new inbox | the first bytes of the parameters; with the call's headers |
//! | `$caller` | callee, once: `handle_message` | `$callee`, a new inbox | empty |
//! | `$callee.params` | caller: `RootParamWriter` | | more bytes of the parameters |
//! | `$callee.params.$i.$j` | caller: `IndexedParamWriter` | | bytes of the parameter stream at the path `[i, j]` |
//! | `$caller.results` | callee: `SubjectWriter` | | bytes of the results |
//! | `$caller.results.$i.$j` | callee: `SubjectWriter::index` | | bytes of the result stream at the path `[i, j]` |
//!
//! - An empty prefix or instance is left out of the subject, with its dot (`invocation_subject`).
//! - A callee subscribes the first subject in a queue group, if it has one: then one member of the group gets a call.
//! - The first message carries as many bytes of the parameters as fit: the server's `max_payload`, less the length of
//!   `$caller`, less the encoded headers. The rest is sent to `$callee.params` when the callee has answered. All other
//!   messages carry up to `max_payload` bytes. Where a message ends means nothing.
//! - An empty message ends the stream of its subject: it is sent by `poll_shutdown`, and when a stream is dropped
//!   without it. So over NATS a callee that fails looks like one whose results end early. There is no other way to
//!   say that a call failed; in particular there is no subject for errors.
//! - Whether a call has parameters that were not in the first message or not, the stream `$callee.params` is ended.
//! - When no one serves the function, the server itself answers at `$caller`, with status 503: an
//!   error of kind [`NotConnected`](std::io::ErrorKind::NotConnected). 408 is `TimedOut`, 409 is
//!   `UnexpectedEof`, another one that is no success is `Other`; an answer without a reply subject
//!   is `InvalidInput`. With the last one, a callee here refuses a call that has arrived and will
//!   not be run.
//!
//! # What is different here
//!
//! - Upstream hands new streams and messages to one task in random order, so an answer may come to
//!   a stream that the task has not heard of, and is dropped. Here a call is entered in a table
//!   before the message goes out that asks for answers. (`inbox.rs`, `table.rs`)
//! - Upstream's task waits for each reader. Here each call has a queue of its own, with a bound in bytes, so a slow
//!   reader is in no one's way. (`call.rs`)
//! - Upstream makes an inbox for each client, and a host makes a client for each call. Here a connection has one inbox.
//!   It exists from the first remote use until the last client, served function and stream that used it is dropped.
//! - A call whose connection is lost ends with an error. (`watch.rs`)
//! - A call that was refused is refused at all of its streams, not at its parameters only.
//! - A parameter stream that is dropped before the callee has answered is ended when it does. Upstream's callee waits
//!   for ever, and dropping one at a path breaks the root.
//! - Streams at paths that were announced with a wildcard, such as the elements of a list, are delivered.
//! - A stream that has ended stays at its end, and a write of no bytes does not end it.

use std::sync::Arc;

mod call;
mod connected;
mod failure;
mod inbox;
mod params;
mod queue;
mod reader;
pub(crate) mod subject;
mod table;
mod watch;
mod writer;

pub use failure::{CallFailed, Failure};
pub use params::ParamWriter;
pub use reader::Reader;
pub use writer::SubjectWriter;

pub(crate) use call::{Call, Paths};
pub(crate) use connected::{publish, server};
pub(crate) use failure::Target;
pub(crate) use inbox::Inbox;

/// How many calls over `nats` have an open stream in this process, at either end. A call that has not been answered
/// counts too.
///
/// Zero when nothing went over the connection, or all of it has ended.
#[must_use]
pub fn open_calls(nats: &Arc<async_nats::Client>) -> usize {
    inbox::find(nats).map_or(0, |inbox| inbox.open_calls())
}

/// As [`open_calls`], over all connections of this process.
pub(crate) fn open_calls_of_process() -> usize {
    inbox::open_calls_of_process()
}
