//! `cargo xtask up`: a host with the demo components, left running.

use std::future::pending;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use inhost_measure::host::HostArguments;
use inhost_testbed::{
    block_on, start_nats, target_dir, until_asked_to_end, Backend, Deployment, Host, LocalDispatch,
    CALLEE, CALLER,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// What carries calls in memory: duplex or mpsc
    #[arg(long, value_name = "BACKEND")]
    backend: Option<Backend>,

    /// Which way calls go: prefer (in memory) or off (over NATS)
    #[arg(long, value_name = "MODE", default_value_t = LocalDispatch::Prefer)]
    local_dispatch: LocalDispatch,

    /// The lattice that the host joins
    #[arg(long, value_name = "NAME", default_value = "default")]
    lattice: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let binary = arguments.host.binary()?;
    let folder = target_dir().join("up");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let log = folder.join("host.log");
    block_on(serve(arguments, &binary, &log))?;
    eprintln!("\nThe host and the nats-server have been stopped.");
    Ok(())
}

/// Starts everything, waits until someone asks for the end, and stops everything.
///
/// That the host ends by itself is an error.
async fn serve(arguments: &Arguments, binary: &Path, log: &Path) -> anyhow::Result<()> {
    let started = until_asked_to_end(start(arguments, binary, log)).await?;
    let Some(mut deployment) = started else {
        return Ok(());
    };
    println!("{}", how_to_reach(&deployment, arguments, log));
    until_asked_to_end::<()>(deployment.while_running(pending())).await?;
    // Who asks once more does not want to wait.
    until_asked_to_end(deployment.stop()).await.map(drop)
}

async fn start(arguments: &Arguments, binary: &Path, log: &Path) -> anyhow::Result<Deployment> {
    let nats = start_nats().await?;
    let mut host = Host::builder(binary)
        .lattice(&arguments.lattice)
        .local_dispatch(arguments.local_dispatch)
        .arg("--local-dispatch-tap")
        .log_file(log);
    if let Some(backend) = arguments.backend {
        host = host.backend(backend);
    }
    let deployment = Deployment::start_on(nats.into(), host).await?;
    deployment.deploy_pair().await?;
    Ok(deployment)
}

fn how_to_reach(deployment: &Deployment, arguments: &Arguments, log: &Path) -> String {
    let host = deployment.host();
    let (status, page) = match host.status_address() {
        Some(address) => (format!("http://{address}/"), format!("http://{address}/ui")),
        None => ("(none)".to_owned(), "(none)".to_owned()),
    };
    let calls = match (arguments.local_dispatch, arguments.backend) {
        (LocalDispatch::Off, _) => "over NATS".to_owned(),
        (LocalDispatch::Prefer, None) => "in memory".to_owned(),
        (LocalDispatch::Prefer, Some(backend)) => format!("in memory, over {backend}"),
    };
    format!(
        "
The host is running, with the components {CALLER} and {CALLEE}, which are linked.

  NATS      {nats}
  lattice   {lattice}
  host      {id}
  calls     {calls}
  status    {status}
  page      {page}
  log       {log}

In another terminal:

  export WASMCLOUD_CTL_PORT={port} WASMCLOUD_LATTICE={lattice}
  wash get inventory {id}
  wash get links
  curl -s {status}
  nats --server {nats} sub wasmbus.local.{lattice}.tap
  tail -f {log}

Ctrl-C stops the host and the nats-server.",
        nats = deployment.nats().url(),
        port = deployment.nats().port(),
        lattice = deployment.lattice(),
        id = host.id(),
        log = log.display(),
    )
}
