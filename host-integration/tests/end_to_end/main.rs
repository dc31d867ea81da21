//! The real thing: a real nats-server, the real host, components deployed over the control interface and called.
//!
//! What can be compared is compared: the same calls are made over NATS and over each backend. It needs both backends,
//! so it is empty in a build without one of them.
#![cfg(all(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

mod bad_input;
mod busy;
mod callers_that_leave;
mod cancellation;
mod drain;
mod errors;
mod events;
mod failures;
mod generations;
mod headers;
mod http;
mod http_between;
mod instances;
mod languages;
mod lifecycle;
mod lifecycle_under_load;
mod links;
mod log;
mod look_inside;
mod metrics;
mod mismatch;
mod mixed_lattice;
mod modes;
mod nats_faults;
mod never_completed;
mod one_way;
mod one_way_streams;
mod operate;
mod payloads;
mod policy;
mod promises;
mod reuse;
mod room;
mod several_hosts;
mod streams;
mod support;
mod tap;
mod telemetry;
mod two_hosts;
mod types_that_agree;
mod update;
mod updates_under_load;
mod values;
mod waiting;
mod waiting_through_changes;
