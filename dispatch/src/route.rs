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

/// Which way a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// In memory, to a function served on this host.
    Local,
    /// Over the remote transport: the function is not served on this host, or the mode forbids to look.
    Remote,
    /// Over the remote transport, because the queue of the local endpoint was full.
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
}
