//! The command line of `wasmcloud local`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use inhost_lattice::{BackendKind, Link};

use crate::args::values::{each_once, whole};

const EXAMPLES: &str = "\
Examples:
  What can be called:
    wasmcloud local --component callee=callee.wasm

  Call a function of a component:
    wasmcloud local --component callee=callee.wasm --call callee inhost:demo/echo.ping 41

  Let one component call another:
    wasmcloud local --component caller=caller.wasm --component callee=callee.wasm \\
        --link caller=callee:inhost:demo/echo --call caller inhost:demo/driver.ping 41

Arguments and results are in the WAVE encoding, one word for each: 42, true, '\"text\"', '[1, 2]', '{id: 1, note: \"x\"}',
'some(1)', 'err(\"no\")'.

Exit codes: 0 when all calls were answered, 1 when one failed or its answer cannot be written, 2 when what was asked for is not possible.

What components log with wasi:logging is on standard error; RUST_LOG=inhost_lattice::guest=debug shows more of it.";

/// What the command is asked to do.
pub(crate) struct Local {
    pub(crate) components: Vec<(String, PathBuf)>,
    pub(crate) links: Vec<Link>,
    pub(crate) config: Vec<(String, String, String)>,
    pub(crate) max_instances: Vec<(String, NonZeroUsize)>,
    pub(crate) backend: Option<BackendKind>,
    pub(crate) memory: Option<u64>,
    pub(crate) execution_time: Option<Duration>,
    pub(crate) json: bool,
    pub(crate) calls: Vec<Call>,
}

/// A call to make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) function: String,
    pub(crate) arguments: Vec<String>,
}

/// Run components in this process, without a host and without NATS, and call their functions
///
/// Without `--call` it lists what can be called.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Flags {
    /// A component and the file that it is in; repeat it for each component
    #[arg(short, long = "component", value_name = "ID=FILE", required = true, value_parser = component)]
    components: Vec<(String, PathBuf)>,

    /// Let a component call another: SOURCE=TARGET:NAMESPACE:PACKAGE/INTERFACE, with @VERSION for one version only and
    /// ,name=NAME for a named link; repeat it for each link
    #[arg(short, long = "link", value_name = "LINK")]
    links: Vec<Link>,

    /// A value that a component reads with wasi:config; repeat it for each value
    #[arg(long, value_name = "ID:KEY=VALUE", value_parser = config)]
    config: Vec<(String, String, String)>,

    /// Call a function of a component, given as NAMESPACE:PACKAGE/INTERFACE.FUNCTION, with
    /// arguments in the WAVE encoding, and print its results; repeat it for each call
    #[arg(
        long,
        value_names = ["ID", "FUNCTION", "ARGUMENT"],
        num_args = 2..,
        allow_negative_numbers = true
    )]
    call: Vec<String>,

    /// How many instances of a component run at the same time; 32 unless set
    #[arg(long, value_name = "ID=COUNT", value_parser = max_instances)]
    max_instances: Vec<(String, NonZeroUsize)>,

    /// What carries the bytes of calls: duplex or mpsc
    #[arg(long, value_name = "BACKEND")]
    backend: Option<BackendKind>,

    /// Largest linear memory of one component instance, in bytes; 256 MiB unless set
    #[arg(long = "max-linear-memory-bytes", value_name = "BYTES", value_parser = memory)]
    memory: Option<u64>,

    /// Longest time that one call may take, in milliseconds, at least 1000; ten minutes unless set
    #[arg(long = "max-execution-time-ms", value_name = "MILLISECONDS", value_parser = execution_time)]
    execution_time: Option<u64>,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Derived but for the calls: how many words belong to one is not in the list of all their words.
impl FromArgMatches for Local {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Flags::from_arg_matches(matches)?;
        each_once(
            "--max-instances",
            flags.max_instances.iter().map(|(id, _)| id),
        )
        .map_err(|wrong| clap::Error::raw(ErrorKind::ValueValidation, wrong + "\n"))?;
        let calls = matches.get_occurrences::<String>("call");
        let calls = calls.into_iter().flatten().filter_map(|mut words| {
            Some(Call {
                id: words.next()?.clone(),
                function: words.next()?.clone(),
                arguments: words.map(|word| word.trim_start().into()).collect(),
            })
        });
        Ok(Self {
            calls: calls.collect(),
            components: flags.components,
            links: flags.links,
            config: flags.config,
            max_instances: flags.max_instances,
            backend: flags.backend,
            memory: flags.memory,
            execution_time: flags.execution_time.map(Duration::from_millis),
            json: flags.json,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Local {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

/// `line` with a space before each argument of a call that is a number below zero and looks like
/// flags to clap, as `-inf` and `-1e-9` do. In the WAVE encoding the space is nothing. No flag of
/// this command looks like a number.
pub(crate) fn with_negative_numbers(
    line: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut is_local = false;
    line.into_iter().map(move |word| {
        is_local |= word == "local";
        match word.to_str() {
            Some(text) if is_local && is_negative_number(text) => format!(" {text}").into(),
            _ => word,
        }
    })
}

/// Whether it is one that clap does not take for a number.
fn is_negative_number(text: &str) -> bool {
    let Some(number) = text.strip_prefix('-') else {
        return false;
    };
    let has_signed_exponent = number.contains(['+', '-']) && number.parse::<f64>().is_ok();
    number == "inf"
        || (number.starts_with(|first: char| first.is_ascii_digit()) && has_signed_exponent)
}

fn component(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once('=');
    let parts = parts.filter(|(id, file)| !id.is_empty() && !file.is_empty());
    let (id, file) = parts.ok_or("expected ID=FILE, like callee=callee.wasm")?;
    Ok((id.into(), file.into()))
}

fn config(text: &str) -> Result<(String, String, String), String> {
    let parts = text.split_once(':');
    let parts = parts.and_then(|(id, rest)| Some((id, rest.split_once('=')?)));
    let parts = parts.filter(|(id, (key, _))| !id.is_empty() && !key.is_empty());
    let (id, (key, value)) = parts.ok_or("expected ID:KEY=VALUE, like callee:greeting=hello")?;
    Ok((id.into(), key.into(), value.into()))
}

fn max_instances(text: &str) -> Result<(String, NonZeroUsize), String> {
    let parts = text.split_once('=').filter(|(id, _)| !id.is_empty());
    let parts = parts.and_then(|(id, count)| Some((id.to_owned(), count.parse().ok()?)));
    parts.ok_or_else(|| "expected ID=COUNT with a count of at least 1, like callee=8".into())
}

/// From one page up to all that a guest can address.
fn memory(text: &str) -> Result<u64, String> {
    whole(text, 64 << 10..=4 << 30, "bytes", "`268435456` for 256 MiB")
}

/// The clock of a guest that computes ticks once a second.
fn execution_time(text: &str) -> Result<u64, String> {
    whole(
        text,
        1000..=u64::MAX,
        "milliseconds",
        "`600000` for ten minutes",
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        local: Local,
    }

    fn parse(words: &[&str]) -> Result<Local, clap::Error> {
        let words = ["local", "-c", "a=a.wasm"].iter().chain(words);
        let words = with_negative_numbers(words.map(OsString::from));
        Program::try_parse_from(words).map(|program| program.local)
    }

    fn refused(words: &[&str]) -> String {
        match parse(words) {
            Ok(_) => panic!("{words:?} was not refused"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_call_keeps_its_own_words() {
        let words = [
            "--call",
            "a",
            "x:y/z.f",
            "1",
            "-5",
            "--json",
            "--call",
            "a",
            "g",
            "--call",
            "a",
            "h",
            r#"{a: 1, b: "c d"}"#,
        ];
        let local = parse(&words).expect("valid");
        let call = |function: &str, arguments: &[&str]| Call {
            id: "a".into(),
            function: function.into(),
            arguments: arguments.iter().map(|text| text.to_string()).collect(),
        };
        let expected = [
            call("x:y/z.f", &["1", "-5"]),
            call("g", &[]),
            call("h", &[r#"{a: 1, b: "c d"}"#]),
        ];
        assert_eq!(local.calls, expected);
        assert!(local.json);
    }

    #[test]
    fn a_number_below_zero_is_an_argument_and_a_mistyped_flag_is_none() {
        let numbers = ["-1", "-1.5", "-inf", "-2e-9", "-2.5E+9", "-2e9", "[-inf]"];
        let words = [&["--call", "a", "f"], &numbers[..], &["--json"]].concat();
        let local = parse(&words).expect("valid");
        assert_eq!(local.calls[0].arguments, numbers);
        assert!(local.json);
        for mistyped in [
            "-inf1",
            "-in",
            "-nan",
            "-e-1",
            "-1x",
            "--inf",
            "-infinity",
            "--jso",
        ] {
            let error = refused(&["--call", "a", "f", mistyped]);
            assert!(error.contains("unexpected argument"), "{mistyped}: {error}");
        }
        refused(&["--max-execution-time-ms", "-inf"]);
    }

    #[test]
    fn a_value_may_hold_what_separates_it() {
        let words = ["--config", "a:k=v=w:x", "--config", "a:empty="];
        let local = parse(&words).expect("valid");
        let config = |key: &str, value: &str| ("a".into(), key.into(), value.into());
        assert_eq!(local.config, [config("k", "v=w:x"), config("empty", "")]);
    }

    #[test]
    fn what_is_malformed_is_refused_with_an_example() {
        assert!(refused(&["-c", "b"]).contains("callee=callee.wasm"));
        assert!(refused(&["--config", "a=b"]).contains("callee:greeting=hello"));
        assert!(refused(&["--max-instances", "a=0"]).contains("callee=8"));
        let twice = ["--max-instances", "a=1", "--max-instances", "a=2"];
        assert!(
            refused(&twice).contains("`--max-instances` names the component `a` more than once")
        );
        for bytes in ["0", "64", "65535", "4294967297", "256MiB"] {
            assert!(
                refused(&["--max-linear-memory-bytes", bytes]).contains("`268435456` for 256 MiB")
            );
        }
        for time in ["0", "999", "1s"] {
            assert!(
                refused(&["--max-execution-time-ms", time]).contains("`600000` for ten minutes")
            );
        }
        assert!(refused(&["--link", "a=b"]).contains("SOURCE=TARGET:NAMESPACE:PACKAGE/INTERFACE"));
        assert!(refused(&["--backend", "tcp"]).contains("`duplex` or `mpsc`"));
        refused(&["--call", "a"]);
        assert!(Program::try_parse_from(["local"]).is_err());
    }
}
