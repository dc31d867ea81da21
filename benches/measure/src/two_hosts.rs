//! `cargo xtask two-hosts`: whether work for a busy component is shared with another host that has
//! it, as it is over NATS.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;
use futures::future::try_join_all;
use inhost_testbed::{
    block_on, start_nats, until, until_asked_to_end, Deployment, Driver, Guest, Host, Interrupted,
    CALLEE,
};

use crate::host::HostArguments;
use crate::report::layout::{self, Header};
use crate::report::units::duration;

/// How long the callee takes for a call. It has one instance on each host.
const EACH: Duration = Duration::from_millis(20);

/// How often the calls are made at once. The time in the middle is shown.
const ROUNDS: usize = 15;

/// How many rounds are made again, because a call to the caller was lost on its way over NATS.
const LOST: usize = 5;

/// How much longer it may take than over NATS.
const WITHIN: f64 = 1.1;

/// How long a host may take to hear of the other one, and a round may.
const DEADLINE: Duration = Duration::from_secs(60);

/// A mode of calls, and what it is called.
const MODES: [(&str, &str); 2] = [("off", "over NATS"), ("prefer", "in memory")];

/// The arguments of `cargo xtask two-hosts`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Calls that are made at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(2..=128)
    )]
    calls: u32,
}

/// Builds the host, measures, and prints a table.
///
/// # Errors
///
/// When it takes longer in memory than over NATS, by more than a tenth.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let host = arguments.host.binary()?;
    let times = block_on(until_asked_to_end(async {
        let mut times = Vec::new();
        for (mode, _) in MODES {
            times.push(measure(&host, mode, arguments.calls).await?);
        }
        Ok(times)
    }))?;
    let times = times.ok_or(Interrupted)?;
    println!("\n{}", table(&times, arguments.calls));
    check(&times)
}

/// The time that it takes until all calls of a round are answered, in microseconds.
async fn measure(host: &Path, mode: &str, calls: u32) -> anyhow::Result<f64> {
    eprintln!("Starting two hosts with `--local-dispatch {mode}`");
    let host = || Host::builder(host).args(["--local-dispatch", mode]);
    let mut deployment = Deployment::start_on(start_nats().await?.into(), host()).await?;
    deployment.deploy_pair_of(1, 2 * calls).await?;
    let other = deployment.add_host(host()).await?;
    let (other, callee) = (&deployment.hosts()[other], Guest::Callee.reference()?);
    deployment.deploy_on(other, &callee, CALLEE, 1).await?;
    let driver = deployment.driver().await?.with_deadline(DEADLINE);
    if mode != "off" {
        // The host has to hear of the other one before it shares work with it.
        until("the other host has calls", DEADLINE, async || {
            round(&driver, calls).await?;
            let status = deployment.host().status().await?;
            Ok(status["calls"]["spilled"].as_u64() > Some(0))
        })
        .await?;
    }
    let (mut times, mut lost) = (Vec::new(), 0);
    while times.len() < ROUNDS {
        match round(&driver, calls).await {
            Ok(time) => times.push(time.as_secs_f64() * 1e6),
            Err(_) if lost < LOST => lost += 1,
            Err(error) => return Err(error.context("calls fail time and again")),
        }
    }
    deployment.stop().await?;
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

/// Makes that many calls at once, and waits for all answers.
async fn round(driver: &Driver, calls: u32) -> anyhow::Result<Duration> {
    let ms = u32::try_from(EACH.as_millis())?;
    let start = Instant::now();
    let answers = try_join_all((0..calls).map(|_| driver.call_wait(ms))).await?;
    ensure!(answers.iter().all(|answer| *answer == ms), "{answers:?}");
    Ok(start.elapsed())
}

fn table(times: &[f64], calls: u32) -> String {
    let title = format!(
        "{calls} calls of {} each, two hosts",
        duration(EACH.as_secs_f64() * 1e6)
    );
    let header = Header {
        titles: vec!["calls go", "all are answered after"],
        left: &["calls go"],
    };
    let lines = MODES.iter().zip(times);
    let lines = lines.map(|((_, way), time)| vec![(*way).to_owned(), duration(*time)]);
    format!(
        "{title}\n\n{}",
        layout::table(&header, &lines.collect::<Vec<_>>())
    )
}

/// # Errors
///
/// When it took too long in memory.
fn check(times: &[f64]) -> anyhow::Result<()> {
    let [off, prefer] = times else {
        bail!("it was not measured in two modes");
    };
    let ratio = prefer / off;
    ensure!(
        ratio <= WITHIN,
        "in memory it took {ratio:.2} times as long as over NATS, and {WITHIN} is the most that it may"
    );
    println!("In memory it took {ratio:.2} times as long as over NATS. {WITHIN} is the most that it may.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_more_is_fine_and_more_is_not() {
        assert!(check(&[100.0, 109.0]).is_ok() && check(&[100.0, 50.0]).is_ok());
        let error = check(&[100.0, 120.0]).unwrap_err().to_string();
        assert!(error.contains("1.20 times"), "{error}");
    }

    #[test]
    fn each_way_has_a_line() {
        let shown = table(&[700e3, 650e3], 32);
        assert!(shown.starts_with("32 calls of 20.0 ms each"), "{shown}");
        assert!(
            shown.contains("over NATS") && shown.contains("650 ms"),
            "{shown}"
        );
    }
}
