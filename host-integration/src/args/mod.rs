//! Flags and environment variables.
//!
//! Every flag, environment variable, default and relation of the wasmCloud v1.5.1 host is here under the same
//! name; `tests/data/upstream-v1.5.1-flags.txt` lists them and `tests/flags.rs` compares. The flags that this host
//! adds are in `local.rs`.

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};

mod host;
mod limits;
mod local;
mod nats;
mod services;
mod status;
mod telemetry;
pub(crate) mod values;

pub(crate) use host::HostArgs;
pub(crate) use limits::LimitArgs;
pub(crate) use local::LocalArgs;
pub(crate) use nats::{ControlArgs, NatsArgs, RpcArgs};
pub(crate) use services::{OciArgs, PolicyArgs};
pub(crate) use status::StatusArgs;
pub(crate) use telemetry::TelemetryArgs;

use crate::commands::local::with_negative_numbers;
use crate::commands::Command;

/// What this host adds, at the end of its help.
const EXAMPLES: &str = "\
Examples:
  List what is served here, and which way calls went:
    wasmcloud --local-status 127.0.0.1:8081

  The same in a shell, from a host that runs:
    wasmcloud status 127.0.0.1:8081

  Over NATS as on a stock host, but for the calls of one component, which have to stay in memory:
    wasmcloud --local-dispatch off --local-dispatch-target payments=require

  Let an instance of a component serve up to 1000 invocations:
    wasmcloud --reuse-instances payments=1000

  Publish a record of each call in memory on NATS:
    wasmcloud --local-dispatch-tap

  Run components in one process, without NATS:
    wasmcloud local --component callee=callee.wasm

Exit codes: 0 when it was told to stop and did, 1 when it did not start or did not stop in order, 2 when the command line is \
not right.";

// A flag wins over its environment variable. None of these types is `Debug`: they hold seeds and passwords.
#[derive(Parser)]
#[command(name = "wasmcloud", version, about, long_about = None, after_help = EXAMPLES)]
// The stock host has no commands: what it takes, and what it says of it, does not depend on ours.
#[command(subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) host: HostArgs,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    #[command(flatten)]
    pub(crate) rpc: RpcArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) oci: OciArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,

    /// Print this help as Markdown and exit
    #[arg(long, conflicts_with = "help", hide = true)]
    pub(crate) help_markdown: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Args {
    /// Those of this process. A command line that is not valid ends it.
    pub(crate) fn of_process() -> Self {
        CommandLine::of_process(Self::command()).args
    }
}

/// A command line that is valid, and how it was read.
pub(crate) struct CommandLine {
    pub(crate) command: clap::Command,
    pub(crate) matches: ArgMatches,
    pub(crate) args: Args,
}

impl CommandLine {
    /// That of this process as a host has it that is started without the command: what a flag needs
    /// is asked for, too. One that is not valid ends the process.
    pub(crate) fn of_host() -> Self {
        Self::of_process(Args::command().subcommand_negates_reqs(false))
    }

    fn of_process(command: clap::Command) -> Self {
        let line = with_negative_numbers(std::env::args_os());
        Self::read(command, line).unwrap_or_else(|error| error.exit())
    }

    /// The words of `line`, the name of the program first, and the environment of this process, as
    /// `command` takes them.
    pub(crate) fn read(
        command: clap::Command,
        line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = without_empty_variables(command);
        let read = |command: &mut clap::Command| {
            let matches = command.try_get_matches_from_mut(line)?;
            let args = Args::from_arg_matches(&matches)?;
            match args.local.check() {
                Ok(()) => Ok((matches, args)),
                Err(wrong) => Err(command.error(ErrorKind::ValueValidation, wrong)),
            }
        };
        match read(&mut command) {
            Ok((matches, args)) => Ok(Self {
                command,
                matches,
                args,
            }),
            Err(error) => Err(error.format(&mut command)),
        }
    }
}

/// A variable that is empty says nothing, as where a manifest has a place for a value and no value.
/// Those of the stock host are left as they are there. It has no commands.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let without = move |arg: Arg| match arg.get_env().is_some_and(is_empty) {
        true => arg.env(Resettable::Reset),
        false => arg,
    };
    let names = command.get_subcommands().map(|it| it.get_name().to_owned());
    let names: Vec<_> = names.collect();
    let command = names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |it| it.mut_args(without))
    });
    let is_ours = |arg: &Arg| arg.get_help_heading() == Some(local::HEADING);
    command.mut_args(|arg| match is_ours(&arg) {
        true => without(arg),
        false => arg,
    })
}

#[cfg(test)]
#[allow(dead_code)] // What a flag requires and excludes can only be seen from outside: tests/flags.rs.
#[path = "../../tests/support/upstream_flags.rs"]
mod upstream_flags;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ArgAction;

    use super::upstream_flags::{all, Times};
    use super::*;

    /// What this host has beyond the stock host.
    const OURS: [&str; 14] = [
        "--local-dispatch",
        "--local-dispatch-target",
        "--local-http",
        "--local-backend",
        "--local-buffer-bytes",
        "--local-queue-invocations",
        "--local-queue-bytes",
        "--local-linger-us",
        "--drain-seconds",
        "--reuse-instances",
        "--local-status",
        "--local-status-host",
        "--local-steer",
        "--local-dispatch-tap",
    ];

    fn name(arg: &Arg) -> String {
        format!("--{}", arg.get_long().expect("every argument is a flag"))
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_examples_are_command_lines() {
        let examples = EXAMPLES.lines().map(str::trim);
        let examples: Vec<_> = examples.filter(|it| it.starts_with("wasmcloud")).collect();
        assert_eq!(examples.len(), 6, "{examples:?}");
        for example in examples {
            let error = Args::try_parse_from(example.split(' ')).err();
            assert!(error.is_none(), "{example}: {error:?}");
        }
    }

    #[test]
    fn there_are_upstreams_flags_and_ours_and_no_others() {
        let here: BTreeSet<_> = Args::command().get_arguments().map(name).collect();
        let expected: BTreeSet<_> = all()
            .into_iter()
            .map(|flag| flag.name)
            .chain(OURS.map(str::to_string))
            .collect();
        assert_eq!(here, expected);
    }

    #[test]
    fn each_of_upstreams_flags_is_declared_as_upstream_declares_it() {
        let command = Args::command();
        for flag in all() {
            let arg = command
                .get_arguments()
                .find(|arg| name(arg) == flag.name)
                .unwrap_or_else(|| panic!("{} is missing", flag.name));
            let what = &flag.name;
            assert_eq!(arg.get_short(), flag.short, "{what}");
            let aliases = arg.get_all_aliases().unwrap_or_default();
            let expected: Vec<_> = flag.alias.iter().map(|alias| &alias[2..]).collect();
            assert_eq!(aliases, expected, "{what}");
            assert_eq!(
                arg.get_visible_aliases().unwrap_or_default(),
                Vec::<&str>::new(),
                "{what}"
            );
            let variable = arg.get_env().map(|name| name.to_str().expect("UTF-8"));
            assert_eq!(variable, flag.variable.as_deref(), "{what}");
            assert_eq!(arg.is_hide_set(), flag.hidden, "{what}");
            let takes_value = arg.get_action().takes_values();
            assert_eq!(takes_value, flag.value != "switch", "{what}");
            if takes_value {
                let defaults: Vec<_> = arg.get_default_values().iter().collect();
                let expected: Vec<_> = flag.default.iter().collect();
                assert_eq!(defaults, expected, "{what}");
            }
            let repeats = matches!(arg.get_action(), ArgAction::Append);
            assert_eq!(repeats, flag.times != Times::Once, "{what}");
            let delimiter = (flag.times == Times::Comma).then_some(',');
            assert_eq!(arg.get_value_delimiter(), delimiter, "{what}");
        }
    }
}
