//! The values of the host's options that concern in-host invocation.

use std::fmt;

use clap::ValueEnum;

/// Which way a call may go: the values of the host's `--local-dispatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LocalDispatch {
    /// In memory where the callee is on this host, else over NATS. The host's default.
    Prefer,
    /// Always over NATS.
    Off,
}

/// What carries a call in memory: the values of the host's `--local-backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
