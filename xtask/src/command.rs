//! Running other programs, and saying what is being run.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::without;
use crate::workspace::workspace_root;
use anyhow::{bail, ensure, Context as _};

/// The Cargo that runs this program, in the workspace's folder.
///
/// It does not see what Cargo has told this program of its own package. Build scripts look at such variables, and would
/// build anew what was built by hand.
pub fn cargo(arguments: &[&str]) -> Command {
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
pub fn text(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_stem().unwrap_or(OsStr::new("?"))];
    words.extend(command.get_args());
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Runs `command`, which writes to the terminal. `hint` says what to do when it fails.
///
/// # Errors
///
/// When it cannot be run, or fails.
pub fn run(command: &mut Command, hint: &str) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", text(command)))?;
    if !status.success() {
        let hint = without::cause().unwrap_or_else(|| hint.to_owned());
        bail!("`{}` failed ({status}). {hint}", text(command));
    }
    Ok(())
}

/// Runs `command`, and returns what it writes to standard output. `hint` says what to do when it fails.
///
/// # Errors
///
/// When it cannot be run, fails, or does not write text.
pub fn output(command: &mut Command, hint: &str) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run `{}`", text(command)))?;
    let status = output.status;
    ensure!(
        status.success(),
        "`{}` failed ({status}). {hint}",
        text(command)
    );
    String::from_utf8(output.stdout).with_context(|| format!("`{}` writes no text", text(command)))
}

/// The compiler that Cargo uses.
pub fn rustc(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(arguments);
    command
}

/// What the toolchain builds for by itself.
///
/// # Errors
///
/// When the compiler cannot be run, or does not say it.
pub fn host_triple() -> anyhow::Result<String> {
    let text = output(&mut rustc(&["-vV"]), "")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// What a step does, or why it is not carried out.
type Work<'a> = Result<Box<dyn FnOnce() -> anyhow::Result<()> + 'a>, String>;

/// Steps that are all carried out, whatever becomes of the ones before, and a summary at the end.
#[derive(Default)]
pub struct Steps<'a>(Vec<(String, Work<'a>)>);

impl<'a> Steps<'a> {
    /// Adds a step.
    pub fn step(&mut self, title: &str, work: impl FnOnce() -> anyhow::Result<()> + 'a) {
        self.0.push((title.to_owned(), Ok(Box::new(work))));
    }

    /// Adds a command as a step. The command is the title.
    pub fn command(&mut self, mut command: Command, hint: &'static str) {
        let title = text(&command);
        self.step(&title, move || run(&mut command, hint));
    }

    /// Adds a step that is not carried out, and why.
    pub fn skip(&mut self, title: &str, reason: &str) {
        self.0.push((title.to_owned(), Err(reason.to_owned())));
    }

    /// Carries the steps out, one after the other. Says before each which it is and for how long it
    /// all goes on, shows the error of one that fails, and a summary at the end.
    ///
    /// # Errors
    ///
    /// When a step failed.
    pub fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let (count, mut failed, mut summary) = (self.0.len(), 0, String::new());
        for (number, (title, work)) in (1..).zip(self.0) {
            let elapsed = minutes(start.elapsed());
            println!("\n=== step {number} of {count}, after {elapsed}: {title}");
            let begun = Instant::now();
            let outcome = work.map(|work| work());
            let took = format!("{:.1} s", begun.elapsed().as_secs_f64());
            summary += &match outcome {
                Err(reason) => {
                    println!("=== skipped: {reason}");
                    format!("{:>8}  skipped  {title}: {reason}\n", "")
                }
                Ok(Ok(())) => {
                    println!("=== passed after {}", minutes(begun.elapsed()));
                    format!("{took:>8}  passed   {title}\n")
                }
                Ok(Err(err)) => {
                    failed += 1;
                    eprintln!("error: {err:#}");
                    println!("=== FAILED after {}", minutes(begun.elapsed()));
                    format!("{took:>8}  FAILED   {title}\n")
                }
            };
        }
        println!("\n{summary}{:>8}  in all", minutes(start.elapsed()));
        match failed {
            0 => Ok(()),
            1 => bail!("1 of {count} steps failed: see above"),
            n => bail!("{n} of {count} steps failed: see above"),
        }
    }
}

/// As people read it: `41 s`, `3 min 05 s`.
pub fn minutes(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_with_what_to_do() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo here; exit 3"]);
        let said = output(&mut command, "Look there.").map(drop);
        for error in [run(&mut command, "Look there."), said] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("exit 3` failed"), "{error}");
            assert!(error.ends_with("Look there."), "{error}");
        }
    }

    #[test]
    fn a_failed_step_does_not_stop_the_others_but_fails_the_whole() {
        let mut carried_out = false;
        let mut steps = Steps::default();
        steps.step("first", || bail!("no"));
        steps.step("second", || {
            carried_out = true;
            Ok(())
        });
        steps.skip("third", "not at hand");
        let error = steps.run().unwrap_err().to_string();
        assert_eq!(error, "1 of 3 steps failed: see above");
        assert!(carried_out);
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
