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
    /// The sizes in KiB, beyond that of a page, in which all processes get memory from the kernel. A call with a large
    /// payload takes two thirds of the time with 64.
    pub(crate) huge_pages_kib: Vec<u64>,
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
            huge_pages_kib: huge_pages_kib(Path::new("/sys/kernel/mm/transparent_hugepage")),
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
            huge_pages_kib,
            rustc,
            nats_server,
            commit,
            load,
        } = self;
        let huge_pages = match &huge_pages_kib[..] {
            [] => "no huge pages unless asked for".to_owned(),
            sizes => {
                let sizes: Vec<_> = sizes.iter().map(u64::to_string).collect();
                format!("huge pages of {} KiB", sizes.join(" and "))
            }
        };
        let parts = [
            date.clone(),
            format!("{processors} × {processor}"),
            memory.clone(),
            format!("Linux {kernel}"),
            huge_pages,
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

/// The sizes in which the kernel hands out memory to those who did not ask for it. Each has a file
/// below `folder`, and can inherit what the folder itself says: see "Transparent Hugepage Support"
/// in the kernel's administration guide.
fn huge_pages_kib(folder: &Path) -> Vec<u64> {
    let selected = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("enabled")).unwrap_or_default();
        let selected = text
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        selected.map(|(selected, _)| selected.to_owned())
    };
    let all = selected(folder);
    let mut sizes: Vec<u64> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let size = name.to_str()?.strip_prefix("hugepages-")?;
            let kib = size.strip_suffix("kB")?.parse().ok()?;
            let selected = match selected(&entry.path())? {
                own if own == "inherit" => all.clone()?,
                own => own,
            };
            (selected == "always").then_some(kib)
        })
        .collect();
    sizes.sort_unstable();
    sizes
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
    fn huge_pages_are_those_that_everybody_gets() {
        let folder = tempfile::tempdir().unwrap();
        let set = |name: &str, value: &str| {
            let folder = folder.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("enabled"), value).unwrap();
        };
        assert!(huge_pages_kib(folder.path()).is_empty());
        set("", "always [madvise] never\n");
        set("hugepages-64kB", "[always] inherit madvise never\n");
        set("hugepages-16kB", "always inherit [madvise] never\n");
        set("hugepages-2048kB", "always [inherit] madvise never\n");
        assert_eq!(huge_pages_kib(folder.path()), [64]);
        set("", "[always] madvise never\n");
        assert_eq!(huge_pages_kib(folder.path()), [64, 2048]);
    }
}
