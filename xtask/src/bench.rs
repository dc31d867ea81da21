//! `cargo xtask bench`: the benchmarks of the parts, then the demo's table with more samples.

use std::path::PathBuf;

use clap::Args;

use crate::command::{cargo, run as run_command};
use crate::demo::compare_routes;
use crate::host::HostArguments;
use crate::measure::{cases, DEFAULT_CALLS};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Fewer samples: some minutes instead of many
    #[arg(long)]
    quick: bool,

    /// Write the figures of the hosts to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // `--benches` would include the unit tests of a library, whose harness knows none of criterion's options.
    let mut command = cargo(&["bench", "--package", "inhost-benches", "--bench", "*"]);
    if arguments.quick {
        let quick = ["--", "--warm-up-time", "0.5", "--measurement-time", "1"];
        command.args(quick);
    }
    run_command(&mut command, "The messages above say why.")?;
    let times = if arguments.quick { 1 } else { 5 };
    compare_routes(
        &arguments.host,
        &cases(times * DEFAULT_CALLS),
        arguments.json.as_deref(),
    )
}
