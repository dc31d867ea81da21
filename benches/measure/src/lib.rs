//! The instrument: what calls between components cost, on every route that they can take.
//!
//! Each of [`mod@bench`], [`demo`], [`languages`] and [`two_hosts`] is a command of `cargo xtask`: its arguments, and
//! `run`. They start hosts with the testbed, and measure them from outside. `host-integration/trials` is the command
//! line that calls them. It has more programs that start a host, which take from here what a command takes to do so:
//! [`host`] says which one, [`progress`] how far it is, and [`report`] what came of it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is for a command-line program, which speaks to its user"
)]

pub mod bench;
pub mod demo;
pub mod host;
pub mod languages;
pub mod progress;
pub mod report;
mod stage;
pub mod two_hosts;
