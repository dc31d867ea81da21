//! What the bounds hold in memory, over this backend. The only test of its program.
#![allow(missing_docs)]

use inhost_backend_duplex::DuplexBackend;

inhost_conformance::memory_test!(DuplexBackend::new);
