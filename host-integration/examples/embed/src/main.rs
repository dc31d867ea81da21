//! A host program that is not this project's, with in-host invocation.
//!
//! It starts the published host library. Cargo puts this project's drop-ins in the place of two
//! crates under it, and that is what makes calls between components of the host stay in memory.

use anyhow::Context as _;
use wasmcloud_host::{WasmbusHost, WasmbusHostConfig};
use wrpc_transport_nats::local::{self, BackendKind, Config, Mode};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Optional: without it, calls stay in memory where they can. Once in a process, before the first host.
    local::install(Config {
        mode: Mode::Prefer,
        backend: BackendKind::compiled_in().first().copied(),
        ..Config::default()
    })?;

    let (host, shutdown) = Box::pin(WasmbusHost::new(WasmbusHostConfig::default()))
        .await
        .context("the host did not start")?;
    tokio::signal::ctrl_c().await?;

    let status = local::status();
    println!(
        "{} functions were served, {} calls were made in memory and {} over NATS",
        status.endpoints.len(),
        status.calls.local,
        status.calls.remote
    );
    drop(host);
    shutdown.await
}
