//! The `wasmcloud` program; see the library of this package.

use std::process::ExitCode;

/// What a call allocates on one thread is often freed on another. The allocator of the C library takes locks for that, and
/// calls on several cores wait for each other there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    inhost::run()
}
