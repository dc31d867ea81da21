//! What the bounds hold in memory, over this backend. The only test of its program.
#![allow(missing_docs)]

use inhost_backend_mpsc::MpscBackend;

inhost_conformance::memory_test!(MpscBackend::new);
