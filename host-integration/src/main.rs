//! The `wasmcloud` program; see the library of this package.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    inhost::run().await
}
