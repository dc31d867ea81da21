//! The lines that a process wrote, kept in memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{bail, Context as _};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::watch;

/// How many lines are kept. The oldest go first.
const MAX_LINES: usize = 20_000;

/// The lines that a process wrote to standard output and standard error, in the order in which they came.
///
/// Colour codes are removed. The last 20,000 lines are kept. Clones share the lines.
#[derive(Clone, Debug)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: Mutex<VecDeque<String>>,
    /// How many lines have ever been written. Waiters watch it.
    written: watch::Sender<u64>,
    file: Option<Mutex<File>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self::with_file(None)
    }

    /// A log that also writes each line to a new file at `path`.
    pub(crate) fn to_file(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path)
            .with_context(|| format!("cannot create the log file {}", path.display()))?;
        Ok(Self::with_file(Some(Mutex::new(file))))
    }

    fn with_file(file: Option<Mutex<File>>) -> Self {
        Self(Arc::new(Inner {
            lines: Mutex::default(),
            written: watch::Sender::new(0),
            file,
        }))
    }

    pub(crate) fn push(&self, line: &str) {
        let line = without_colour(line);
        if let Some(file) = &self.0.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not stop the process whose log this is.
            let _ = writeln!(file, "{line}");
        }
        {
            let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
        self.0.written.send_modify(|written| *written += 1);
    }

    /// Reads lines from `source` until its end.
    pub(crate) async fn read_from(self, source: impl AsyncRead + Unpin) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        loop {
            line.clear();
            match source.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.push(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n'])),
            }
        }
    }

    /// All lines that are kept, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// The last `count` lines, joined by line ends, or a remark that there are none.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        if lines.is_empty() {
            return "(it wrote nothing)".to_owned();
        }
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// The first kept line for which `matches` holds.
    #[must_use]
    pub fn find(&self, matches: impl Fn(&str) -> bool) -> Option<String> {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| matches(line)).cloned()
    }

    /// Waits until a line contains `text`, and returns that line. Lines that are already there count.
    ///
    /// # Errors
    ///
    /// When no such line came within `deadline`; the error ends with the last lines.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for(&self, text: &str, deadline: Duration) -> anyhow::Result<String> {
        let mut written = self.0.written.subscribe();
        let found = tokio::time::timeout(deadline, async {
            loop {
                written.mark_unchanged();
                if let Some(line) = self.find(|line| line.contains(text)) {
                    return line;
                }
                // The sender lives in `self`.
                let _ = written.changed().await;
            }
        });
        match found.await {
            Ok(line) => Ok(line),
            Err(_) => bail!(
                "no log line contained {text:?} within {deadline:?}. The last lines:\n{}",
                self.tail(30)
            ),
        }
    }
}

/// `line` without the escape sequences that colour it.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or("", |end| &after[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_sees_old_and_new_lines() {
        let log = Log::new();
        log.push("first");
        let deadline = Duration::from_secs(5);
        assert_eq!(log.wait_for("fir", deadline).await.unwrap(), "first");
        let (found, ()) = tokio::join!(log.wait_for("sec", deadline), async { log.push("second") });
        assert_eq!(found.unwrap(), "second");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_in_vain_shows_the_log() {
        let log = Log::new();
        log.push("something else");
        let error = log
            .wait_for("ready", Duration::from_secs(1))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("something else"), "{error}");
    }
}
