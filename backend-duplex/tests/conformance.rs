//! The conformance suite, over this backend.
#![allow(missing_docs)]

use inhost_backend_duplex::DuplexBackend;

inhost_conformance::suite!(DuplexBackend::new);
