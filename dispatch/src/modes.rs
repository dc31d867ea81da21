use std::collections::HashMap;

use crate::route::Mode;

/// The mode of a host's calls, and of those to single targets.
///
/// A target is what follows the last dot of a wRPC prefix: the component ID in wasmCloud, where prefixes are
/// `lattice.component-id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    default: Mode,
    targets: HashMap<Box<str>, Mode>,
}

impl Modes {
    /// `mode` for all targets.
    pub fn new(mode: Mode) -> Self {
        Self {
            default: mode,
            targets: HashMap::new(),
        }
    }

    /// These, with `mode` for `target`, whatever it was before.
    #[must_use]
    pub fn with(mut self, target: impl Into<Box<str>>, mode: Mode) -> Self {
        self.targets.insert(target.into(), mode);
        self
    }

    /// The mode of calls to `prefix`.
    pub fn of(&self, prefix: &str) -> Mode {
        if self.targets.is_empty() {
            return self.default;
        }
        let target = prefix.rsplit_once('.').map_or(prefix, |(_, target)| target);
        self.targets.get(target).copied().unwrap_or(self.default)
    }

    /// Whether no call is carried in memory, whatever its target.
    pub(crate) fn are_off(&self) -> bool {
        let mut targets = self.targets.values();
        self.default == Mode::Off && targets.all(|mode| *mode == Mode::Off)
    }
}

impl From<Mode> for Modes {
    fn from(mode: Mode) -> Self {
        Self::new(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_what_follows_the_last_dot() {
        let modes = Modes::new(Mode::Prefer)
            .with("callee", Mode::Require)
            .with("other", Mode::Off);
        for (prefix, mode) in [
            ("default.callee", Mode::Require),
            ("a.lattice.with.dots.callee", Mode::Require),
            ("callee", Mode::Require),
            ("default.other", Mode::Off),
            ("callee.third", Mode::Prefer),
            ("default.callee2", Mode::Prefer),
        ] {
            assert_eq!(modes.of(prefix), mode, "{prefix}");
        }
    }
}
