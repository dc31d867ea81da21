//! The values of the host's options that concern in-host invocation.

use std::fmt;
use std::str::FromStr;

/// Which way a call may go: the values of the host's `--local-dispatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalDispatch {
    /// In memory where the callee is on this host, else over NATS. The host's default.
    Prefer,
    /// Always over NATS.
    Off,
}

/// What carries a call in memory: the values of the host's `--local-backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// tokio's DuplexStream.
    Duplex,
    /// tokio's mpsc channel.
    Mpsc,
}

impl fmt::Display for LocalDispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefer => "prefer",
            Self::Off => "off",
        })
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplex => "duplex",
            Self::Mpsc => "mpsc",
        })
    }
}

/// A name that is none of the values of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    name: String,
    known: &'static str,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not one of {}", self.name, self.known)
    }
}

impl std::error::Error for UnknownName {}

impl FromStr for LocalDispatch {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "prefer" => Ok(Self::Prefer),
            "off" => Ok(Self::Off),
            _ => Err(UnknownName {
                name: name.to_owned(),
                known: "prefer, off",
            }),
        }
    }
}

impl FromStr for Backend {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "duplex" => Ok(Self::Duplex),
            "mpsc" => Ok(Self::Mpsc),
            _ => Err(UnknownName {
                name: name.to_owned(),
                known: "duplex, mpsc",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["prefer", "off"] {
            assert_eq!(name.parse::<LocalDispatch>().unwrap().to_string(), name);
        }
        for name in ["duplex", "mpsc"] {
            assert_eq!(name.parse::<Backend>().unwrap().to_string(), name);
        }
        let error = "nats".parse::<Backend>().unwrap_err().to_string();
        assert_eq!(error, "\"nats\" is not one of duplex, mpsc");
    }
}
