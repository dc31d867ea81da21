//! `wasmcloud status`: asks a running host for its listing, and prints what its page shows.

mod report;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;

use super::printable::printable_json;
use super::{http, say};

const EXAMPLES: &str = "\
Examples:
  What a host is doing that was started with `--local-status 127.0.0.1:8081`:
    wasmcloud status 127.0.0.1:8081

  The same as JSON:
    wasmcloud status --json 127.0.0.1:8081

Exit codes: 0 when the host answered, 1 when it did not, 2 when the command line is not right.";

/// Print what a running host lists: modes, calls by function and route, and the slowest calls
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Where the host lists it: what its `--local-status` says, an address or a name with a port
    #[arg(value_name = "ADDRESS", env = "WASMCLOUD_LOCAL_STATUS")]
    address: String,

    /// Print the listing as it is, as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command to its end.
pub(crate) async fn run(status: Status) -> ExitCode {
    let printed = match shown(&status).await {
        Ok(text) => io::stdout().lock().write_all(text.as_bytes()),
        Err(error) => {
            say(&error);
            return ExitCode::FAILURE;
        }
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has gone.
        Err(_) => ExitCode::FAILURE,
    }
}

async fn shown(status: &Status) -> anyhow::Result<String> {
    let address = &status.address;
    let listing = http::get(address, "/status").await.with_context(|| {
        format!("no listing from `{address}`: is a host started with `--local-status {address}`, and can it be reached from here?")
    })?;
    if status.json {
        return Ok(printable_json(&listing) + "\n");
    }
    let listing = serde_json::from_str(&listing)
        .with_context(|| format!("`{address}` did not answer with the listing of a host"))?;
    Ok(report::text(&listing))
}
