//! `wasmcloud config check`: says what a host that is started in this way has in force, and from where it has it.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _};

use super::table::{table, Column};
use crate::args::Args;

const EXAMPLES: &str = "\
Examples:
  What the environment and these flags come to:
    wasmcloud --local-dispatch require config check

Exit codes: 0 when a host can be started in this way, 2 when a flag or a variable is not right.";

/// See what a host is started with
#[derive(clap::Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Check flags and environment variables as a host reads them, and print what is in force and from where
    #[command(after_help = EXAMPLES)]
    Check,
}

/// Runs the command to its end. What is not valid has ended the process before.
pub(crate) fn run(config: &Config) -> ExitCode {
    let What::Check = config.what;
    let command = Args::command();
    let matches = command.clone().get_matches();
    match io::stdout()
        .lock()
        .write_all(text(&command, &matches).as_bytes())
    {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has gone.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Each flag that has a value, those that someone set first.
fn text(command: &Command, matches: &ArgMatches) -> String {
    let mut rows: Vec<_> = command
        .get_arguments()
        .filter_map(|arg| row(arg, matches))
        .collect();
    rows.sort_by_key(|(source, _)| *source == ValueSource::DefaultValue);
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    let columns = [
        Column::Left("flag"),
        Column::Left("value"),
        Column::Left("from"),
    ];
    table(columns, &rows)
}

fn row(arg: &Arg, matches: &ArgMatches) -> Option<(ValueSource, [String; 3])> {
    let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
    let source = matches.value_source(id)?;
    // A switch that is off is as good as none.
    let takes_values = arg.get_action().takes_values();
    if !takes_values && source == ValueSource::DefaultValue {
        return None;
    }
    let values = matches.get_raw(id).into_iter().flatten();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    let value = match takes_values {
        _ if is_secret(arg) => "(not shown)".to_owned(),
        true => values.join(","),
        false => "on".to_owned(),
    };
    let from = match (source, arg.get_env()) {
        (ValueSource::EnvVariable, Some(variable)) => {
            format!("environment variable {}", variable.to_string_lossy())
        }
        (ValueSource::CommandLine, _) => "command line".to_owned(),
        _ => "default".to_owned(),
    };
    Some((source, [format!("--{name}"), value, from]))
}

/// Seeds, tokens and passwords. What they are is hidden in the help, too, as far as the stock host does that.
fn is_secret(arg: &Arg) -> bool {
    let name = arg.get_long().unwrap_or_default();
    arg.is_hide_env_values_set()
        || ["seed", "jwt", "password", "token", "key"]
            .iter()
            .any(|it| name.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> String {
        let command = Args::command();
        let args = ["wasmcloud"].iter().chain(args).chain(&["config", "check"]);
        let matches = command.clone().try_get_matches_from(args);
        text(&command, &matches.expect("a command line"))
    }

    #[test]
    fn what_was_set_comes_first_and_says_from_where() {
        let text = shown(&[
            "--local-dispatch",
            "require",
            "--reuse-instances",
            "a=2,b=3",
        ]);
        let lines: Vec<Vec<_>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["flag", "value", "from"]);
        assert!(
            lines.contains(&vec!["--local-dispatch", "require", "command", "line"]),
            "{text}"
        );
        assert!(
            lines.contains(&vec!["--reuse-instances", "a=2,b=3", "command", "line"]),
            "{text}"
        );
        assert!(
            lines.contains(&vec!["--local-buffer-bytes", "65536", "default"]),
            "{text}"
        );
        let at = |flag: &str| lines.iter().position(|line| line[0] == flag);
        assert!(
            at("--local-dispatch") < at("--local-buffer-bytes"),
            "{text}"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = shown(&[
            "--host-seed",
            "SECRET",
            "--nats-jwt",
            "SECRET",
            "--nats-seed",
            "SECRET",
        ]);
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("(not shown)"), "{text}");
    }
}
