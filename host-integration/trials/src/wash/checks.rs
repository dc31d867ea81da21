//! What was looked at, and what became of it.

use std::time::Duration;

use inhost_measure::progress::Progress;

/// Checks, one after the other. Each is said when the next one begins.
#[derive(Debug)]
pub(super) struct Checks {
    progress: Progress,
    current: Option<String>,
    passed: usize,
}

impl Checks {
    /// None yet, in scenes that take as long as `planned` in all.
    pub(super) fn start(planned: Duration) -> Self {
        Self {
            progress: Progress::start(planned),
            current: None,
            passed: 0,
        }
    }

    /// The next scene.
    pub(super) fn scene(&mut self, what: &str, planned: Duration) {
        self.pass();
        self.progress.step(what, planned);
    }

    /// The check before has passed, and that of `what` begins.
    pub(super) fn begin(&mut self, what: &str) {
        self.pass();
        self.current = Some(what.to_owned());
    }

    fn pass(&mut self) {
        if let Some(what) = self.current.take() {
            self.passed += 1;
            self.progress.print(&format!("passed  {what}"));
        }
    }

    /// All have passed. Returns how many they were.
    pub(super) fn finish(mut self) -> usize {
        self.pass();
        self.progress.finish();
        self.passed
    }

    /// The check that is under way has failed.
    pub(super) fn fail(&mut self) {
        if let Some(what) = self.current.take() {
            self.progress.print(&format!("FAILED  {what}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_passed_when_the_next_begins() {
        let mut checks = Checks::start(Duration::ZERO);
        checks.begin("one");
        assert_eq!(checks.passed, 0);
        checks.begin("two");
        assert_eq!(checks.passed, 1);
        checks.scene("another", Duration::ZERO);
        assert_eq!(checks.passed, 2);
        assert_eq!(checks.finish(), 2);
    }

    #[test]
    fn a_check_that_failed_has_not_passed() {
        let mut checks = Checks::start(Duration::ZERO);
        checks.begin("one");
        checks.begin("two");
        checks.fail();
        assert_eq!(checks.finish(), 1);
    }
}
