//! The binary: the host library as published, started with the flags and environment variables of the v1.5.1 host, and
//! with calls between components on this host made in memory.

use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tracing::info;
use wrpc_runtime_wasmtime::reuse_instances;

use crate::args::Args;
use crate::commands::{self, Command};
use crate::embed::Host;
use crate::observe::Watch;
use crate::{certificates, host_config, local_dispatch, observability, status, stop, threads};

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
    let args = Args::parse();
    if args.help_markdown {
        clap_markdown::print_help_markdown::<Args>();
        return Ok(ExitCode::SUCCESS);
    }
    let linger = Duration::from_micros(args.local.linger_us);
    let runtime = threads::runtime_builder(linger)
        .build()
        .context("cannot start the threads of the host")?;
    match args.command {
        Some(Command::Local(local)) => Ok(runtime.block_on(commands::local::run(local))),
        Some(Command::Completions(completions)) => Ok(commands::completions::run(&completions)),
        None => runtime.block_on(serve(args)).map(|()| ExitCode::SUCCESS),
    }
}

/// Is a host, until it is told to stop.
async fn serve(args: Args) -> anyhow::Result<()> {
    certificates::require_any(&args.host.tls_ca_paths)?;
    // What is logged last reaches its file or terminal when this is dropped.
    let _flush = observability::start(&args)?;

    let mut config = host_config::from_args(&args, std::env::vars_os()).await?;
    // Before the host makes its first client.
    local_dispatch::install(args.local.config()).context("cannot set up in-host invocation")?;
    reuse(&args.local.reuse)?;
    let watch = Watch::start(&args, &mut config);
    let _listing = match args.local.status {
        Some(address) => {
            let listing = watch.listing();
            Some(status::Listing::start(address, move || listing.json()).await?)
        }
        None => None,
    };

    // Boxed because this future is large. Until it is done, a signal ends the process at once.
    let host = Box::pin(Host::builder().config(config).start()).await?;
    let deadline = stop::requested(&host).await?;
    stop::shut_down(host.shut_down(), deadline).await
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
