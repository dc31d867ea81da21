//! Running other programs, and saying what is being run.

use std::ffi::OsStr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use inhost_testbed::workspace_root;

/// The Cargo that runs this program, in the workspace's folder.
///
/// It does not see what Cargo has told this program of its own package. Build scripts look at such variables, and would
/// build anew what was built by hand.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace_root()).args(arguments);
    for (name, _) in std::env::vars_os() {
        if is_of_a_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether Cargo sets the variable for the package that it runs.
fn is_of_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// `command` as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_stem().unwrap_or(OsStr::new("?"))];
    words.extend(command.get_args());
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Runs `command`, which writes to the terminal. `hint` says what to do when it fails.
pub(crate) fn run(command: &mut Command, hint: &str) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", text(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status}). {hint}", text(command));
    }
    Ok(())
}

/// What the toolchain builds for by itself.
pub(crate) fn host_triple() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output();
    let output = output.context("cannot run `rustc -vV`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Steps that are all carried out, whatever becomes of the ones before, and a summary at the end.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    title: String,
    took: Duration,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

impl Steps {
    /// Carries out one step and shows its error, if it has one.
    pub(crate) fn step(&mut self, title: &str, work: impl FnOnce() -> anyhow::Result<()>) {
        println!("\n=== {title}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let outcome = match result {
            Ok(()) => {
                println!("=== passed after {}", seconds(took));
                Outcome::Passed
            }
            Err(err) => {
                eprintln!("error: {err:#}");
                println!("=== FAILED after {}", seconds(took));
                Outcome::Failed
            }
        };
        self.done.push(Step {
            title: title.to_owned(),
            took,
            outcome,
        });
    }

    /// Runs a command as one step. The command is the title.
    pub(crate) fn command(&mut self, mut command: Command, hint: &str) {
        self.step(&text(&command), || run(&mut command, hint));
    }

    /// Notes a step that is not carried out, and why.
    pub(crate) fn skip(&mut self, title: &str, reason: &str) {
        println!("\n=== {title}: skipped, {reason}");
        self.done.push(Step {
            title: title.to_owned(),
            took: Duration::ZERO,
            outcome: Outcome::Skipped(reason.to_owned()),
        });
    }

    /// Shows the summary. An error when a step failed.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        println!("\n{}", self.summary());
        let failed = self.done.iter();
        let failed = failed.filter(|step| matches!(step.outcome, Outcome::Failed));
        match failed.count() {
            0 => Ok(()),
            1 => bail!("1 of {} steps failed: see above", self.done.len()),
            n => bail!("{n} of {} steps failed: see above", self.done.len()),
        }
    }

    fn summary(&self) -> String {
        let lines = self.done.iter().map(|step| {
            let took = seconds(step.took);
            let Step { title, outcome, .. } = step;
            match outcome {
                Outcome::Passed => format!("{took:>8}  passed   {title}"),
                Outcome::Failed => format!("{took:>8}  FAILED   {title}"),
                Outcome::Skipped(reason) => format!("{:>8}  skipped  {title}: {reason}", ""),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_what_to_do() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let error = run(&mut command, "Look there.").unwrap_err().to_string();
        assert!(error.contains("`sh -c exit 3` failed"), "{error}");
        assert!(error.ends_with("Look there."), "{error}");
    }

    #[test]
    fn a_failed_step_does_not_stop_the_others_but_fails_the_whole() {
        let mut steps = Steps::default();
        let mut carried_out = false;
        steps.step("first", || bail!("no"));
        steps.step("second", || {
            carried_out = true;
            Ok(())
        });
        steps.skip("third", "not at hand");
        assert!(carried_out);
        let summary = steps.summary();
        assert!(summary.contains("FAILED   first"), "{summary}");
        assert!(summary.contains("passed   second"), "{summary}");
        assert!(summary.contains("skipped  third: not at hand"), "{summary}");
        let error = steps.finish().unwrap_err().to_string();
        assert_eq!(error, "1 of 3 steps failed: see above");
    }

    #[test]
    fn skipped_steps_are_no_failure() {
        let mut steps = Steps::default();
        steps.skip("one", "why not");
        steps.finish().unwrap();
    }

    #[test]
    fn cargo_is_not_told_of_this_package() {
        let command = cargo(&["version"]);
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
            assert!(removed.iter().any(|removed| removed == name), "{name}");
        }
        assert!(!is_of_a_package("CARGO_TARGET_DIR"));
    }
}
