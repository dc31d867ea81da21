//! How much memory a host's process has in RAM, and had at most.

use anyhow::Context as _;

use super::Host;

impl Host {
    /// The memory of the process that is in RAM, in bytes; `None` where there is no `/proc`.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most memory that the process has had in RAM, in bytes, since its start or the last
    /// [`Host::reset_peak`]; `None` where there is no `/proc`.
    #[must_use]
    pub fn peak_resident_bytes(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    /// Forgets the peak: from now on [`Host::peak_resident_bytes`] starts from what is in RAM now.
    ///
    /// # Errors
    ///
    /// Where the system offers no way to do that. It takes Linux, and the right to change the process.
    pub fn reset_peak(&self) -> anyhow::Result<()> {
        reset_peak(self.process.id())
    }

    fn memory(&self, field: &str) -> Option<u64> {
        read(self.process.id(), field)
    }
}

fn reset_peak(process: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{process}/clear_refs");
    // What proc(5) gives this number for.
    std::fs::write(&path, "5").with_context(|| {
        format!("the peak of a process's memory cannot be reset here: writing to {path} failed")
    })
}

fn read(process: u32, field: &str) -> Option<u64> {
    let path = format!("/proc/{process}/status");
    bytes(&std::fs::read_to_string(path).ok()?, field)
}

/// The field of that name in the text of `/proc/PID/status`.
fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
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

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_there_until_it_is_reset() {
        const LARGE: usize = 64 << 20;
        let this = std::process::id();
        let before = read(this, "VmRSS:").unwrap();
        drop(std::hint::black_box(vec![1_u8; LARGE]));
        let peak = read(this, "VmHWM:").unwrap();
        assert!(peak >= before + LARGE as u64 / 2, "{before} {peak}");
        reset_peak(this).unwrap();
        let reset = read(this, "VmHWM:").unwrap();
        assert!(reset < peak - LARGE as u64 / 2, "{peak} {reset}");
    }

    #[test]
    fn a_peak_that_cannot_be_reset_says_so() {
        // No process has this id.
        let error = reset_peak(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("cannot be reset here"), "{error}");
    }
}
