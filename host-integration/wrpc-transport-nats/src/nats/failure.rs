use std::fmt;
use std::io;
use std::time::Duration;

use async_nats::{StatusCode, Subject};

use super::subject::PROTOCOL;
use crate::subscriptions::instances_of;

/// The function that a call is for, in the form of the subject it was sent to. A clone is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(pub(crate) Subject);

/// How many instances an error names.
const NAMED: usize = 8;

impl Target {
    /// What this process serves of the component, for people: what was asked for may have another version.
    fn served_here(&self) -> Option<String> {
        let (prefix, _) = self.0.split_once(PROTOCOL)?;
        let instances = instances_of(prefix.trim_end_matches('.'), NAMED + 1);
        let named = instances.iter().take(NAMED);
        let named: Vec<_> = named.map(|it| format!("`{it}`")).collect();
        let more = if instances.len() > NAMED {
            " and more"
        } else {
            ""
        };
        (!named.is_empty()).then(|| named.join(", ") + more)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.0.as_str();
        let function = |at: usize| &subject[at + PROTOCOL.len()..];
        match subject.find(PROTOCOL) {
            Some(0) => write!(f, "`{}`", function(0).trim_start_matches('.')),
            Some(at) => write!(
                f,
                "`{}` of `{}`",
                function(at).trim_start_matches('.'),
                subject[..at].trim_end_matches('.')
            ),
            None => write!(f, "`{subject}`"),
        }
    }
}

/// Why a call over NATS cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server knows no one who serves the function. Nothing ran.
    #[error("not connected: no one serves the function; check that the component runs and that its id is right")]
    NoResponders,
    /// The server gave the call up, with status 408.
    #[error("the NATS server says that the call timed out")]
    TimedOut,
    /// The server ended the call, with status 409.
    #[error("the NATS server ended the call")]
    Terminated,
    /// The call was answered with a status that is no success.
    #[error("the call was answered with the NATS status {code}{}", .description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Status {
        /// The status.
        code: u16,
        /// What the sender of the status says about it.
        description: Option<String>,
    },
    /// The callee's answer does not say where parameters are to be sent. So answers a host that serves the function no
    /// more, or stops, when a call has arrived that it will not run.
    #[error("the call was not taken: the component or its host is being stopped, or does not speak wRPC")]
    NoReplySubject,
    /// There was no connection to send the call on. Nothing ran.
    #[error("there is no connection to the NATS server since {} s; the call was not sent, so nothing ran", .0.as_secs())]
    NotSent(Duration),
    /// The connection has been down for too long.
    #[error(
        "the connection to the NATS server was lost while the call was in flight, and is down since {} s; \
         the function may or may not have run",
        .0.as_secs()
    )]
    Lost(Duration),
    /// The connection was down and is up again, and nothing of the call has arrived since.
    #[error(
        "the connection to the NATS server was interrupted while the call was in flight, and nothing was heard of it \
         in the {} s since; the function may or may not have run",
        .0.as_secs()
    )]
    Interrupted(Duration),
    /// The NATS client was closed, or the runtime it was used on has shut down.
    #[error("the NATS client was closed while the call was in flight; the function may or may not have run")]
    Closed,
    /// More bytes of the call have arrived and wait to be read than a call may have.
    #[error(
        "more than {0} bytes of the call wait to be read: its reader is too slow for its writer"
    )]
    TooMuch(usize),
}

impl Failure {
    /// What an answer's status means, if it is no success.
    pub(super) fn of_status(code: StatusCode, description: Option<String>) -> Option<Self> {
        match code {
            StatusCode::NO_RESPONDERS => Some(Self::NoResponders),
            StatusCode::TIMEOUT => Some(Self::TimedOut),
            StatusCode::REQUEST_TERMINATED => Some(Self::Terminated),
            code if code.is_success() => None,
            code => Some(Self::Status {
                code: code.into(),
                description,
            }),
        }
    }

    /// The kind of the [`io::Error`]. For what upstream knows it is upstream's: hosts look at it.
    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NoResponders => io::ErrorKind::NotConnected,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Terminated => io::ErrorKind::UnexpectedEof,
            Self::Status { .. } => io::ErrorKind::Other,
            Self::NoReplySubject => io::ErrorKind::InvalidInput,
            Self::NotSent(_) | Self::Lost(_) => io::ErrorKind::NetworkDown,
            Self::Interrupted(_) => io::ErrorKind::ConnectionReset,
            Self::Closed => io::ErrorKind::ConnectionAborted,
            Self::TooMuch(_) => io::ErrorKind::OutOfMemory,
        }
    }

    pub(crate) fn of(self, target: &Target) -> io::Error {
        let served_here = match self {
            Self::NoResponders => target.served_here(),
            _ => None,
        };
        let failed = CallFailed {
            subject: target.clone(),
            failure: self,
            served_here,
        };
        io::Error::new(failed.failure.kind(), failed)
    }
}

/// What an [`io::Error`] of a remote call's streams holds.
#[derive(Clone, Debug)]
pub struct CallFailed {
    subject: Target,
    failure: Failure,
    served_here: Option<String>,
}

impl CallFailed {
    /// The subject that the call was sent to. It names the prefix, the instance and the function.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.subject.0.as_str()
    }

    /// What happened.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call of {} over NATS: {}", self.subject, self.failure)?;
        match &self.served_here {
            Some(served) => write!(f, "; on this host it serves {served}"),
            None => Ok(()),
        }
    }
}

// Without a source: the host classifies an error by its root cause, which has to be the `io::Error` around this.
impl std::error::Error for CallFailed {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::subject::invocation_subject;

    #[test]
    fn a_target_names_prefix_instance_and_function() {
        let target = |prefix, instance| {
            Target(invocation_subject(prefix, instance, "run").into()).to_string()
        };
        assert_eq!(
            target("default.callee", "a:b/c@1.0.0"),
            "`a:b/c@1.0.0.run` of `default.callee`"
        );
        assert_eq!(target("", "a:b/c"), "`a:b/c.run`");
        assert_eq!(target("", ""), "`run`");
    }

    #[test]
    fn the_root_cause_is_an_io_error_that_the_host_can_classify() {
        let target = Target("default.callee.wrpc.0.0.1.a.run".into());
        let error = anyhow::Error::new(Failure::NoResponders.of(&target)).context("outer");
        let root = error.root_cause().downcast_ref::<io::Error>();
        assert_eq!(root.map(io::Error::kind), Some(io::ErrorKind::NotConnected));
        let text = format!("{error:#}");
        assert!(text.contains("`a.run` of `default.callee`"), "{text}");
    }
}
