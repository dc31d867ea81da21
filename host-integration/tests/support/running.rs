//! A process of a test.

use std::process::{Child, Command, Stdio};

/// A process that goes on until this is dropped, which kills it.
pub(crate) struct Running {
    pub(crate) process: Child,
}

impl Running {
    /// Starts it. It has no input, and its output goes nowhere.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().expect("the binary runs");
        Self { process }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
