//! What `cargo xtask bench` has a release build do outside of a host.
//!
//! It reads requests from standard input and answers each on standard output, both as JSON, one object a line. So it is
//! started once, and the benchmark can take routes in turn. It ends with its input.
//!
//! - the floors: a component called from Rust, without a host ([`floor`], [`parked`]);
//! - requests over HTTP ([`http`]);
//! - lookups in the registry ([`lookups`]).

mod callee;
mod engine;
mod floor;
mod http;
mod lookups;
mod parked;
mod protocol;
mod values;

use std::io::{BufRead as _, Write as _};

use anyhow::Context as _;
use serde_json::{json, Value};
use tokio::runtime::Runtime;
use wasmtime::Engine;

use crate::protocol::Request;

fn main() -> anyhow::Result<()> {
    let mut worker = Worker {
        runtime: tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the tokio runtime")?,
        engine: None,
        callee: None,
        parked: Vec::new(),
    };
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?) {
            Ok(request) => worker.answer(request),
            Err(err) => Err(err).context("this is not a request"),
        };
        let answer = answer.unwrap_or_else(|err| json!({ "error": format!("{err:#}") }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

/// What is kept from one request to the next.
struct Worker {
    /// What the floors run on, as a host does.
    runtime: Runtime,
    /// One for all: each reserves a good part of the address space.
    engine: Option<Engine>,
    callee: Option<callee::Callee>,
    parked: Vec<parked::Parked>,
}

impl Worker {
    fn engine(&mut self) -> anyhow::Result<Engine> {
        match &self.engine {
            Some(engine) => Ok(engine.clone()),
            None => Ok(self.engine.insert(engine::engine()?).clone()),
        }
    }

    fn answer(&mut self, request: Request) -> anyhow::Result<Value> {
        match request {
            Request::Load { callee } => {
                self.callee = Some(callee::Callee::load(self.engine()?, &callee)?);
                Ok(json!({}))
            }
            Request::Run(run) => {
                let callee = self.callee.as_ref();
                let callee = callee.context("no callee has been loaded")?;
                let (durations, wall) = self.runtime.block_on(floor::run(callee, run))?;
                Ok(json!({ "durations": durations, "wall_ns": wall.as_nanos() as u64 }))
            }
            Request::Http(load) => {
                let (durations, wall) = http::run(load)?;
                Ok(json!({ "durations": durations, "wall_ns": wall.as_nanos() as u64 }))
            }
            Request::Park { component, count } => {
                let known = self
                    .parked
                    .iter()
                    .position(|parked| parked.is_of(&component));
                let number = match known {
                    Some(number) => number,
                    None => {
                        let parked = parked::Parked::load(self.engine()?, component)?;
                        self.parked.push(parked);
                        self.parked.len() - 1
                    }
                };
                let parked = &mut self.parked[number];
                self.runtime.block_on(parked.park(count))?;
                Ok(json!({ "parked": parked.count() }))
            }
            Request::Lookup(lookup) => Ok(json!({ "ns": lookups::measure(&lookup) })),
        }
    }
}
