//! What can be asked for.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// One line of input.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Request {
    /// Compiles the callee for the runs that follow. Answers nothing.
    Load {
        /// The component's file.
        callee: PathBuf,
    },
    /// Calls the callee. Answers `durations`, of each call, and `wall_ns`, of it all, in nanoseconds.
    Run(Run),
    /// Makes requests of the HTTP component. Answers as [`Request::Run`] does.
    Http(Http),
    /// Makes calls that do not end as long as this program runs. Answers how many of that component are `parked` now.
    Park {
        /// The file of a component that exports `echo`, whose `wait` is called, or `driver`, whose `call-wait` is.
        component: PathBuf,
        /// How many calls.
        count: u32,
    },
    /// Looks functions up in the registry. Answers `ns`: nanoseconds a lookup.
    Lookup(Lookup),
}

/// See [`Request::Run`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) floor: Floor,
    pub(crate) workload: Workload,
    /// Bytes of `echo`, strings of `strings`.
    pub(crate) size: u32,
    /// How many tasks call at the same time.
    pub(crate) callers: u32,
    /// How many calls each makes.
    pub(crate) calls: u32,
}

/// What a call takes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Floor {
    /// A new store and a new instance for each call.
    Fresh,
    /// One instance for all calls of a caller.
    Warm,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// `ping`.
    Ping,
    /// `echo-bytes`.
    Echo,
    /// `echo-strings`.
    Strings,
    /// `echo-record`.
    Record,
}

/// See [`Request::Lookup`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Lookup {
    /// How many functions are registered.
    pub(crate) functions: usize,
    /// In how many components a function is looked up, one after the other; in all of them if there are fewer.
    pub(crate) spread: usize,
    /// How many threads look them up.
    pub(crate) readers: usize,
    /// Whether one more thread registers and removes a function all the time.
    pub(crate) writer: bool,
}

/// See [`Request::Http`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Http {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// How many connections make requests at the same time.
    pub(crate) callers: u32,
    /// How many requests each makes.
    pub(crate) calls: u32,
    /// How long it all may take, in milliseconds.
    pub(crate) deadline_ms: u64,
}
