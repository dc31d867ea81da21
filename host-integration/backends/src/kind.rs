use std::fmt;
use std::str::FromStr;

/// What a byte stream in memory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// tokio's `DuplexStream`. In a build with the cargo feature `duplex`.
    Duplex,
    /// tokio's `mpsc` channel of `Bytes`. In a build with the cargo feature `mpsc`.
    Mpsc,
}

impl BackendKind {
    /// The backends of this build, the default one first.
    pub fn compiled_in() -> &'static [Self] {
        &[
            #[cfg(feature = "duplex")]
            Self::Duplex,
            #[cfg(feature = "mpsc")]
            Self::Mpsc,
        ]
    }

    /// Whether this build has the backend.
    pub fn is_compiled_in(self) -> bool {
        Self::compiled_in().contains(&self)
    }

    /// The cargo feature that compiles the backend in.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Duplex => "duplex",
            Self::Mpsc => "mpsc",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.feature())
    }
}

/// A text that names no [`BackendKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no backend: use `duplex` or `mpsc`")]
pub struct UnknownBackend(String);

impl FromStr for BackendKind {
    type Err = UnknownBackend;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "duplex" => Ok(Self::Duplex),
            "mpsc" => Ok(Self::Mpsc),
            _ => Err(UnknownBackend(s.into())),
        }
    }
}
