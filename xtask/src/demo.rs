//! `cargo xtask demo`: what in-host invocation changes, as a table.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::host::HostArguments;
use crate::measure::{cases, check_routes, measure, Row, DEFAULT_CALLS};
use crate::report;
use crate::stage::{block_on, until_asked_to_end, Binaries, Route, Stage};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Calls of the first row, `ping` with one caller; the other rows have a number in proportion
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_CALLS,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    calls: u32,
}

/// Starts the hosts, measures on each route, and shows the figures.
///
/// An error when a call failed or went another way than it should.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let json = arguments.json.as_deref();
    if let Some(path) = json {
        report::check_writable(path)?;
    }
    let binaries = Binaries {
        host: arguments.host.binary()?,
        stock: None,
    };
    let cases = cases(arguments.calls);
    let rows = block_on(until_asked_to_end(async {
        let mut stages = Stage::start_all(&binaries, &Route::DEMO).await?;
        let rows = measure(&mut stages, &cases).await?;
        Stage::stop_all(stages).await?;
        Ok(rows)
    }))?;
    let Some(rows) = rows else {
        bail!("interrupted: the hosts and the nats-server have been stopped");
    };
    show(&rows, json)?;
    check_routes(&rows)
}

fn show(rows: &[Row], json: Option<&Path>) -> anyhow::Result<()> {
    println!("\n{}", report::text(rows));
    if let Some(path) = json {
        report::write_json(path, rows)?;
        eprintln!("The figures are in {}", path.display());
    }
    Ok(())
}
