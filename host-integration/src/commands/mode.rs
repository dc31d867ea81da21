//! `wasmcloud mode`: tells a running host to change the mode of calls.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use super::{http, say};

const EXAMPLES: &str = "\
Examples, for a host that was started with `--local-steer on --local-status 127.0.0.1:8081`:
  Calls of one component go over NATS from the next one on:
    wasmcloud mode payments=off 127.0.0.1:8081

  They have again what the host was started with for them:
    wasmcloud mode payments=default 127.0.0.1:8081

  All calls but those of components that have a mode of their own:
    wasmcloud mode off 127.0.0.1:8081

Exit codes: 0 when the host has changed it, 1 when it has not, 2 when the command line is not right.";

/// Change the mode of calls of a running host, or of those to one component, until the host ends
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Change {
    /// `prefer`, `require` or `off`, for the host or with `ID=` before it for one component;
    /// `ID=default` takes that back
    #[arg(value_name = "[ID=]MODE")]
    mode: String,

    /// What the host's `--local-status` says: a loopback address
    #[arg(value_name = "ADDRESS", env = "WASMCLOUD_LOCAL_STATUS")]
    address: String,

    /// Who does it, for the log of the host and for its listing
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
}

/// As the host takes it.
#[derive(Serialize)]
struct Command<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
}

/// Runs the command to its end.
pub(crate) async fn run(change: Change) -> ExitCode {
    match send(&change).await {
        Ok(()) => match writeln!(io::stdout(), "changed, from the next call on") {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever read it has gone.
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

async fn send(change: &Change) -> anyhow::Result<()> {
    let (target, mode) = match change.mode.split_once('=') {
        Some((id, mode)) => (Some(id), mode),
        None => (None, &*change.mode),
    };
    let by = change.by.as_deref();
    let command = serde_json::to_string(&Command { target, mode, by })?;
    let address = &change.address;
    let sent = http::post(address, "/mode", &command).await;
    sent.map(drop)
        .with_context(|| format!("the host at `{address}` has not changed the mode"))
}
