//! A nats-server of one's own.

mod configured;
mod search;
mod server;

pub use search::{Found, Origin, Search};
pub use server::NatsServer;
