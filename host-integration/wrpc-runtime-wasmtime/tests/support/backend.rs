//! A backend for tests.

use inhost_dispatch::Backend;
use tokio::io::DuplexStream;

/// Streams that hold a KiB.
#[derive(Clone)]
pub(crate) struct Duplex;

impl Backend for Duplex {
    type Writer = DuplexStream;
    type Reader = DuplexStream;

    fn stream(&self) -> (DuplexStream, DuplexStream) {
        tokio::io::duplex(1024)
    }
}
