//! Processes that others have started, by their ids.

use std::process::{Command, Stdio};

/// Whether the process runs. One that has ended and that no one has waited for does not.
#[must_use]
pub fn runs(process: u32) -> bool {
    if !signal("0", process) {
        return false;
    }
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    !state.is_some_and(|state| state.trim_start().starts_with(['Z', 'X']))
}

/// Kills the process, if it runs.
pub fn kill(process: u32) {
    signal("KILL", process);
}

/// Whether the signal could be sent.
fn signal(name: &str, process: u32) -> bool {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "kill -s \"$1\" -- \"$2\"",
        "sh",
        name,
        &process.to_string(),
    ]);
    command.stderr(Stdio::null());
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
