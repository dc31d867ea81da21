//! Tools that count what a process does. They are used where they are there.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{ensure, Context as _};

/// What this program prints when it is to do `work` so many times.
///
/// # Errors
///
/// When that fails.
pub(crate) fn plain(work: &str, times: u32) -> anyhow::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["run", work, &times.to_string()]).output()?;
    let what = format!("`run {work} {times}`");
    ensure!(
        output.status.success(),
        "{what} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context(what)
}

/// A tool that runs a program and counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tool {
    /// Counts instructions, of the processor that it plays.
    Valgrind,
    /// Sees each system call.
    Strace,
}

impl Tool {
    /// What it counts while this program does `work` so many times. `None` where the tool is not
    /// there, or may not do what it does.
    ///
    /// # Errors
    ///
    /// When what it prints cannot be read.
    pub(crate) fn count(self, work: &str, times: u32) -> anyhow::Result<Option<u64>> {
        let program = std::env::current_exe()?;
        let Some(output) = self.run(&program, work, times) else {
            return Ok(None);
        };
        let printed = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Ok(None);
        }
        let count = match self {
            Self::Valgrind => collected(&printed),
            Self::Strace => Some(system_calls(&printed)),
        };
        let count = count.with_context(|| format!("{self:?} printed no count: {printed}"))?;
        Ok(Some(count))
    }

    fn run(self, program: &Path, work: &str, times: u32) -> Option<Output> {
        let mut command = match self {
            Self::Valgrind => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
                command
            }
            Self::Strace => {
                let mut command = Command::new("strace");
                command.args(["-f", "-qq", "-e", "signal=none"]);
                command
            }
        };
        let command = command.arg(program);
        let command = command.args(["run", work, &times.to_string()]);
        command.stdout(Stdio::null()).output().ok()
    }
}

/// What callgrind has counted: `==12== Collected : 345`.
fn collected(printed: &str) -> Option<u64> {
    let line = printed.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// One line each. One that was interrupted by another thread's has a second line, when it goes on.
fn system_calls(printed: &str) -> u64 {
    let calls = printed.lines().filter(|line| line.contains('('));
    calls.filter(|line| !line.contains(" resumed>")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_print_is_read() {
        let callgrind = "==7== Events    : Ir\n==7== Collected : 5271\n==7== \n";
        assert_eq!(collected(callgrind), Some(5271));
        assert_eq!(collected("==7== nothing"), None);
        let strace = "read(3, \"\", 1) = 0\n[pid 4] futex(0x1, FUTEX_WAIT <unfinished ...>\nread(3, \"\", 1) = 0\n\
                      [pid 4] <... futex resumed>) = 0\n";
        assert_eq!(system_calls(strace), 3);
    }
}
