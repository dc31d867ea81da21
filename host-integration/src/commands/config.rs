//! `wasmcloud config check`: says what a host that is started in this way has in force, and from where it has it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::Arg;

use super::say;
use super::table::{table, Column};
use crate::args::CommandLine;
use crate::{labels, program};

/// Something that was asked for is not right. The command line's own errors have the same code.
const INVALID: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  What the environment and these flags come to:
    wasmcloud --local-dispatch require config check

Nothing is connected to: whether there is a NATS server that lets the host in, and whether addresses are free, is not known.

Exit codes: 0 when a host starts in this way as far as is known, 2 when a flag, a variable, or a file that one names is not \
right.";

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

/// Runs the command to its end. A command line that is not valid ends the process.
pub(crate) async fn run(config: Config) -> ExitCode {
    let What::Check = config.what;
    let line = CommandLine::of_host();
    let text = match program::check(&line.args).await {
        Ok(config) => text(&line, &config.labels),
        Err(error) => {
            say(&error);
            return ExitCode::from(INVALID);
        }
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has gone.
        Err(_) => ExitCode::FAILURE,
    }
}

/// A flag that has a value, with where that is from.
type Row = (ValueSource, [String; 3]);

/// Each flag that has a value, those that someone set first.
fn text(line: &CommandLine, labels: &HashMap<String, String>) -> String {
    let flags = line.command.get_arguments();
    let mut rows: Vec<Row> = flags
        .flat_map(|arg| match arg.get_id().as_str() {
            // There may be some without the flag.
            "labels" => of_labels(line, labels),
            _ => of_flag(arg, line).into_iter().collect(),
        })
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

fn of_flag(arg: &Arg, line: &CommandLine) -> Option<Row> {
    let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
    let matches = &line.matches;
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
        // Not what was given, if that is too little.
        _ if id == "max_execution_time" => {
            let time = line.args.limits.max_execution_time;
            time.as_millis().to_string()
        }
        true if is_address(name) => without_user(&values.join(",")),
        true => values.join(","),
        // A variable can turn it off.
        false if matches.get_flag(id) => "on".to_owned(),
        false => "off".to_owned(),
    };
    let from = match (source, arg.get_env()) {
        (ValueSource::EnvVariable, Some(variable)) => of_variable(&variable.to_string_lossy()),
        (ValueSource::CommandLine, _) => COMMAND_LINE.to_owned(),
        _ => "default".to_owned(),
    };
    Some((source, [format!("--{name}"), value, from]))
}

/// The labels that are in force, by their keys.
fn of_labels(line: &CommandLine, labels: &HashMap<String, String>) -> Vec<Row> {
    let flags = &line.args.host.labels;
    let labels: BTreeMap<_, _> = labels.iter().collect();
    let row = |(key, value): (&String, &String)| {
        let label = format!("{key}={value}");
        let (source, from) = match flags.contains(&label) {
            true => (ValueSource::CommandLine, COMMAND_LINE.to_owned()),
            false => (
                ValueSource::EnvVariable,
                of_variable(&labels::variable(key)),
            ),
        };
        (source, ["--label".to_owned(), label, from])
    };
    labels.into_iter().map(row).collect()
}

const COMMAND_LINE: &str = "command line";

fn of_variable(name: &str) -> String {
    format!("environment variable {name}")
}

/// Whether it is where something is, and may have a user and a password before that.
fn is_address(name: &str) -> bool {
    name.ends_with("-host") || name.ends_with("-endpoint")
}

fn without_user(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, place)) => format!("(not shown)@{place}"),
        None => address.to_owned(),
    }
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
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    fn line(args: &[&str]) -> CommandLine {
        let args = ["wasmcloud"].iter().chain(args).chain(&["config", "check"]);
        let line = CommandLine::read(Args::command(), args);
        line.unwrap_or_else(|error| panic!("{error}"))
    }

    fn shown(args: &[&str]) -> String {
        text(&line(args), &HashMap::new())
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
            "--nats-host=me:SECRET@nats.example.com",
            "--override-traces-endpoint=https://me:SECRET@otel.example.com:4318",
        ]);
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("(not shown)"), "{text}");
        for place in ["@nats.example.com", "@otel.example.com:4318"] {
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn labels_are_those_in_force_with_where_each_is_from() {
        let line = line(&["--label", "zone=a", "--label=zone=b"]);
        let environment = [("zone", "c"), ("rack", "7")];
        let environment =
            environment.map(|(key, value)| (labels::variable(key).into(), value.into()));
        let labels = labels::collect(&line.args.host.labels, environment).expect("labels");
        let text = text(&line, &labels);
        let rows: Vec<_> = text.lines().filter(|it| it.contains("--label")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(
            rows[0].contains("rack=7")
                && rows[0].ends_with("environment variable WASMCLOUD_LABEL_rack"),
            "{text}"
        );
        assert!(
            rows[1].contains("zone=b") && rows[1].ends_with("command line"),
            "{text}"
        );
    }

    #[test]
    fn the_execution_time_is_the_one_that_is_in_force() {
        let text = shown(&["--max-execution-time-ms", "1"]);
        let mut lines = text.lines().map(|line| line.split_whitespace().collect());
        let row = vec!["--max-execution-time-ms", "1000", "command", "line"];
        assert!(lines.any(|line: Vec<_>| line == row), "{text}");
    }
}
