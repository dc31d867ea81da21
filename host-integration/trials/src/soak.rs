//! `cargo xtask soak`: many calls of many kinds on one host, while their callee is restarted, updated and scaled, and
//! the question at the end where each of them went and what the host has left of them.
//!
//! The calls are made inside: the callers are asked for batches of them, [`plan`] says which.
//! [`mod@load`] asks, [`disturb`] disturbs, [`mod@slow`] sends parameters slowly from elsewhere,
//! [`ledger`] notes what became of each call, [`deliveries`] compares that with what the callees
//! tell, [`checks`] says what has to hold.

mod cast;
mod checks;
mod deliveries;
mod disturb;
mod ending;
mod ledger;
mod leftovers;
mod load;
mod plan;
mod progress;
mod slow;
mod summary;
mod tight;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use clap::Args;
use inhost_measure::host::HostArguments;
use inhost_measure::report;
use inhost_testbed::{
    block_on, start_nats, target_dir, until_asked_to_end, Backend, Counts, Deployment, Host,
    Interrupted, LocalDispatch,
};
use tempfile::TempDir;

use self::cast::{Cast, CALLED_OFTEN, COMPONENTS};
use self::checks::Check;
use self::disturb::{Disturber, Times};
use self::ending::{at_rest, probe, stop_components};
use self::ledger::Disturbance;
use self::leftovers::Footprint;
use self::load::{load, Run, EXECUTION};
use self::slow::Slow;
use self::summary::Summary;
use self::tight::Scarce;

/// How many more instances of the callee there may be than there are callers: those whose answer no one waits for.
const SPARE_INSTANCES: u32 = 16;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// How many calls to make
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(1..=100_000_000)
    )]
    calls: u64,

    /// How many callers there are at once
    #[arg(
        long,
        value_name = "C",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    concurrency: u32,

    /// What carries calls in memory: duplex or mpsc
    #[arg(long, value_name = "BACKEND", default_value_t = Backend::Duplex)]
    backend: Backend,

    /// Start the host with little room: short queues, few instances of what is called, and a small pool of them
    #[arg(long)]
    tight: bool,

    /// What the kinds, sizes and contents of the calls follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Write the figures to this file, as JSON; to standard output when it is `-`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.json {
        report::check_writable(path)?;
    }
    let binary = arguments.host.binary()?;
    let folder = target_dir().join("soak");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let tight = if arguments.tight { "-tight" } else { "" };
    let log = folder.join(format!("host-{}{tight}.log", arguments.backend));
    let summary = block_on(until_asked_to_end(soak(arguments, &binary, &log)));
    let summary = summary.with_context(|| format!("the host's log is {}", log.display()))?;
    let summary = summary.ok_or(Interrupted)?;
    report::show(&format!("\n{}", summary.text()), arguments.json.as_deref());
    if let Some(path) = &arguments.json {
        summary.give_json(path)?;
    }
    match summary
        .checks
        .iter()
        .filter(|check| !check.passed())
        .count()
    {
        0 => Ok(()),
        failed => bail!(
            "{failed} of {} checks failed. The host's log is {}",
            summary.checks.len(),
            log.display()
        ),
    }
}

/// Starts a host, has all calls made, stops everything and says what came of it.
async fn soak(arguments: &Arguments, binary: &Path, log: &Path) -> anyhow::Result<Summary> {
    let Arguments {
        calls,
        concurrency,
        backend,
        seed,
        tight,
        ..
    } = *arguments;
    let nats = start_nats().await?;
    eprintln!("Starting a host; calls over {backend}, seed {seed}");
    let host = Host::builder(binary)
        .local_dispatch(LocalDispatch::Prefer)
        .backend(backend)
        .log_file(log)
        .args(Deployment::HTTP_SERVER)
        .args([
            "--max-execution-time-ms",
            &EXECUTION.as_millis().to_string(),
        ]);
    let host = match tight {
        false => host,
        true => host.args(tight::arguments(concurrency, &CALLED_OFTEN)),
    };
    let mut deployment = Deployment::start_on(nats.into(), host).await?;
    let instances = concurrency + SPARE_INSTANCES + slow::AT_ONCE;
    let files = tempfile::tempdir().context("cannot create a folder for components")?;
    let called = if tight { tight::CALLED } else { instances };
    let cast = Cast::deploy(&deployment, instances, called, files.path()).await?;

    let run = Arc::new(Run::start(calls, tight));
    let times = Arc::new(Times::new());
    let scene = Scene {
        arguments,
        cast: &cast,
        run: &run,
        times: &times,
        files: &files,
        called,
    };
    let start = Instant::now();
    let before = scene.counts(&deployment).await?;
    let warm = scene.warm_up_and_load(&mut deployment, before).await?;
    let wall = start.elapsed() - warm.paused;

    run.say("looking at what is left");
    let came = run.deliveries().came(&cast.tally, &times).await?;
    // What tells of the last calls is counted when it is over.
    at_rest(&deployment, None).await?;
    let counted = scene.counts(&deployment).await?.since(before);
    let ledger = run.ledger();
    let status = deployment.host().status().await?;
    let scarce = tight.then(|| Scarce::read(&status, log)).transpose()?;
    let mut checks = vec![warm.count];
    let spilled = scarce.map(Scarce::spilled);
    checks.extend(checks::of_calls(&ledger, calls, counted, spilled));
    let lost = scarce.map_or_else(|| leftovers::lost(&status), Scarce::may_be_lost);
    checks.extend(came.checks(lost));
    checks.push(warm.slow.check());
    checks.extend(
        scarce
            .into_iter()
            .flat_map(|it| it.checks(&ledger, calls, concurrency)),
    );
    checks.push(probe(&cast.callers.direct, called).await);
    let end = at_rest(&deployment, warm.footprint).await?;
    checks.extend(checks::of_process(warm.footprint, end));
    let idle = deployment.host().status().await?;
    let idle = leftovers::calls_in_status(&idle);
    checks.push(Check::nothing_left("no call is under way", &idle));
    checks.push(stop_components(&deployment, &COMPONENTS).await?);
    let stopped = Footprint::of(deployment.host());
    deployment.stop().await?;
    Ok(Summary {
        calls,
        concurrency,
        backend,
        seed,
        wall,
        ledger,
        counted,
        disturbances: [
            ("restarts", times.count(Disturbance::Restart)),
            ("updates", times.count(Disturbance::Update)),
            ("scalings", times.count(Disturbance::Scaling)),
        ],
        footprints: [warm.footprint, end, stopped],
        scarce,
        checks,
    })
}

/// What a run is done with.
#[derive(Debug)]
struct Scene<'a> {
    arguments: &'a Arguments,
    cast: &'a Cast,
    run: &'a Arc<Run>,
    times: &'a Arc<Times>,
    files: &'a TempDir,
    /// How many instances there may be of what is called.
    called: u32,
}

/// How many of `calls` calls are made before memory and threads are looked at for the first time: a tenth. In a short
/// run it is more, as the host takes some hundred calls until it has all that it needs.
fn warm_up_calls(calls: u64) -> u64 {
    const ENOUGH: u64 = 1_000;
    (calls / 10).max(ENOUGH.min(calls / 2))
}

/// What was seen after the first calls.
#[derive(Debug)]
struct Warm {
    /// Whether the host has counted the calls, of which all are known, as nothing disturbed them.
    count: Check,
    footprint: Option<Footprint>,
    /// What became of the slow senders, which came after that.
    slow: Slow,
    /// How long no calls were made for it.
    paused: Duration,
}

impl Scene<'_> {
    /// Makes the first calls, looks at the host, and makes the others while the callee is disturbed.
    ///
    /// That the host ends meanwhile is an error.
    async fn warm_up_and_load(
        &self,
        deployment: &mut Deployment,
        before: Counts,
    ) -> anyhow::Result<Warm> {
        let Arguments {
            calls,
            concurrency,
            seed,
            ..
        } = *self.arguments;
        let works = plan::plan(seed, calls, concurrency.into());
        let (first, rest) = plan::split(works, warm_up_calls(calls));

        self.run.say("warming up");
        deployment.while_running(self.load(first)).await?;
        let pause = Instant::now();
        let footprint = at_rest(deployment, None).await?;
        let count = checks::of_count(
            "the host has counted the first calls, which nothing disturbed",
            self.run.ledger().invocations,
            self.counts(deployment).await?.since(before),
        );
        let paused = pause.elapsed();

        self.run.say("");
        let disturber = Disturber {
            control: deployment.control().clone(),
            host_id: deployment.host().id().to_owned(),
            cast: self.cast,
            files: self.files.path(),
            count: self.called,
        };
        let schedule = disturb::schedule(*self.run.ended().borrow(), calls);
        let server = deployment.client().server_info();
        let place = slow::Place {
            address: format!("nats://{}:{}", server.host, server.port),
            lattice: deployment.lattice().to_owned(),
        };
        let load = async {
            tokio::try_join!(
                self.load(rest),
                disturber.disturb(schedule, self.run, self.times),
                slow::send(place, self.run, self.times, calls * 2 / 5),
            )
        };
        let ((), (), slow) = deployment.while_running(load).await?;
        Ok(Warm {
            count,
            footprint,
            slow,
            paused,
        })
    }

    async fn load(&self, works: Vec<plan::Work>) -> anyhow::Result<()> {
        let concurrency = self.arguments.concurrency as usize;
        load(works, concurrency, &self.cast.callers, self.run, self.times).await
    }

    /// What the host has counted, without the calls by which the callees tell of theirs: those go to the test.
    async fn counts(&self, deployment: &Deployment) -> anyhow::Result<Counts> {
        let mut counts = Counts::read(&deployment.host().status().await?)?;
        counts.remote = counts.remote.saturating_sub(self.cast.tally.total());
        Ok(counts)
    }
}
