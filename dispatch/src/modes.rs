//! The modes of a host's calls as they are now: they can be changed while calls are made.
//!
//! Each call looks, without a lock.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use papaya::HashMap;

use crate::route::{Mode, Modes};

pub(crate) struct LiveModes {
    host: AtomicU8,
    /// Whether a target ever had a mode of its own.
    has_targets: AtomicBool,
    targets: HashMap<Box<str>, Mode>,
    /// As they were at the beginning.
    begun: Modes,
}

impl LiveModes {
    pub(crate) fn new(modes: &Modes) -> Self {
        let live = Self {
            host: AtomicU8::new(number(modes.host())),
            has_targets: AtomicBool::new(false),
            targets: HashMap::new(),
            begun: modes.clone(),
        };
        for (target, mode) in modes.targets() {
            live.set(Some(target), Some(mode));
        }
        live
    }

    /// The mode of calls to `prefix`.
    pub(crate) fn of(&self, prefix: &str) -> Mode {
        if self.has_targets.load(Ordering::Acquire) {
            let target = Modes::target(prefix);
            if let Some(mode) = self.targets.pin().get(target) {
                return *mode;
            }
        }
        self.host()
    }

    fn host(&self) -> Mode {
        mode(self.host.load(Ordering::Acquire))
    }

    /// That of `target`, or of all that have none of their own. With `None`, a target has the one
    /// that it had at the beginning, or none of its own.
    pub(crate) fn set(&self, target: Option<&str>, mode: Option<Mode>) {
        let begun = || self.begun.targets().find(|(name, _)| Some(*name) == target);
        match (target, mode.or_else(|| Some(begun()?.1))) {
            (Some(target), Some(mode)) => {
                self.targets.pin().insert(target.into(), mode);
                self.has_targets.store(true, Ordering::Release);
            }
            (Some(target), None) => {
                self.targets.pin().remove(target);
            }
            (None, Some(mode)) => self.host.store(number(mode), Ordering::Release),
            (None, None) => {}
        }
    }

    /// As they are right now.
    pub(crate) fn snapshot(&self) -> Modes {
        let targets = self.targets.pin();
        let targets = targets.iter();
        targets.fold(Modes::new(self.host()), |modes, (target, mode)| {
            modes.with(&**target, *mode)
        })
    }
}

fn number(mode: Mode) -> u8 {
    match mode {
        Mode::Prefer => 0,
        Mode::Require => 1,
        Mode::Off => 2,
    }
}

fn mode(number: u8) -> Mode {
    match number {
        0 => Mode::Prefer,
        1 => Mode::Require,
        _ => Mode::Off,
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_found_and_what_is_taken_back_is_not() {
        let modes = Modes::new(Mode::Require).with("a", Mode::Off);
        let live = LiveModes::new(&modes);
        assert_eq!(live.snapshot(), modes);
        live.set(Some("b"), Some(Mode::Prefer));
        live.set(None, Some(Mode::Off));
        live.set(Some("a"), Some(Mode::Prefer));
        live.set(Some("c"), Some(Mode::Prefer));
        // What it was started with is in force again: it may be there to keep permissions of NATS in force.
        live.set(Some("a"), None);
        live.set(Some("c"), None);
        let now = Modes::new(Mode::Off).with("a", Mode::Off);
        assert_eq!(live.snapshot(), now.with("b", Mode::Prefer));
        assert_eq!((live.of("x.a"), live.of("x.b")), (Mode::Off, Mode::Prefer));
    }

    #[test]
    fn a_mode_is_what_it_was_stored_as() {
        for it in [Mode::Prefer, Mode::Require, Mode::Off] {
            assert_eq!(mode(number(it)), it);
        }
    }
}
