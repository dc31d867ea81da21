//! `cargo xtask fuzz`: the codec's fuzz targets under libFuzzer, with the stable toolchain and a C++ compiler.
//!
//! A package of its own, so that nothing of it is built for libFuzzer.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks to its user"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _};
use clap::{Parser, ValueEnum};
use xtask::bar::bar;
use xtask::command::{cargo, host_triple, run as run_command};
use xtask::help;
use xtask::workspace::{target_dir, workspace_root};

const PACKAGE: &str = "inhost-codec-fuzz";

/// What lets libFuzzer see which code an input reaches, and what makes numbers that overflow a finding.
const RUSTFLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
    "-Cstrip=none",
];

/// What is shown while the targets run.
const BAR: &str = "{bar:30} {elapsed} of {len} s, about {eta} left";

/// How often the targets are looked at meanwhile.
const TICK: Duration = Duration::from_millis(200);

/// The largest input that is tried, in bytes.
const MAX_LEN: usize = 1024;

const EXAMPLES: &str = help!("cargo xtask fuzz", "cargo xtask fuzz lift --seconds 60");

/// Look for inputs that break the codec, for some minutes; needs a C++ compiler
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fuzz", bin_name = "cargo xtask fuzz", after_help = EXAMPLES)]
struct Arguments {
    /// Which target to run
    #[arg(value_enum, default_value_t = Choice::All)]
    target: Choice,

    /// How long each target runs. They run at the same time
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// A peer that sends any message
    Decode,
    /// A guest that passes any values
    Lift,
    /// Both
    All,
}

impl Choice {
    fn targets(self) -> &'static [&'static str] {
        match self {
            Self::Decode => &["decode"],
            Self::Lift => &["lift"],
            Self::All => &["decode", "lift"],
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = target_dir().join("fuzz");
    let binaries = build(&folder)?;
    let targets = arguments.target.targets();
    let runs = targets
        .iter()
        .map(|target| Run::start(target, &binaries, &folder, arguments.seconds));
    let mut runs: Vec<_> = runs.collect::<anyhow::Result<_>>()?;
    show_time(&mut runs, arguments.seconds)?;
    // All are waited for, so that none goes on behind the user's back.
    let outcomes: Vec<_> = runs.into_iter().map(Run::outcome).collect();
    let mut findings = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(summary) => println!("{summary}"),
            Err(err) => findings.push(format!("{err:#}")),
        }
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

/// Shows how long it goes on, on a terminal, until that time is over or the first target ends.
fn show_time(runs: &mut [Run], seconds: u64) -> anyhow::Result<()> {
    let Some(bar) = bar(seconds, BAR) else {
        return Ok(());
    };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        bar.set_position(start.elapsed().as_secs());
        for run in runs.iter_mut() {
            if run.has_ended()? {
                bar.finish_and_clear();
                return Ok(());
            }
        }
        std::thread::sleep(TICK);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Builds the targets and returns the folder they are in.
fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let host = host_triple()?;
    let mut command = cargo(&["build", "--release", "--bins", "--package", PACKAGE]);
    // With a target named, the flags do not apply to build scripts, which libFuzzer is not linked to.
    command.arg("--target").arg(&host);
    command.arg("--target-dir").arg(folder);
    command.env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f"));
    run_command(
        &mut command,
        "The messages above say why. libFuzzer is built with the C++ compiler, which has to be installed.",
    )?;
    Ok(folder.join(host).join("release"))
}

/// A target that runs.
struct Run {
    target: &'static str,
    process: Child,
    log: PathBuf,
}

impl Run {
    fn start(
        target: &'static str,
        binaries: &Path,
        folder: &Path,
        seconds: u64,
    ) -> anyhow::Result<Self> {
        // What is found new goes into a copy: the committed corpus stays as it is.
        let corpus = folder.join("corpus").join(target);
        let committed = workspace_root().join("host-integration/codec/fuzz/corpus");
        copy_files(&committed.join(target), &corpus)?;
        let findings = folder.join("findings").join(target);
        fs::create_dir_all(&findings)
            .with_context(|| format!("cannot make the folder {}", findings.display()))?;
        let log = folder.join(format!("{target}.log"));
        let output = File::create(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        println!(
            "{target} runs for {seconds} s. Its output goes to {}",
            log.display()
        );
        let mut command = Command::new(binaries.join(target));
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_LEN}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args(["-timeout=10", "-print_final_stats=1"])
            .arg(&corpus)
            .stdout(output.try_clone().context("cannot share the log")?)
            .stderr(output);
        let process = command
            .spawn()
            .with_context(|| format!("cannot start the target {target}"))?;
        Ok(Self {
            target,
            process,
            log,
        })
    }

    /// Whether it has ended before its time.
    fn has_ended(&mut self) -> anyhow::Result<bool> {
        let status = self.process.try_wait();
        let status =
            status.with_context(|| format!("cannot look at the target {}", self.target))?;
        Ok(status.is_some())
    }

    /// Waits for the end: a summary, or an error that says where a finding is.
    fn outcome(mut self) -> anyhow::Result<String> {
        let target = self.target;
        let status = self.process.wait();
        let status = status.with_context(|| format!("cannot wait for the target {target}"))?;
        let log = fs::read(&self.log);
        let log = log.with_context(|| format!("cannot read {}", self.log.display()))?;
        let log = Log(&String::from_utf8_lossy(&log));
        if let Some(input) = log.finding() {
            bail!(
                "{target} has a finding: {input}\n  {} says what it is. To run it again: \
                 cargo run --package {PACKAGE} --bin {target} {input}",
                self.log.display()
            );
        }
        ensure!(
            status.success(),
            "{target} ended with {status}: {} says why",
            self.log.display()
        );
        let (executions, coverage) = (log.executions(), log.coverage());
        let summary = executions.zip(coverage).map(|(executions, coverage)| {
            format!("{target}: {executions} executions, {coverage} points of the code reached, no finding")
        });
        summary.with_context(|| format!("{} has no figures at its end", self.log.display()))
    }
}

/// What libFuzzer wrote.
struct Log<'a>(&'a str);

impl<'a> Log<'a> {
    fn after(&self, label: &str) -> Option<&'a str> {
        let rest = self.0.rsplit_once(label)?.1;
        rest.lines().next().map(str::trim)
    }

    /// The file with the input that is a finding.
    fn finding(&self) -> Option<&'a str> {
        self.after("Test unit written to ")
    }

    fn executions(&self) -> Option<u64> {
        let number = self.after("stat::number_of_executed_units:")?;
        number.parse().ok()
    }

    /// Edges between blocks of code that were taken.
    fn coverage(&self) -> Option<u64> {
        let number = self.after(" cov: ")?;
        number.split_whitespace().next()?.parse().ok()
    }
}

/// Copies the files in one folder to another, which is made.
fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make the folder {}", to.display()))?;
    let files = fs::read_dir(from);
    for file in files.with_context(|| format!("cannot read the folder {}", from.display()))? {
        let file = file?;
        let path = file.path();
        fs::copy(&path, to.join(file.file_name()))
            .with_context(|| format!("cannot copy {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_examples_are_such_that_it_takes() {
        for example in EXAMPLES
            .lines()
            .filter_map(|line| line.strip_prefix("  cargo xtask "))
        {
            Arguments::try_parse_from(example.split(' ')).unwrap();
        }
    }

    #[test]
    fn figures_are_the_last_ones_of_a_log() {
        let log = Log(
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b\n#4096\tDONE   cov: 882 ft: 4176 corp: 9/9b\n\
             Done 4096 runs in 1 second(s)\nstat::number_of_executed_units: 4096\n",
        );
        assert_eq!(log.executions(), Some(4096));
        assert_eq!(log.coverage(), Some(882));
        assert_eq!(log.finding(), None);
    }

    #[test]
    fn a_finding_is_the_file_it_was_written_to() {
        let log = Log("artifact_prefix='/a/'; Test unit written to /a/crash-1\nBase64: AA==\n");
        assert_eq!(log.finding(), Some("/a/crash-1"));
        assert_eq!(Log("").executions(), None);
    }

    #[test]
    fn each_target_has_a_corpus() {
        let committed = workspace_root().join("host-integration/codec/fuzz/corpus");
        let copy = tempfile::tempdir().unwrap();
        for target in Choice::All.targets() {
            let to = copy.path().join(target);
            copy_files(&committed.join(target), &to).unwrap();
            assert!(fs::read_dir(&to).unwrap().next().is_some());
        }
    }
}
