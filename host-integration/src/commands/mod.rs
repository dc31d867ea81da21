//! What the binary does besides being a host.

pub(crate) mod completions;
pub(crate) mod local;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Command {
    Local(local::Local),
    Completions(completions::Completions),
}
