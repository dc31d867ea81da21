//! What the binary does besides being a host.

pub(crate) mod completions;
pub(crate) mod config;
mod http;
pub(crate) mod local;
pub(crate) mod mode;
mod printable;
pub(crate) mod status;
mod table;

use std::io::{self, Write as _};

use clap::Subcommand;

use printable::printable;

#[derive(Subcommand)]
pub(crate) enum Command {
    Local(local::Local),
    Status(status::Status),
    Mode(mode::Change),
    Config(config::Config),
    Completions(completions::Completions),
}

/// Says on standard error why a command has failed. What others have answered may be in it.
fn say(error: &anyhow::Error) {
    let error = printable(&format!("{error:#}"));
    // There is no one to tell if that fails.
    let _ = writeln!(io::stderr(), "Error: {error}");
}
