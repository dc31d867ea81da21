//! What can go wrong, and what to do about it.

use std::time::Duration;

use inhost_backends::BackendKind;

use crate::link::{InvalidLink, Link};

/// Why a lattice was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to carry calls with.
    #[error(
        "this build has no backend to carry calls in memory: build it with `--features duplex` or `--features mpsc`"
    )]
    NoBackend,
    /// The backend that was asked for is not part of this build.
    #[error("this build has no `{0}` backend: build it with `--features {feature}`", feature = .0.feature())]
    BackendNotCompiledIn(BackendKind),
    /// A component has an ID that cannot be one.
    #[error("`{0}` is no component ID: use letters, digits, `-` and `_`")]
    InvalidId(String),
    /// Two components have the same ID.
    #[error("there are two components with the ID `{0}`: give each its own")]
    DuplicateId(String),
    /// Something is said about a component that is not there.
    #[error("{what} names the component `{id}`, which is not in this lattice; it has {}", names(.known))]
    #[non_exhaustive]
    UnknownComponent {
        /// What names it: a link or a configuration.
        what: String,
        /// The component that is not there.
        id: String,
        /// The components that are.
        known: Vec<String>,
    },
    /// A link is not well-formed.
    #[error(transparent)]
    InvalidLink(#[from] InvalidLink),
    /// Two links have the same source, interface and name.
    #[error("the link `{0}` is there twice: give one of the two another name")]
    DuplicateLink(Link),
    /// The runtime cannot be started with these limits.
    #[error("cannot start the runtime; if there is not enough address space, lower the limits `instances` or `memory`")]
    Runtime(#[source] anyhow::Error),
    /// What was given for a component is none that can run here.
    #[error("cannot start the component `{id}`")]
    #[non_exhaustive]
    Component {
        /// Its ID.
        id: String,
        /// What is wrong.
        source: anyhow::Error,
    },
}

/// Why a call from outside of the lattice did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no such component.
    #[error("there is no component `{id}` in this lattice; it has {}", names(.known))]
    #[non_exhaustive]
    UnknownComponent {
        /// The component that is not there.
        id: String,
        /// The components that are.
        known: Vec<String>,
    },
    /// The component has no such function.
    #[error("the component `{id}` does not export `{function}`; it exports{}", list(.exports))]
    #[non_exhaustive]
    NotExported {
        /// The component.
        id: String,
        /// The function that was asked for.
        function: String,
        /// The functions that there are.
        exports: Vec<String>,
    },
    /// The component has several functions of this name.
    #[error("the component `{id}` exports `{function}` more than once; say which version:{}", list(.exports))]
    #[non_exhaustive]
    Ambiguous {
        /// The component.
        id: String,
        /// The function that was asked for.
        function: String,
        /// The functions that it could be.
        exports: Vec<String>,
    },
    /// The function passes something that means nothing outside of a component, or has more types than any needs.
    #[error(
        "`{function}` of the component `{id}` passes resources or streams, or its types are too many to be written down, so \
         it can only be called by another component"
    )]
    #[non_exhaustive]
    NotPlain {
        /// The component.
        id: String,
        /// The function.
        function: String,
    },
    /// The arguments do not fit the function. It did not run.
    #[error("the arguments do not fit `{function}`: {detail}")]
    #[non_exhaustive]
    Arguments {
        /// The function.
        function: String,
        /// Its types.
        signature: String,
        /// What does not fit.
        detail: String,
    },
    /// The function did not return in time. It has been ended, unless it computes without a pause:
    /// then it ends when the runtime notices, within a second or two.
    #[error("`{function}` of the component `{id}` did not return within {limit:?}, which is the limit `execution_time`")]
    #[non_exhaustive]
    TimedOut {
        /// The component.
        id: String,
        /// The function.
        function: String,
        /// The limit.
        limit: Duration,
    },
    /// The function failed, or the lattice was stopped meanwhile.
    #[error("the call of `{function}` of the component `{id}` failed")]
    #[non_exhaustive]
    Failed {
        /// The component.
        id: String,
        /// The function.
        function: String,
        /// What happened.
        source: anyhow::Error,
    },
}

impl CallError {
    /// Whether the call could not be made as it was asked for, so that nothing ran: another component, function or
    /// argument is needed.
    pub fn is_invalid_input(&self) -> bool {
        !matches!(self, Self::TimedOut { .. } | Self::Failed { .. })
    }
}

fn names(ids: &[String]) -> String {
    match ids {
        [] => "none".into(),
        ids => format!("`{}`", ids.join("`, `")),
    }
}

fn list(functions: &[String]) -> String {
    match functions {
        [] => " nothing".into(),
        functions => format!("\n  {}", functions.join("\n  ")),
    }
}
