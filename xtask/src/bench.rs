//! `cargo xtask bench`: the benchmarks of the parts, then the demo's table with more samples, with a stock host, and
//! with a look at memory.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::command::{cargo, run as run_command};
use crate::demo::compare_routes;
use crate::host::HostArguments;
use crate::measure::{benchmark_cases, DEFAULT_CALLS};
use crate::stage::Binaries;
use crate::stock;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Start this stock host instead of building one
    #[arg(long, value_name = "FILE")]
    stock: Option<PathBuf>,

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
    let binaries = || {
        Ok(Binaries {
            host: arguments.host.binary()?,
            stock: Some(arguments.stock()?),
        })
    };
    compare_routes(
        binaries,
        &benchmark_cases(times * DEFAULT_CALLS),
        arguments.json.as_deref(),
    )
}

impl Arguments {
    /// Where the stock host is. Builds it unless one is given.
    fn stock(&self) -> anyhow::Result<PathBuf> {
        match &self.stock {
            // Relative to where the user is, not to where it is started.
            Some(binary) => std::path::absolute(binary)
                .with_context(|| format!("{} is not the path of a host", binary.display())),
            None => stock::host(stock::Profile::Release),
        }
    }
}
