//! `cargo xtask bench`: calls between components, on every route that a user could take instead, in one run.
//!
//! `case` says what is measured, `participant` starts what takes part, `composed` what is
//! composed of it, `callers` make calls, `measure` takes turns, and `samples` makes rows of it.
//! `parked` and `scale` look at memory and at large numbers. `results` holds it all; `targets`, `growth`
//! and `shares` say what follows, `tables`, `charts` and `output` show it.

pub(crate) mod callers;
pub(crate) mod case;
mod charts;
mod composed;
mod growth;
mod machine;
mod measure;
mod output;
mod parked;
mod participant;
mod results;
mod run;
pub(crate) mod samples;
mod scale;
mod shares;
mod tables;
mod targets;
mod worker;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::Args;
use inhost_testbed::{block_on, target_dir, until_asked_to_end, Binaries, Interrupted, Route};

use crate::host::HostArguments;
use crate::report;
use xtask::command::cargo;
use xtask::host::{build, Profile};
use xtask::stock;

/// The arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Start this stock host instead of building one
    #[arg(long, value_name = "FILE")]
    stock: Option<PathBuf>,

    /// Run this worker, the program of the floors, instead of building one
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,

    /// How to build what is measured: `dist`, as for production, or `release`, as for who tries a checkout
    #[arg(long, value_name = "PROFILE", default_value = "dist")]
    profile: Profile,

    /// Fewer cases and samples: 3 minutes instead of 20
    #[arg(long)]
    quick: bool,

    /// Measure only these workloads, and nothing else; separated by commas
    #[arg(
        long,
        value_name = "WORKLOAD",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(case::Load::NAMES)
    )]
    only: Vec<String>,

    /// Measure only these routes; separated by commas
    #[arg(long, value_name = "ROUTE", value_delimiter = ',')]
    routes: Vec<Route>,

    /// Where report, figures and charts go; target/bench by default
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,

    /// Write the figures to this file too, as JSON; to standard output when it is `-`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Builds what is needed, measures, and shows the figures.
///
/// # Errors
///
/// When a call failed or went another way than it should. That something does not hold is none.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.json {
        report::check_writable(path)?;
    }
    let plan = arguments.plan()?;
    let results = block_on(until_asked_to_end(run::run(&plan)))?;
    let results = results.ok_or(Interrupted)?;
    report::show(
        &format!("{}\n", output::text(&results)),
        arguments.json.as_deref(),
    );
    let folder = arguments.out.clone();
    let folder = folder.unwrap_or_else(|| target_dir().join("bench"));
    let report = output::write(&results, &folder)?;
    eprintln!(
        "The report is {}, with figures and charts beside it.",
        report.display()
    );
    if let Some(path) = &arguments.json {
        report::give_json(path, &output::json(&results))?;
    }
    eprintln!("`cargo bench --package inhost-benches` measures the parts: registry, streams, dispatch, codec and calls.");
    samples::check_routes(&results.rows)
}

impl Arguments {
    fn plan(&self) -> anyhow::Result<run::Plan> {
        let mut routes = Route::ALL.to_vec();
        routes.retain(|route| self.routes.is_empty() || self.routes.contains(route));
        let stock = match routes.contains(&Route::Stock) {
            true => Some(self.stock()?),
            false => None,
        };
        let (host, worker) = self.host_and_worker()?;
        let compose = routes.contains(&Route::Composed);
        let compose = compose.then(xtask::components::program).transpose()?;
        if !reuses_instances(&host) {
            routes.retain(|route| *route != Route::Reuse);
        }
        Ok(run::Plan {
            binaries: Binaries { host, stock },
            worker,
            compose,
            profile: (!self.host.is_given()).then_some(self.profile),
            routes,
            quick: self.quick,
            only: self.only.clone(),
        })
    }

    /// Where the stock host is. Builds it unless one is given.
    fn stock(&self) -> anyhow::Result<PathBuf> {
        match &self.stock {
            // Relative to where the user is, not to where it is started.
            Some(binary) => std::path::absolute(binary)
                .with_context(|| format!("{} is not the path of a host", binary.display())),
            None => stock::host(self.profile),
        }
    }

    /// Where host and worker are. Builds what is not given.
    fn host_and_worker(&self) -> anyhow::Result<(PathBuf, PathBuf)> {
        let host = self.host.binary_of(self.profile)?;
        if let Some(worker) = &self.worker {
            let worker = std::path::absolute(worker)
                .with_context(|| format!("{} is not the path of a worker", worker.display()))?;
            return Ok((host, worker));
        }
        // Together with the host, whose features then hold for what both depend on, so that nothing is built twice.
        let mut command = cargo(&["build", "--package", "wasmcloud", "--package", WORKER]);
        command.args(["--profile", self.profile.name()]);
        Ok((host, build(command, WORKER)?))
    }
}

/// The package and the program of the worker.
const WORKER: &str = "inhost-bench-worker";

/// Whether the host has the option that the route [`Route::Reuse`] needs.
fn reuses_instances(host: &Path) -> bool {
    let help = Command::new(host).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--reuse-instances"))
}
