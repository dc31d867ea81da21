//! What the binary does besides being a host.

pub(crate) mod completions;
pub(crate) mod config;
mod http;
pub(crate) mod local;
pub(crate) mod mode;
pub(crate) mod status;
mod table;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Command {
    Local(local::Local),
    Status(status::Status),
    Mode(mode::Change),
    Config(config::Config),
    Completions(completions::Completions),
}
