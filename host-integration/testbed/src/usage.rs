//! What a process uses of the machine: memory in RAM, and time of its processors.

use std::time::Duration;

use anyhow::Context as _;

/// How many ticks the kernel counts in a second, whatever its own clock does: what proc(5) calls `USER_HZ`.
const TICKS_PER_SECOND: u64 = 100;

/// What the process with this id uses. Linux tells; elsewhere nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage(u32);

impl Usage {
    /// Of the process with the id `process`.
    #[must_use]
    pub fn of(process: u32) -> Self {
        Self(process)
    }

    /// The memory of the process that is in RAM, in bytes; `None` where there is no `/proc`.
    #[must_use]
    pub fn resident_bytes(self) -> Option<u64> {
        bytes(&self.read("status")?, "VmRSS:")
    }

    /// The most memory that the process has had in RAM, in bytes, since its start or the last
    /// [`Usage::reset_peak`]; `None` where there is no `/proc`.
    #[must_use]
    pub fn peak_resident_bytes(self) -> Option<u64> {
        bytes(&self.read("status")?, "VmHWM:")
    }

    /// Forgets the peak: from now on [`Usage::peak_resident_bytes`] starts from what is in RAM now.
    ///
    /// # Errors
    ///
    /// Where the system offers no way to do that. It takes Linux, and the right to change the process.
    pub fn reset_peak(self) -> anyhow::Result<()> {
        let path = format!("/proc/{}/clear_refs", self.0);
        // What proc(5) gives this number for.
        std::fs::write(&path, "5").with_context(|| {
            format!("the peak of a process's memory cannot be reset here: writing to {path} failed")
        })
    }

    /// The time that processors have spent on the process since its start, in the process and in
    /// the kernel for it, to a hundredth of a second; `None` where there is no `/proc`.
    #[must_use]
    pub fn cpu_time(self) -> Option<Duration> {
        cpu_time(&self.read("stat")?)
    }

    fn read(self, file: &str) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0)).ok()
    }
}

/// The field of that name in the text of `/proc/PID/status`.
fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// `utime` and `stime` together in the text of `/proc/PID/stat`.
fn cpu_time(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses, and may contain anything. The third comes after it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_told_apart() {
        let status = "Name:\twasmcloud\nVmPeak:\t  999 kB\nVmHWM:\t   3072 kB\nVmRSS:\t   2048 kB\nThreads:\t3\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(2 << 20));
        assert_eq!(bytes(status, "VmHWM:"), Some(3 << 20));
        assert_eq!(bytes("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn time_is_read_whatever_the_program_is_called() {
        let stat = "7 (a (b) 1 2) S 1 7 7 0 -1 4194560 9 0 0 0 150 25 0 0 20 0 3 0 99 1 2";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(cpu_time("7 (a) S 1"), None);
        assert_eq!(cpu_time(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn time_that_was_spent_is_counted() {
        let usage = Usage::of(std::process::id());
        let before = usage.cpu_time().unwrap();
        while usage.cpu_time().unwrap() < before + Duration::from_millis(20) {
            std::hint::black_box(vec![1_u8; 1 << 20]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_there_until_it_is_reset() {
        const LARGE: usize = 64 << 20;
        let this = Usage::of(std::process::id());
        let before = this.resident_bytes().unwrap();
        drop(std::hint::black_box(vec![1_u8; LARGE]));
        let peak = this.peak_resident_bytes().unwrap();
        assert!(peak >= before + LARGE as u64 / 2, "{before} {peak}");
        this.reset_peak().unwrap();
        let reset = this.peak_resident_bytes().unwrap();
        assert!(reset < peak - LARGE as u64 / 2, "{peak} {reset}");
    }

    #[test]
    fn a_peak_that_cannot_be_reset_says_so() {
        // No process has this id.
        let error = Usage::of(u32::MAX).reset_peak().unwrap_err().to_string();
        assert!(error.contains("cannot be reset here"), "{error}");
    }
}
