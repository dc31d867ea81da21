use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Whether calls may be carried in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// In memory when the callee is on this host, else over the remote transport.
    #[default]
    Prefer,
    /// In memory, and nowhere else: a call to a function that is not served on this host fails at once, and one that
    /// finds the queue full waits.
    Require,
    /// Always over the remote transport: the behaviour of a stock host.
    Off,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::Off => "off",
        })
    }
}

/// A text that names no [`Mode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no dispatch mode: use `prefer` (in memory when the callee is on this host), `require` (in memory or not at \
     all) or `off` (never in memory)"
)]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "off" => Ok(Self::Off),
            _ => Err(UnknownMode(s.into())),
        }
    }
}

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
        let target = self.targets.get(Self::target(prefix));
        target.copied().unwrap_or(self.default)
    }

    /// That of all targets that have none of their own.
    pub fn host(&self) -> Mode {
        self.default
    }

    /// The targets that have one of their own, in no order.
    pub fn targets(&self) -> impl Iterator<Item = (&str, Mode)> {
        self.targets.iter().map(|(target, mode)| (&**target, *mode))
    }

    pub(crate) fn target(prefix: &str) -> &str {
        prefix.rsplit_once('.').map_or(prefix, |(_, target)| target)
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

/// Which way a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// In memory, to a function served on this host.
    Local,
    /// Over the remote transport: the function is not served on this host, or the mode forbids to look.
    Remote,
    /// Over the remote transport, because the queue of the local endpoint was full, or emptied so
    /// slowly that another host is faster.
    Spilled,
    /// Over the remote transport, because the local endpoint closed before it took the call.
    Fallback,
    /// Nowhere: the function is not served on this host, and the mode is [`Mode::Require`].
    Refused,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Spilled => "spilled",
            Self::Fallback => "fallback",
            Self::Refused => "refused",
        })
    }
}

/// How a local call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The callee finished its results.
    Completed,
    /// The callee took the parameters, or said that it runs, and ended without finishing its results.
    Failed,
    /// The callee's side took the call out of the queue and dropped it as it was: a policy denied it.
    Denied,
    /// The function did not run: it stopped being served here before, or there was no room for it.
    NotRun,
    /// The caller left before the results were finished.
    CallerLeft,
}

impl Outcome {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Completed,
        Self::Failed,
        Self::Denied,
        Self::NotRun,
        Self::CallerLeft,
    ];
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::NotRun => "not_run",
            Self::CallerLeft => "caller_left",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in [Mode::Prefer, Mode::Require, Mode::Off] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
    }

    #[test]
    fn an_unknown_mode_is_named_in_the_error() {
        let error = "Prefer".parse::<Mode>().unwrap_err().to_string();
        assert!(
            error.contains("`Prefer`") && error.contains("`prefer`"),
            "{error}"
        );
    }

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
