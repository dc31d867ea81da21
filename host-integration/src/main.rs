//! The wasmCloud v1.5 host with in-host invocation: the host library as published, started with the flags and
//! environment variables of the v1.5.1 host, and with calls between components on this host made in memory.

mod args;
mod certificates;
mod commands;
mod host_config;
mod labels;
mod local_dispatch;
mod nats_credentials;
mod observability;
mod observe;
mod status;
mod stop;
mod subject;
mod updates;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use wasmcloud_host::WasmbusHost;

use crate::args::Args;
use crate::commands::Command;

/// What a call allocates on one thread is often freed on another. The allocator of the C library takes locks for that, and
/// calls on several cores wait for each other there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if args.help_markdown {
        clap_markdown::print_help_markdown::<Args>();
        return Ok(ExitCode::SUCCESS);
    }
    match args.command {
        Some(Command::Local(local)) => Ok(commands::local::run(local).await),
        None => serve(args).await.map(|()| ExitCode::SUCCESS),
    }
}

/// Is a host, until it is told to stop.
async fn serve(args: Args) -> anyhow::Result<()> {
    certificates::require_any(&args.host.tls_ca_paths)?;
    // What is logged last reaches its file or terminal when this is dropped.
    let _flush = observability::start(&args)?;

    let mut config = host_config::from_args(&args, std::env::vars_os()).await?;
    // Before the host makes its first client.
    local_dispatch::install(&args.local)?;
    let watch = observe::Watch::start(&args, &mut config);
    let _listing = match args.local.status {
        Some(address) => {
            let listing = watch.listing();
            Some(status::Listing::start(address, move || listing.json()).await?)
        }
        None => None,
    };

    let servers = host_config::nats_servers(&config);
    let _updates = local_dispatch::watch_updates(&args.local, &mut config).await;
    // Boxed because this future is large. Until it is done, a signal ends the process at once.
    let (host, shutdown) = Box::pin(WasmbusHost::new(config))
        .await
        .with_context(|| format!("the host did not start with the NATS server {servers}"))?;
    let deadline = stop::requested(&host).await?;
    // The host's own tasks end with the last handle to it.
    drop(host);
    stop::shut_down(shutdown, deadline).await
}
