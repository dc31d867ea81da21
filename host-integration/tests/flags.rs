//! The stock host's command line, compared from outside with a list that was taken from upstream's source.
//!
//! `--help-markdown` makes the binary parse everything and then exit before it does anything else: with it, a command
//! line that is accepted exits with 0 and one that is not with 2.

mod support {
    pub(crate) mod cli;
    pub(crate) mod upstream_flags;
}

use std::ffi::OsString;
use std::process::Command;

use support::cli::{run, wasmcloud};
use support::upstream_flags::{all, Flag, Times};

/// A value of the kind that `flag` takes, or `None` for a switch.
fn good_value(flag: &Flag) -> Option<&'static str> {
    Some(match flag.value.as_str() {
        "switch" => return None,
        "text" | "path" => "x",
        "u16" | "u32" | "u64" | "milliseconds" | "seconds" => "7",
        "bool" => "true",
        "level" => "debug",
        "protocol" => "grpc",
        "address" => "127.0.0.1:1",
        other => panic!("{}: unknown kind of value `{other}`", flag.name),
    })
}

/// A value that `flag` must refuse, where there is one that can be written as text.
fn bad_value(flag: &Flag) -> Option<&'static str> {
    match flag.value.as_str() {
        "text" | "path" => None,
        "u16" => Some("65536"),
        "u32" => Some("4294967296"),
        "u64" | "milliseconds" | "seconds" => Some("-1"),
        _ => Some("maybe"),
    }
}

fn named(name: &str) -> Flag {
    all()
        .into_iter()
        .find(|flag| flag.name == name)
        .unwrap_or_else(|| panic!("{name} is not in the list"))
}

/// `name` with a good value, as one argument.
fn argument(name: &str, flag: &Flag) -> String {
    match good_value(flag) {
        Some(value) => format!("{name}={value}"),
        None => name.to_string(),
    }
}

/// The flags that `flag` cannot be without, with good values.
fn companions(flag: &Flag) -> Vec<String> {
    flag.requires
        .iter()
        .map(|name| argument(name, &named(name)))
        .collect()
}

/// A run that only parses.
fn parse_only() -> Command {
    let mut command = wasmcloud();
    command.arg("--help-markdown");
    command
}

fn assert_accepted(command: &mut Command) {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, 0, "{command:?}\n{stderr}");
    assert!(
        stdout.contains("# Command-Line Help for `wasmcloud`"),
        "{command:?}\n{stdout}"
    );
}

/// Returns what it printed on standard error.
fn assert_refused(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, 2, "{command:?}\n{stdout}\n{stderr}");
    assert_eq!(stdout, "", "{command:?}");
    stderr
}

/// All flags but `--help-markdown` itself, which every run here has.
fn flags() -> impl Iterator<Item = Flag> {
    all()
        .into_iter()
        .filter(|flag| flag.name != "--help-markdown")
}

#[test]
fn the_list_is_complete() {
    assert_eq!(
        all().len(),
        59,
        "upstream has 59 flags besides --help and --version"
    );
    assert_accepted(&mut parse_only());
}

#[test]
fn every_flag_alias_and_short_name_is_accepted() {
    for flag in flags() {
        let short = flag.short.map(|short| format!("-{short}"));
        let names = [Some(&flag.name), flag.alias.as_ref(), short.as_ref()];
        for name in names.into_iter().flatten() {
            assert_accepted(
                parse_only()
                    .arg(argument(name, &flag))
                    .args(companions(&flag)),
            );
        }
    }
}

#[test]
fn a_flag_takes_values_of_its_kind_only() {
    for flag in flags() {
        if let Some(bad) = bad_value(&flag) {
            let argument = format!("{}={bad}", flag.name);
            let error = assert_refused(parse_only().arg(argument).args(companions(&flag)));
            assert!(error.contains(&flag.name) && error.contains(bad), "{error}");
        }
        if good_value(&flag).is_some() {
            let error = assert_refused(parse_only().args(companions(&flag)).arg(&flag.name));
            assert!(error.contains(&flag.name), "{error}");
        }
    }
}

#[test]
fn a_flag_can_be_given_as_often_as_upstream_allows() {
    for flag in flags() {
        let mut command = parse_only();
        command.args(companions(&flag));
        command.args([argument(&flag.name, &flag), argument(&flag.name, &flag)]);
        match flag.times {
            Times::Once => {
                let error = assert_refused(&mut command);
                assert!(
                    error.contains(&flag.name) && error.contains("multiple times"),
                    "{error}"
                );
            }
            Times::Repeat | Times::Comma => assert_accepted(&mut command),
        }
    }
}

#[test]
fn a_flag_needs_its_companions() {
    for flag in flags() {
        for missing in &flag.requires {
            let others: Vec<_> = companions(&flag)
                .into_iter()
                .filter(|other| !other.starts_with(missing.as_str()))
                .collect();
            let error = assert_refused(parse_only().arg(argument(&flag.name, &flag)).args(others));
            assert!(
                error.contains(missing.as_str()),
                "{} without {missing}: {error}",
                flag.name
            );
        }
    }
}

#[test]
fn conflicting_flags_exclude_each_other() {
    for flag in flags() {
        for name in &flag.conflicts {
            let other = named(name);
            let error = assert_refused(
                parse_only()
                    .arg(argument(&flag.name, &flag))
                    .args(companions(&flag))
                    .arg(argument(name, &other))
                    .args(companions(&other)),
            );
            assert!(
                error.contains("cannot be used with") && error.contains(flag.name.as_str()),
                "{} with {name}: {error}",
                flag.name
            );
        }
    }
}

#[test]
fn every_environment_variable_is_read() {
    for flag in flags() {
        let Some(variable) = &flag.variable else {
            continue;
        };
        let companions = companions(&flag);
        let good = good_value(&flag).unwrap_or("true");
        assert_accepted(parse_only().env(variable, good).args(&companions));
        // That it is accepted says nothing, for a variable that is not read would be, too. So there has to be a
        // value that is refused.
        match flag.value.as_str() {
            "text" => {
                assert_refused(parse_only().env(variable, not_utf8()).args(&companions));
            }
            "path" => {
                let excluded = flag
                    .conflicts
                    .iter()
                    .map(|name| argument(name, &named(name)));
                let error = assert_refused(parse_only().env(variable, good).args(excluded));
                assert!(error.contains(&flag.name), "{variable}: {error}");
            }
            _ => {
                let bad = bad_value(&flag).expect("this kind has bad values");
                let error = assert_refused(parse_only().env(variable, bad).args(&companions));
                assert!(error.contains(&flag.name), "{variable}: {error}");
            }
        }
        // The flag wins over its variable, so a bad value there does no harm.
        if let (Some(bad), Some(_)) = (bad_value(&flag), good_value(&flag)) {
            let argument = argument(&flag.name, &flag);
            assert_accepted(
                parse_only()
                    .env(variable, bad)
                    .arg(argument)
                    .args(&companions),
            );
        }
    }
}

#[cfg(unix)]
fn not_utf8() -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(vec![0xff])
}

#[cfg(windows)]
fn not_utf8() -> OsString {
    use std::os::windows::ffi::OsStringExt as _;
    OsString::from_wide(&[0xd800])
}

#[test]
fn help_shows_what_upstream_shows() {
    let (code, help, _) = run(wasmcloud().arg("--help"));
    assert_eq!(code, 0);
    assert!(
        help.starts_with("The wasmCloud v1.5 host with in-host invocation\n"),
        "{help}"
    );
    for flag in all() {
        let entry = entry(&help, &flag.name);
        assert_eq!(entry.is_none(), flag.hidden, "{}", flag.name);
        let Some(entry) = entry else {
            continue;
        };
        if let Some(variable) = &flag.variable {
            // With an equals sign where it is followed by the current value, which is not shown for secrets.
            let shown = ["=", "]"].map(|end| format!("[env: {variable}{end}"));
            assert!(shown.iter().any(|shown| entry.contains(shown)), "{entry}");
        }
        if let Some(default) = &flag.default {
            assert!(entry.contains(&format!("[default: {default}]")), "{entry}");
        }
        if let Some(short) = flag.short {
            assert!(
                entry.trim_start().starts_with(&format!("-{short}, --")),
                "{entry}"
            );
        }
    }
}

/// The part of `help` about one flag: its line, and those up to the next flag or heading.
fn entry<'a>(help: &'a str, name: &str) -> Option<&'a str> {
    let begins_entry = |line: &str| {
        let line = line.trim_start();
        line.starts_with("--") || (line.starts_with('-') && line.contains(", --"))
    };
    let names_flag = |line: &str| line.split([' ', ',']).any(|word| word == name);
    let mut offset = 0;
    let mut start = None;
    for line in help.split_inclusive('\n') {
        if let Some(start) = start {
            if begins_entry(line) || !line.starts_with([' ', '\n']) {
                return Some(&help[start..offset]);
            }
        } else if begins_entry(line) && names_flag(line.trim_end()) {
            start = Some(offset);
        }
        offset += line.len();
    }
    start.map(|start| &help[start..])
}

#[test]
fn help_does_not_show_secrets_of_the_environment() {
    for variable in [
        "WASMCLOUD_NATS_JWT",
        "WASMCLOUD_NATS_SEED",
        "WASMCLOUD_HOST_SEED",
        "WASMCLOUD_OCI_REGISTRY_PASSWORD",
    ] {
        for flag in ["-h", "--help"] {
            let (code, help, _) = run(wasmcloud().env(variable, "topsecret").arg(flag));
            assert_eq!(code, 0);
            assert!(
                help.contains(variable) && !help.contains("topsecret"),
                "{help}"
            );
        }
    }
}

#[test]
fn the_version_is_that_of_upstream() {
    for flag in ["--version", "-V"] {
        let (code, stdout, stderr) = run(wasmcloud().arg(flag));
        assert_eq!(
            (code, stdout.as_str(), stderr.as_str()),
            (0, "wasmcloud 1.5.1\n", "")
        );
    }
}

#[test]
fn unknown_flags_and_arguments_are_refused() {
    for argument in ["--no-such-flag", "argument", "-z"] {
        let error = assert_refused(parse_only().arg(argument));
        assert!(error.contains(argument), "{error}");
    }
}

#[test]
fn a_variable_says_of_a_switch_that_it_is_on_or_off() {
    for flag in all().into_iter().filter(|flag| flag.value == "switch") {
        let Some(variable) = &flag.variable else {
            continue;
        };
        for (value, expected) in [("true", 0), ("false", 0), ("maybe", 2)] {
            let (code, _, error) = run(wasmcloud().arg("--help-markdown").env(variable, value));
            assert_eq!(code, expected, "{variable}={value}: {error}");
        }
    }
    for (value, json) in [("true", true), ("false", false)] {
        let mut host = wasmcloud();
        host.env("WASMCLOUD_STRUCTURED_LOGGING_ENABLED", value);
        // Nothing listens there, so it ends soon.
        let (_, _, log) = run(host.args(["--nats-port", "1"]));
        assert_eq!(log.starts_with('{'), json, "{value}: {log}");
    }
}
