//! The real thing: a real nats-server, the real host, components deployed over the control interface and called.
//!
//! What can be compared is compared: the same calls are made over NATS and over each backend. It needs both backends,
//! so it is empty in a build without one of them.
#![cfg(all(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

mod cancellation;
mod failures;
mod http;
mod lifecycle;
mod links;
mod mixed_lattice;
mod one_way;
mod payloads;
mod routes;
mod two_hosts;
mod values;
