//! `wasmcloud local`: runs components in this process, calls one of their functions, and prints what it answers.

mod args;
mod report;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use inhost_lattice::{BuildError, CallError, Limits, LocalLattice, Wasm};
use tracing_subscriber::EnvFilter;

pub(crate) use args::{with_negative_numbers, Local};
use report::Report;

/// The call was made, and failed.
const FAILED: u8 = 1;

/// What was asked for is not possible. The command line's own errors have the same code.
const INVALID: u8 = 2;

/// Runs the command to its end.
pub(crate) async fn run(local: Local) -> ExitCode {
    log();
    // Without locks: whatever is logged meanwhile is written to the same places.
    let mut report = Report::new(io::stdout(), io::stderr(), local.json);
    let lattice = match build(&local).await {
        Ok(lattice) => lattice,
        Err(error) => {
            report.not_built(&error);
            return ExitCode::from(INVALID);
        }
    };
    let code = match local.calls.is_empty() {
        true => list(&lattice, &mut report),
        false => call(&lattice, &local, &mut report).await,
    };
    match report.unwritten() {
        true => ExitCode::from(code.max(FAILED)),
        false => ExitCode::from(code),
    }
}

async fn build(local: &Local) -> Result<LocalLattice, BuildError> {
    let mut limits = Limits::default();
    if let Some(memory) = local.memory {
        limits = limits.with_memory(memory);
    }
    if let Some(time) = local.execution_time {
        limits = limits.with_execution_time(time);
    }
    // Before the lattice is told how long a call may take.
    wrpc_runtime_wasmtime::take_turns();
    let mut builder = LocalLattice::builder().limits(limits);
    for (id, file) in &local.components {
        builder = builder.component(id, Wasm::file(file));
    }
    for link in &local.links {
        builder = builder.link(link.clone());
    }
    for (id, key, value) in &local.config {
        builder = builder.config(id, [(key, value)]);
    }
    for (id, count) in &local.max_instances {
        builder = builder.max_instances(id, *count);
    }
    if let Some(backend) = local.backend {
        builder = builder.backend(backend);
    }
    builder.build().await
}

/// Makes the calls, in their order, up to the first that fails.
async fn call<O: Write, E: Write>(
    lattice: &LocalLattice,
    local: &Local,
    report: &mut Report<O, E>,
) -> u8 {
    for call in &local.calls {
        let called = lattice.call_wave(&call.id, &call.function, &call.arguments);
        match called.await {
            Ok(results) => report.answered(call, &results),
            Err(error) => {
                report.failed(call, &error);
                return code(&error);
            }
        }
    }
    0
}

fn code(error: &CallError) -> u8 {
    match error.is_invalid_input() {
        true => INVALID,
        false => FAILED,
    }
}

/// Without a call: what could be called.
fn list<O: Write, E: Write>(lattice: &LocalLattice, report: &mut Report<O, E>) -> u8 {
    let components: Vec<_> = lattice
        .components()
        .map(|id| {
            // It is one of the lattice's own.
            let functions = lattice.functions(id).unwrap_or_default();
            (id, functions.iter().map(ToString::to_string).collect())
        })
        .collect();
    report.functions(&components);
    0
}

/// Whether what is logged may have colours: for someone who looks at it, and has nothing against them.
fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// What components log, and what goes wrong, on standard error. `RUST_LOG` says otherwise.
fn log() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("error,inhost_lattice=warn,inhost_lattice::guest=info"));
    // It fails when there is a log already, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_ansi(colours())
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .try_init();
}
