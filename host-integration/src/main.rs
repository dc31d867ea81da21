//! The `wasmcloud` program; see the library of this package.

use std::process::ExitCode;

mod allocator;

fn main() -> anyhow::Result<ExitCode> {
    allocator::give_memory_back_soon();
    inhost::run()
}
