//! What many functions and many components cost.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use inhost_testbed::{Binaries, Deployment, Guest, NatsServer, Route, CALLER};
use serde::Serialize;
use serde_json::json;

use super::callers::run_callers;
use super::participant::settled;
use super::samples::percentile;
use super::worker::Worker;

/// How many components are started at the same time.
const AT_ONCE: usize = 4;

/// How many calls a figure stands on.
const CALLS: u32 = 3_000;

/// How many functions are looked up in turn, where it is more than one.
pub(crate) const SPREAD: usize = 64;

/// A lookup in the registry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Lookup {
    /// How many functions are registered.
    pub(crate) functions: usize,
    /// How many different ones are looked up in turn, at most.
    pub(crate) spread: usize,
    /// How many threads look functions up.
    pub(crate) readers: usize,
    /// Whether one more registers and removes one all the time.
    pub(crate) writer: bool,
    /// How long one takes, in nanoseconds.
    pub(crate) ns: f64,
}

/// A host with many components.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Components {
    /// How many callees there are.
    pub(crate) components: u32,
    /// How many functions they serve.
    pub(crate) functions: usize,
    /// The median duration of a ping of one of them, in microseconds.
    pub(crate) p50_us: f64,
    /// The host's memory in RAM, in bytes.
    pub(crate) resident_bytes: Option<u64>,
}

/// Measures lookups by the number of functions, and beside a writer.
///
/// # Errors
///
/// When the worker fails.
pub(crate) async fn lookups(worker: &mut Worker) -> anyhow::Result<Vec<Lookup>> {
    let mut lookups = Vec::new();
    let sizes = [1, 10, 100, 1_000, 10_000];
    let alone = sizes.map(|functions| (functions, 1, 1, false));
    let in_turn = sizes.map(|functions| (functions, SPREAD, 1, false));
    let busy = [1, 10_000].map(|functions| (functions, 1, 8, true));
    for (functions, spread, readers, writer) in alone.into_iter().chain(in_turn).chain(busy) {
        let request = json!({
            "do": "lookup", "functions": functions, "spread": spread, "readers": readers, "writer": writer,
        });
        let answer = worker.ask(&request).await?;
        lookups.push(Lookup {
            functions,
            spread,
            readers,
            writer,
            ns: answer["ns"].as_f64().unwrap_or(f64::NAN),
        });
    }
    Ok(lookups)
}

/// Measures a ping on a host with 1, 10, 100 and so on up to `most` callees, in memory.
///
/// # Errors
///
/// When the host fails.
pub(crate) async fn components(
    nats: &Arc<NatsServer>,
    binaries: &Binaries,
    most: u32,
) -> anyhow::Result<Vec<Components>> {
    let Some(host) = Route::Duplex.builder(binaries) else {
        return Ok(Vec::new());
    };
    let deployment = Deployment::start_on(Arc::clone(nats), host.lattice("components")).await?;
    let (host, control) = (deployment.host(), deployment.control());
    let reference = Guest::Callee.reference()?;
    let id = |number: u32| format!("callee-{number}");
    deployment.deploy(Guest::Callee, &id(0), 10).await?;
    deployment.deploy(Guest::Caller, CALLER, 10).await?;
    deployment.link(CALLER, &id(0), "echo").await?;
    let driver = deployment.driver().await?;
    let mut measured = Vec::new();
    let mut started = 1;
    loop {
        let (workload, size) = (inhost_testbed::Workload::Ping, 0);
        let warm_up = run_callers(driver.clone(), workload, size, 1, CALLS / 10);
        warm_up.await?;
        let mut batch = run_callers(driver.clone(), workload, size, 1, CALLS).await?;
        batch.durations.sort_unstable();
        let status = host.status().await?;
        measured.push(Components {
            components: started,
            functions: status["endpoints"].as_array().map_or(0, Vec::len),
            p50_us: percentile(&batch.durations, 500) as f64 / 1e3,
            resident_bytes: settled(host.usage()).await,
        });
        if started >= most {
            break;
        }
        let next = started * 10;
        futures::stream::iter(started..next)
            .map(|number| {
                let (id, reference) = (id(number), &reference);
                async move { control.scale(host.id(), reference, &id, 10).await }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        started = next;
    }
    deployment.stop().await?;
    Ok(measured)
}
