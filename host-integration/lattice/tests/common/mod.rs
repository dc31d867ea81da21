//! Lattices of the demo's components.
#![allow(dead_code)] // Each test file uses some of it.

use std::path::PathBuf;

use inhost_lattice::{BackendKind, Builder, Link, LocalLattice, Wasm};

/// Those that each test runs over.
pub(crate) const BACKENDS: [BackendKind; 2] = [BackendKind::Duplex, BackendKind::Mpsc];

pub(crate) const ECHO: &str = "inhost:demo/echo";

/// A committed component.
pub(crate) fn guest(name: &str) -> Wasm {
    let guests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../guests");
    Wasm::file(guests.join(name).join(format!("{name}.wasm")))
}

/// A component in the text format.
pub(crate) fn text(component: &str) -> Wasm {
    Wasm::bytes(wat::parse_str(component).expect("valid text"))
}

/// The caller, linked to the callee.
pub(crate) fn pair() -> Builder {
    LocalLattice::builder()
        .component("caller", guest("caller"))
        .component("callee", guest("callee"))
        .link(Link::new("caller", "callee", ECHO))
}

/// An error with all its causes, as a person gets to see it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!("\ncaused by: {error}"));
        next = error.source();
    }
    text
}
