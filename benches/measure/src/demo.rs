//! `cargo xtask demo`: what in-host invocation changes, as a table.

mod case;
mod measure;
mod table;

use std::path::{Path, PathBuf};

use clap::Args;

use inhost_testbed::{block_on, until_asked_to_end, Binaries, Interrupted, Route};

use case::{cases, Case, DEFAULT_CALLS};
use measure::measure;

use crate::bench::samples::{check_routes, Row};
use crate::host::HostArguments;
use crate::progress::Progress;
use crate::report;
use crate::stage::Stage;

/// The arguments of `cargo xtask demo`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Write the figures to this file, as JSON; to standard output when it is `-`
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
/// # Errors
///
/// When a call failed or went another way than it should.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
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
        let mut stages = Stage::start_all(&binaries, &Route::OURS).await?;
        let rows = measure_all(&mut stages, &cases).await?;
        Stage::stop_all(stages).await?;
        Ok(rows)
    }))?;
    let rows = rows.ok_or(Interrupted)?;
    show(&rows, json)?;
    check_routes(&rows)
}

/// Measures all cases, and shows how far it is.
async fn measure_all(stages: &mut [Stage], cases: &[Case]) -> anyhow::Result<Vec<Row>> {
    let planned = |case: &Case| Route::OURS.iter().map(|&route| case.planned(route)).sum();
    let mut progress = Progress::start(cases.iter().map(planned).sum());
    let mut rows = Vec::new();
    for case in cases {
        let routes = stages.iter().map(|stage| stage.route);
        progress.step(&case.describe(routes), planned(case));
        rows.extend(measure(stages, case, &progress).await?);
    }
    progress.finish();
    Ok(rows)
}

fn show(rows: &[Row], json: Option<&Path>) -> anyhow::Result<()> {
    report::show(&format!("\n{}", table::text(rows)), json);
    if let Some(path) = json {
        table::give_rows(path, rows)?;
    }
    Ok(())
}
