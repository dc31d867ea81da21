//! How this workspace builds its programs, and starts them: what `cargo xtask` shares with the programs in
//! `host-integration/trials` and `benches/measure`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "command-line programs speak to their user"
)]

pub mod bar;
pub mod command;
pub mod components;
pub mod help;
pub mod host;
pub mod languages;
pub mod stock;
mod without;
pub mod workspace;
