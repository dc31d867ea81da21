//! What a run was made on.

use std::path::Path;
use std::process::Command;

use inhost_testbed::workspace_root;
use serde::Serialize;

/// The machine, and what ran on it. Empty where it cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    /// The day, as 2026-01-31.
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) nats_server: String,
    /// The commit, with `-dirty` when files differ from it.
    pub(crate) commit: String,
    /// How many threads wanted a processor in the minute before the run.
    pub(crate) load: String,
}

impl Machine {
    /// This one.
    pub(crate) fn look(nats_server: &Path) -> Self {
        let proc =
            |file: &str| std::fs::read_to_string(format!("/proc/{file}")).unwrap_or_default();
        let kib: u64 = field(&proc("meminfo"), "MemTotal")
            .and_then(|value| value.strip_suffix("kB")?.trim().parse().ok())
            .unwrap_or(0);
        let load = proc("loadavg");
        Self {
            date: said("date", &["-u", "+%F"]),
            processor: field(&proc("cpuinfo"), "model name").unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory: format!("{} GiB", (kib as f64 / f64::from(1 << 20)).round()),
            kernel: proc("sys/kernel/osrelease").trim().to_owned(),
            rustc: said("rustc", &["--version"]),
            nats_server: said(&nats_server.to_string_lossy(), &["--version"]),
            commit: said("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            load: load
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// In one line.
    pub(crate) fn describe(&self) -> String {
        let Self {
            date,
            processor,
            processors,
            memory,
            kernel,
            rustc,
            nats_server,
            commit,
            load,
        } = self;
        let parts = [
            date.clone(),
            format!("{processors} × {processor}"),
            memory.clone(),
            format!("Linux {kernel}"),
            rustc.clone(),
            nats_server.clone(),
            format!("commit {commit}"),
            format!("load before the run {load}"),
        ];
        parts.join(", ")
    }
}

/// The value of the first line `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

/// What a command says, in one line; nothing when it fails.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace_root())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemTotalish: 1 kB\nMemTotal:   24 kB\n";
        assert_eq!(field(text, "MemTotal").as_deref(), Some("24 kB"));
        assert_eq!(field(text, "Mem"), None);
    }

    #[test]
    fn a_command_that_fails_says_nothing() {
        assert_eq!(said("sh", &["-c", "echo a b"]), "a b");
        assert_eq!(said("sh", &["-c", "echo a; exit 1"]), "");
        assert_eq!(said("/missing/program", &[]), "");
    }
}
