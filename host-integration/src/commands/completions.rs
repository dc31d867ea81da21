//! `wasmcloud completions`: a script with which a shell completes flags and commands.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args;

const EXAMPLES: &str = "\
Examples:
  For bash, from the next shell on:
    wasmcloud completions bash > ~/.local/share/bash-completion/completions/wasmcloud

  For zsh, in a folder of $fpath:
    wasmcloud completions zsh > _wasmcloud

  For fish:
    wasmcloud completions fish > ~/.config/fish/completions/wasmcloud.fish";

/// Print a script with which a shell completes flags and commands of this program
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell that the script is for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs the command to its end.
pub(crate) fn run(completions: &Completions) -> ExitCode {
    let mut command = args::Args::command();
    // Not straight to standard output: the generator panics when that is closed early.
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, "wasmcloud", &mut script);
    match io::stdout().lock().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has gone. There is no one to tell.
        Err(_) => ExitCode::FAILURE,
    }
}
