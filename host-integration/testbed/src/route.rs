//! The ways that calls can go, and the hosts whose calls go them.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::host::{Backend, Host, HostBuilder, LocalDispatch};

/// Which way calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Over NATS, on a stock host.
    Stock,
    /// Over NATS, as those of a stock host do, on this host.
    Nats,
    /// In memory, over tokio's DuplexStream.
    Duplex,
    /// In memory, over tokio's mpsc channel.
    Mpsc,
    /// In memory, to instances of the callee that serve many calls.
    Reuse,
    /// Inside one component, composed of caller and callee ahead of time.
    Composed,
    /// Without a host: from Rust, to a new instance each time.
    Fresh,
    /// Without a host: from Rust, to one instance.
    Warm,
}

/// What `--reuse-instances` is given for the route [`Route::Reuse`].
const REUSE: &str = "callee=1000";

impl Route {
    /// The ways of calls between two components on one of our hosts.
    pub const OURS: [Self; 3] = [Self::Nats, Self::Duplex, Self::Mpsc];

    /// Those in memory.
    pub const LOCAL: [Self; 2] = [Self::Duplex, Self::Mpsc];

    /// All, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Stock,
        Self::Nats,
        Self::Duplex,
        Self::Mpsc,
        Self::Reuse,
        Self::Composed,
        Self::Fresh,
        Self::Warm,
    ];

    /// Whether calls stay in the process.
    #[must_use]
    pub fn is_local(self) -> bool {
        !matches!(self, Self::Stock | Self::Nats)
    }

    /// The host whose calls go this way, in a lattice of its own. `None` for a route without a
    /// host, and for one without a program to start.
    #[must_use]
    pub fn builder(self, binaries: &Binaries) -> Option<HostBuilder> {
        let ours = Host::builder(&binaries.host);
        let host = match self {
            Self::Stock => Host::stock(binaries.stock.as_ref()?),
            Self::Nats => ours.local_dispatch(LocalDispatch::Off),
            Self::Duplex | Self::Composed => ours.backend(Backend::Duplex),
            Self::Mpsc => ours.backend(Backend::Mpsc),
            Self::Reuse => ours.args(["--reuse-instances", REUSE]),
            Self::Fresh | Self::Warm => return None,
        };
        Some(host.lattice(self.to_string()))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stock => "stock",
            Self::Nats => "nats",
            Self::Duplex => "duplex",
            Self::Mpsc => "mpsc",
            Self::Reuse => "reuse",
            Self::Composed => "composed",
            Self::Fresh => "fresh",
            Self::Warm => "warm",
        })
    }
}

/// The programs that are started.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// Our host, with both backends.
    pub host: PathBuf,
    /// The stock host, if it has a part.
    pub stock: Option<PathBuf>,
}
