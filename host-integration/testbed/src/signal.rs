//! Signals to processes, and whether they run.

use std::path::Path;
use std::process::{Command, Stdio};

/// Whether the process runs. One that has ended and that no one has waited for does not.
#[must_use]
pub fn runs(process: u32) -> bool {
    let status = format!("/proc/{process}/status");
    signal("0", process) && !state(Path::new(&status)).is_some_and(|it| ['Z', 'X'].contains(&it))
}

/// The state of a process or thread, given the file `status` that proc(5) has of it. `None` where
/// there is no such file.
pub(crate) fn state(status: &Path) -> Option<char> {
    let status = std::fs::read_to_string(status).ok()?;
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state?.trim_start().chars().next()
}

/// Kills the process, if it runs.
pub fn kill(process: u32) {
    signal("KILL", process);
}

/// Whether the signal could be sent.
pub(crate) fn signal(name: &str, process: u32) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", name]);
    command.arg(process.to_string()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_runs_until_it_is_killed() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(runs(child.id()));
        kill(child.id());
        // It may take a moment. That it has not been waited for makes no difference.
        while runs(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!runs(child.id()));
    }
}
