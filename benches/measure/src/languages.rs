//! `cargo xtask languages`: how long a ping takes between components in Rust, JavaScript and Python.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use clap::Args;
use inhost_testbed::{
    block_on, reference, start_nats, until_asked_to_end, Deployment, Guest, Host, HostBuilder,
    Interrupted, Link, Workload, CALLEE, CALLER,
};
use xtask::languages::{Built, Language};

use crate::host::HostArguments;
use crate::report::layout::{self, Header};
use crate::report::units::duration;

/// The interface of the examples by which they make calls.
const TOUR: &str = "inhost:languages/tour@0.1.0";

const JAVASCRIPT: &str = "javascript";
const PYTHON: &str = "python";

/// Who calls whom. Each component passes a ping on to the next one.
const CHAINS: [&[&str]; 5] = [
    &[CALLER, CALLEE],
    &[JAVASCRIPT, CALLEE],
    &[PYTHON, CALLEE],
    &[JAVASCRIPT, PYTHON, CALLEE],
    &[PYTHON, JAVASCRIPT, CALLEE],
];

/// What is beside each other in the table, and the arguments of the host.
const WAYS: [(&str, &[&str]); 3] = [
    ("over NATS", &["--local-dispatch", "off"]),
    ("in memory", &[]),
    (
        "in memory, with reuse",
        &["--reuse-instances=callee=1000,javascript=1000,python=1000"],
    ),
];

/// How often the calls of a chain are made. The time in the middle is shown.
const RUNS: usize = 3;

/// How long a host may take to compile a component, and a chain to make its calls.
const DEADLINE: Duration = Duration::from_secs(300);

/// The arguments of `cargo xtask languages`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Calls of a run, one after the other; there are three runs of each
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    calls: u32,
}

/// Builds the components and the host, measures, and prints a table.
///
/// # Errors
///
/// When this machine lacks what it takes to build the components, and when a call fails.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let [javascript, python] = [Language::JavaScript, Language::Python].map(built);
    let components = [
        (CALLER, Guest::Caller.path()),
        (CALLEE, Guest::Callee.path()),
        (JAVASCRIPT, javascript?),
        (PYTHON, python?),
    ];
    let host = arguments.host.binary()?;
    let columns = until_asked_to_end(measure(&host, &components, arguments.calls));
    let columns = block_on(columns)?.ok_or(Interrupted)?;
    println!("\n{}", table(&columns));
    Ok(())
}

fn built(language: Language) -> anyhow::Result<PathBuf> {
    match language.build()? {
        Built::Component(path) => Ok(path),
        Built::Missing(why) => bail!("{why}"),
    }
}

/// The time of a ping along each chain, in microseconds, for each way.
async fn measure(
    host: &Path,
    components: &[(&str, PathBuf)],
    calls: u32,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut columns = Vec::new();
    for (way, arguments) in WAYS {
        eprintln!("Starting a host for calls {way}, which compiles the components");
        let host = Host::builder(host).args(arguments.iter().copied());
        let deployment = start(host, components).await?;
        let mut column = Vec::new();
        for chain in CHAINS {
            eprintln!("{}, {way}", chain.join(" calls "));
            let measured = ping(&deployment, chain, calls).await;
            column.push(measured.with_context(|| format!("{chain:?} failed {way}"))?);
        }
        deployment.stop().await?;
        columns.push(column);
    }
    Ok(columns)
}

async fn start(host: HostBuilder, components: &[(&str, PathBuf)]) -> anyhow::Result<Deployment> {
    let deployment = Deployment::start_on(start_nats().await?.into(), host).await?;
    let control = deployment.control().clone().with_deadline(DEADLINE);
    let host = deployment.host().id();
    for (id, path) in components {
        control.scale(host, &reference(path)?, id, 100).await?;
    }
    Ok(deployment)
}

/// The time of a ping along `chain`, in microseconds.
async fn ping(deployment: &Deployment, chain: &[&str], calls: u32) -> anyhow::Result<f64> {
    let control = deployment.control();
    for old in control.links().await? {
        control.link_del(&old).await?;
    }
    for pair in chain.windows(2) {
        let link = Link::new(pair[0], pair[1], "inhost:demo", "echo");
        control.link_put(&link).await?;
    }
    let mut times = Vec::new();
    // The first one is for what is made once.
    for run in 0..=RUNS {
        let of_a_call = run_of(deployment, chain[0], calls).await?.as_secs_f64() / f64::from(calls);
        if run > 0 {
            times.push(of_a_call * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// How long it takes the component `caller` to make `calls` calls.
async fn run_of(deployment: &Deployment, caller: &str, calls: u32) -> anyhow::Result<Duration> {
    if caller == CALLER {
        let driver = deployment.driver().await?.with_deadline(DEADLINE);
        let times = driver.run(Workload::Ping, 0, calls).await?;
        return Ok(Duration::from_nanos(times.iter().sum()));
    }
    let peer = deployment.peer(caller).await?.with_deadline(DEADLINE);
    let start = Instant::now();
    let (last,): (u32,) = peer.call(TOUR, "pings", (calls,)).await?;
    let took = start.elapsed();
    anyhow::ensure!(last == calls, "{calls} calls were answered with {last}");
    Ok(took)
}

fn table(columns: &[Vec<f64>]) -> String {
    let titles = std::iter::once("a ping").chain(WAYS.map(|(way, _)| way));
    let header = Header {
        titles: titles.collect(),
        left: &["a ping"],
    };
    let lines = CHAINS.iter().enumerate().map(|(number, chain)| {
        let times = columns.iter().map(|column| duration(column[number]));
        let chain = std::iter::once(chain.join(" calls "));
        chain.chain(times).collect()
    });
    layout::table(&header, &lines.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chain_has_a_line_with_a_time_for_each_way() {
        let shown = table(&[vec![251.0; 5], vec![14.0; 5], vec![7.6; 5]]);
        assert_eq!(shown.lines().count(), 1 + CHAINS.len());
        let line = shown.lines().last().expect("a line");
        assert!(line.starts_with("python calls javascript calls callee"));
        for time in ["251 µs", "14.0 µs", "7.6 µs"] {
            assert!(line.contains(time), "{line}");
        }
    }
}
