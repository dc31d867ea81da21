//! What resources are on the wire, and wasmtime's [`Val`](wasmtime::component::Val) in the wRPC encoding.
//!
//! | what | where |
//! |---|---|
//! | what the resources of a function are | `kinds`, and `imports` of this crate |
//! | handles of resources, in both directions | `handles` |
//! | input streams, in both directions | `streams` |
//! | what is written after the bytes of a message: streams, each at its own path | `deferred` |
//! | streams of parameters that still flow when their call has returned | `sending` |
//! | a `Val` to bytes, and back | `encode`, `decode` |
//! | its `flags`, in both directions | `flags` |
//!
//! No call makes a `Val`. How the values of a guest move is in [`values`](crate::values).
//!
//! # Streams
//!
//! An owned `input-stream` passes in parameters and results, and in the lists, records, tuples, options, results and
//! variants in them. Other resources of the host do not: output streams, pollables, errors, a borrowed input stream. A
//! call that passes one fails and names it. An import whose every call would is refused when it is linked.
//!
//! In a local call, all streams of both directions flow at the same time, and end as follows.
//!
//! | what happens | what follows |
//! |---|---|
//! | a stream closes | its reader gets the content, then closed |
//! | a stream fails | its reader gets the content, then `last-operation-failed`. The call that sends it fails, if it has not returned |
//! | a reader drops its stream | the one that is sent is dropped: with its next content, or with the call |
//! | the caller drops all that it has of a call | the callee's call ends. It has succeeded if its results were sent |
//! | the callee ends, or fails | parameters are dropped. Results that were not sent to their end fail for their reader |
//!
//! A stream of the results may be all that there is of them. As it takes no bytes, such a call
//! returns before its callee has. If the callee fails then, the stream does.
//!
//! A stream holds what the transport holds, a chunk of 8 KiB where it is sent, and three of 4 KiB
//! where it is read. Then who produces it waits.
//!
//! # Streams over NATS
//!
//! The bytes are those of the published crate. What it does with a stream over NATS, and this one does differently:
//!
//! | published crate | this one |
//! |---|---|
//! | an import that uses `input-stream` cannot be linked ("mismatched resource types"), and in a served function it is "not supported", because types of a component are compared with those of an instance | the import that defines the resource decides, and the instance's own types |
//! | tells the transport no paths: what arrives at one is dropped, and reading the stream fails with `NotFound` | tells it the paths of streams in results when it calls, and of those in parameters when it serves, up to 256 |
//! | a call with a stream in its parameters hangs: a path opens when the root is used, and the root is used last | uses the root first |
//! | sends the end marker again and again once a stream has closed, and ignores it where it reads | sends it once, and takes it for the end |
//! | the import returns when all of its parameters are sent | returns with its results, if these have streams |
//!
//! So streams pass between two of these over NATS. What remains different from a local call:
//!
//! - The other side does not learn that a reader has dropped its stream, nor that a caller has
//!   gone. It sends to the end.
//! - Nothing makes a producer wait. What a reader does not take waits in memory, within the bounds of the transport.
//! - The published transport does not hand out what arrives at a path in a list, as its index is not known before.
//! - The results of a callee end before the streams in them. In a local call they end after, so
//!   that the callee can tell that its caller goes.

mod decode;
mod deferred;
mod encode;
mod flags;
pub(crate) mod handles;
mod kinds;
mod sending;
pub(crate) mod streams;

#[cfg(test)]
mod tests;

pub use decode::read_value;
pub(crate) use deferred::Streams;
pub use encode::ValEncoder;
pub(crate) use kinds::{CannotPass, Kind, Kinds, UNNAMED};
pub(crate) use sending::Sending;
