//! The conformance suite, over this backend.
#![allow(missing_docs)]

use inhost_backend_mpsc::MpscBackend;

inhost_conformance::suite!(MpscBackend::new);
