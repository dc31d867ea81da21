use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::observe::{name, Target};

/// How a local call can fail. It is the inner error of the [`io::Error`] that a stream of the call returns.
///
/// The component is named by its prefix: `lattice.component-id` in wasmCloud.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The callee took the call and ended without results. It may have run in part.
    ///
    /// The [`io::ErrorKind`] is `ConnectionAborted`. There is no [`source`](Error::source), because
    /// who classifies a call by the root of its error would find what happened to a call that the
    /// *callee* made, and may make this one again.
    #[error(
        "{target} failed: it took the call and ended without finishing its results{}{}",
        .cause.as_ref().map_or(NO_CAUSE, |_| ": "),
        .cause.as_deref().unwrap_or_default()
    )]
    #[non_exhaustive]
    CalleeFailed {
        /// The function, its instance and its component.
        target: String,
        /// What the callee said about it, with all that led to it; see
        /// [`Caller::failed`](crate::Caller::failed). It says nothing when it is stopped or when
        /// its host refuses the invocation.
        cause: Option<Arc<str>>,
    },
    /// The callee stopped being served here before it ran the call. It did not run, so the call can be repeated.
    ///
    /// The [`io::ErrorKind`] is `NotConnected`, as for a call to a function that no one serves.
    #[error(
        "{target} stopped being served on this host before it ran the call; the function did not run, so the call \
         can be repeated"
    )]
    #[non_exhaustive]
    NotAccepted {
        /// The function, its instance and its component.
        target: String,
    },
    /// The callee's side had no room for the call: see [`Caller::refused`](crate::Caller::refused).
    /// It did not run, so the call can be repeated, later or elsewhere.
    ///
    /// The [`io::ErrorKind`] is `ResourceBusy`.
    #[error("{target} had no room for the call; the function did not run, so the call can be repeated: {cause}")]
    #[non_exhaustive]
    NoRoom {
        /// The function, its instance and its component.
        target: String,
        /// What there is no room for, and what to do.
        cause: Arc<str>,
        /// Whether another host served the component as well when the call was made, and the call
        /// may go there: see [`elsewhere`](crate::elsewhere).
        served_elsewhere: bool,
    },
    /// The callee is not served on this host, and the mode of calls to it is [`Mode::Require`](crate::Mode::Require).
    ///
    /// The [`io::ErrorKind`] is `NotConnected`, as for a call to a function that no one serves.
    #[error(
        "{target} is not served on this host, and calls to it must stay here (local dispatch is `require`): {}",
        .served.as_deref().map_or_else(
            || "start the component on this host, or use the mode `prefer` for it".to_owned(),
            |served| format!(
                "here it serves {served}. Build both components against the same version, or use the mode `prefer` for it"
            ),
        )
    )]
    #[non_exhaustive]
    NotServedHere {
        /// The function, its instance and its component.
        target: String,
        /// The instances that the component serves here, each with its version, up to eight of
        /// them. `None` when it serves nothing here.
        served: Option<Arc<str>>,
    },
    /// The other side of the call dropped the stream that this side writes to.
    ///
    /// The [`io::ErrorKind`] is `BrokenPipe`.
    #[error(
        "nobody reads what is written for {target} any more: the other side of the call is gone"
    )]
    #[non_exhaustive]
    ReaderGone {
        /// The function, its instance and its component.
        target: String,
    },
    /// The caller of a call, here or elsewhere, has not sent the parameters for too long; see
    /// [`Local::receive_within`](crate::Local::receive_within).
    ///
    /// The [`io::ErrorKind`] is `TimedOut`.
    #[error("the caller of {target} has not sent all parameters within {limit:?}, so the function did not run")]
    #[non_exhaustive]
    ParamsLate {
        /// The function, its instance and its component.
        target: String,
        /// How long they may take.
        limit: Duration,
    },
    /// The caller of a call, here or elsewhere, sends more parameters than the callee can hold; see
    /// [`Local::receive_at_most`](crate::Local::receive_at_most).
    ///
    /// The [`io::ErrorKind`] is `InvalidData`.
    #[error(
        "the caller of {target} sends more than {limit} bytes of parameters, which is more than the memory of a guest can hold, \
         so the function did not run. Send less at a time, or let guests have more memory \
         (`--max-linear-memory-bytes`)"
    )]
    #[non_exhaustive]
    ParamsTooLarge {
        /// The function, its instance and its component.
        target: String,
        /// How many bytes they may have.
        limit: usize,
    },
    /// A stream of the call is written faster than it is read, by a writer that does not wait when
    /// it is told to: what it has piled up is more than it may.
    ///
    /// The [`io::ErrorKind`] is `OutOfMemory`.
    #[error(
        "more than {limit} bytes of a stream of a call to {target} wait to be read, and its writer goes on: its reader is too slow \
         for it, or has not started"
    )]
    #[non_exhaustive]
    NotRead {
        /// The function, its instance and its component.
        target: String,
        /// How many bytes may wait.
        limit: usize,
    },
    /// One side asked for the same path twice.
    #[error(
        "path {path:?} of a call to {target} was taken before; each path has one stream each way"
    )]
    #[non_exhaustive]
    PathTaken {
        /// The function, its instance and its component.
        target: String,
        /// The path, from the root of the call.
        path: Box<[usize]>,
    },
    /// A stream was asked for an empty path, which is the stream itself.
    #[error("an empty path was asked for in a call to {target}; ask for a nested one")]
    #[non_exhaustive]
    EmptyPath {
        /// The function, its instance and its component.
        target: String,
    },
}

impl CallError {
    pub(crate) fn callee_failed(target: &Target, cause: Option<&Arc<str>>) -> io::Error {
        let target = target.to_string();
        let cause = cause.cloned();
        io::Error::new(
            io::ErrorKind::ConnectionAborted,
            Self::CalleeFailed { target, cause },
        )
    }

    pub(crate) fn not_accepted(target: &Target) -> io::Error {
        let target = target.to_string();
        io::Error::new(io::ErrorKind::NotConnected, Self::NotAccepted { target })
    }

    pub(crate) fn no_room(target: &Target, cause: Arc<str>, served_elsewhere: bool) -> io::Error {
        let error = Self::NoRoom {
            target: target.to_string(),
            cause,
            served_elsewhere,
        };
        io::Error::new(io::ErrorKind::ResourceBusy, error)
    }

    pub(crate) fn params_late(target: &Target, limit: Duration) -> io::Error {
        let target = target.to_string();
        io::Error::new(io::ErrorKind::TimedOut, Self::ParamsLate { target, limit })
    }

    /// The function runs, so its caller cannot take this for something that may be tried again.
    pub(crate) fn stream_late(target: &Target, limit: Duration) -> io::Error {
        let error = format!(
            "the caller of {target} has not sent all of a stream within {limit:?}, which is as long as a call may take"
        );
        io::Error::new(io::ErrorKind::TimedOut, error)
    }

    pub(crate) fn params_too_large(target: &Target, limit: usize) -> io::Error {
        let target = target.to_string();
        let error = Self::ParamsTooLarge { target, limit };
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    pub(crate) fn not_read(target: &Target, limit: usize) -> io::Error {
        let target = target.to_string();
        io::Error::new(io::ErrorKind::OutOfMemory, Self::NotRead { target, limit })
    }

    /// The process has ended its calls. Who looks at the kind finds nothing to do about it.
    pub(crate) fn not_made(prefix: &str, instance: &str, function: &str) -> io::Error {
        let target = name(prefix, instance, function);
        io::Error::other(format!(
            "{target} was not called: this host stops, and the time for calls to end is over"
        ))
    }

    /// `instances` are those that the component serves here.
    pub(crate) fn not_served_here(
        prefix: &str,
        instance: &str,
        function: &str,
        instances: &[Box<str>],
    ) -> io::Error {
        let target = name(prefix, instance, function);
        let named = instances.iter().take(NAMED);
        let named: Vec<_> = named.map(|it| format!("`{it}`")).collect();
        let more = if instances.len() > NAMED {
            " and more"
        } else {
            ""
        };
        let served = (!named.is_empty()).then(|| (named.join(", ") + more).into());
        io::Error::new(
            io::ErrorKind::NotConnected,
            Self::NotServedHere { target, served },
        )
    }

    /// The error of a local call that is in `error` or in what it stems from.
    ///
    /// Errors pass through [`io::Error`], whose inner error is not one of its sources; this looks there too.
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(|error| error.get_ref());
            let found = error
                .downcast_ref()
                .or_else(|| inner.and_then(|inner| inner.downcast_ref()));
            if found.is_some() {
                return found;
            }
            next = error.source();
        }
        None
    }

    pub(crate) fn reader_gone(target: &Target) -> io::Error {
        let target = target.to_string();
        io::Error::new(io::ErrorKind::BrokenPipe, Self::ReaderGone { target })
    }
}

/// How many instances an error names.
const NAMED: usize = 8;

/// Where to look when the callee gave no cause.
const NO_CAUSE: &str = " (it was denied, stopped, or cancelled); the log of this host has more";

/// An error in one line: what it says, and what each of its sources does.
pub(crate) fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
