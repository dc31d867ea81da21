//! The binary: the host library as published, started with the flags and environment variables of the v1.5.1 host, and
//! with calls between components on this host made in memory.

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tracing::info;
use wasmcloud_host::WasmbusHostConfig;
use wrpc_runtime_wasmtime::reuse_instances;
use wrpc_transport_nats::local;

use crate::args::Args;
use crate::commands::{self, Command};
use crate::embed::Host;
use crate::observe::Watch;
use crate::steer::{Steering, Subject};
use crate::{
    certificates, host_config, local_dispatch, named, observability, status, stop, threads,
};

/// How long tasks may take to let go of their threads when the process ends.
const TASKS_TIMEOUT: Duration = Duration::from_secs(1);

const NO_LOCAL: &str = "cannot set up in-host invocation";

/// Does what the command line of this process says: is a host until it is told to stop, or runs a command.
///
/// A command line that is not valid ends the process.
///
/// # Errors
///
/// When the host does not start, or does not stop cleanly.
///
/// # Panics
///
/// Within a tokio runtime: it starts one of its own.
pub fn run() -> anyhow::Result<ExitCode> {
    let args = Args::of_process();
    if args.help_markdown {
        clap_markdown::print_help_markdown::<Args>();
        return Ok(ExitCode::SUCCESS);
    }
    let linger = Duration::from_micros(args.local.linger_us);
    let runtime = threads::runtime_builder(linger)
        .build()
        .context("cannot start the threads of the host")?;
    let outcome = match args.command {
        Some(Command::Local(local)) => Ok(runtime.block_on(commands::local::run(local))),
        Some(Command::Mode(change)) => Ok(runtime.block_on(commands::mode::run(change))),
        Some(Command::Status(status)) => Ok(runtime.block_on(commands::status::run(status))),
        Some(Command::Config(config)) => Ok(runtime.block_on(commands::config::run(config))),
        Some(Command::Completions(completions)) => Ok(commands::completions::run(&completions)),
        None => serve(&runtime, args).map(|()| ExitCode::SUCCESS),
    };
    // Not dropped: that would wait for each guest that is computing, up to the execution time that it may take.
    runtime.shutdown_timeout(TASKS_TIMEOUT);
    outcome
}

/// Is a host on the threads of `runtime`, until it is told to stop.
fn serve(runtime: &Runtime, args: Args) -> anyhow::Result<()> {
    // Guests may keep all threads of `runtime` busy. On this one, the host hears that it is to
    // stop, and how long it has.
    let own = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up the thread that waits for the end")?;
    // What runs beside the host ends after it, within its runtime.
    let _context = runtime.enter();
    let drain = Duration::from_secs(args.local.drain_seconds);
    let (host, _beside) = runtime.block_on(start(args))?;
    own.block_on(async {
        let mut signals = stop::Signals::listen()?;
        let deadline = stop::requested(&host, &mut signals).await?;
        let end = async {
            let within = stop::time_for_calls(drain, deadline);
            let drained = local::installed().drain(within).await;
            stop::log_drained(&drained);
            stop::shut_down(host.shut_down(), deadline).await
        };
        stop::unless_told_again(&mut signals, end).await
    })
}

/// What runs beside a host for as long as this lives.
struct Beside {
    _listing: Option<status::Listing>,
    _subject: Option<Subject>,
    _watch: Watch,
    /// Warns of IDs that flags name and no component has.
    _named: JoinSet<()>,
    /// Dropped last: what is logged last reaches its file or terminal then.
    _flush: Option<observability::Flush>,
}

async fn start(args: Args) -> anyhow::Result<(Host, Beside)> {
    certificates::require_any(&args.host.tls_ca_paths)?;
    let flush = observability::start(&args)?;

    let (mut config, local) = settings(&args).await?;
    // Before the host makes its first client.
    local_dispatch::install(local).context(NO_LOCAL)?;
    reuse(&args.local.reuse)?;
    let names = args.local.named();
    let watch = Watch::start(&args, &mut config);
    let steering = args.status.steer.then(|| Steering::new(local::installed()));
    let subject = match &steering {
        Some(steering) => Some(Subject::start(Arc::clone(steering), &mut config).await?),
        None => None,
    };
    let listing = match args.local.status {
        Some(address) => {
            let listing = watch.listing(steering.clone());
            let hosts = &args.status.hosts;
            Some(status::Listing::start(address, hosts, steering, move || listing.json()).await?)
        }
        None => None,
    };

    // Boxed because this future is large. Until it is done, a signal ends the process at once.
    let host = Box::pin(Host::builder().config(config).start()).await?;
    let beside = Beside {
        _listing: listing,
        _subject: subject,
        _watch: watch,
        _named: named::watch(names, local::installed()),
        _flush: flush,
    };
    Ok((host, beside))
}

/// What a host is started with.
async fn settings(args: &Args) -> anyhow::Result<(WasmbusHostConfig, local::Config)> {
    let config = host_config::from_args(args, std::env::vars_os()).await?;
    let local = local::Config {
        receive_within: Some(args.limits.max_execution_time),
        steerable: args.status.steer,
        receive_bytes: Some(host_config::largest_params(args.limits.max_linear_memory)),
        ..args.local.config()
    };
    Ok((config, local))
}

/// Checks what a host checks before it connects to anything or listens anywhere. Returns what it is started with.
///
/// # Errors
///
/// Those with which a host ends at once.
pub(crate) async fn check(args: &Args) -> anyhow::Result<WasmbusHostConfig> {
    certificates::require_any(&args.host.tls_ca_paths)?;
    let (config, local) = settings(args).await?;
    local::Local::new(local).context(NO_LOCAL)?;
    Ok(config)
}

/// Lets the instances of components serve as many invocations as was asked for.
fn reuse(components: &[(String, NonZeroU32)]) -> anyhow::Result<()> {
    for (id, calls) in components {
        info!(
            id,
            calls, "an instance of the component serves up to so many invocations"
        );
    }
    reuse_instances(components.iter().cloned()).context("cannot set up the reuse of instances")
}
