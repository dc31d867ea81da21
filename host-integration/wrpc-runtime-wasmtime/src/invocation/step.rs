//! How far an invocation has come.

use std::fmt;

/// The steps of an invocation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// There is no room for an instance in the engine's pool, or for the stack that it runs on. Nothing ran.
    NoRoom,
    /// The component is instantiated.
    Instantiate,
    /// The function is looked up in the instance.
    Resolve,
    /// The parameters are received and decoded. The guest has not been entered.
    Parameters,
    /// The function runs. It may have run in part.
    Call,
    /// The results are encoded and sent. The function has run.
    Results,
    /// The guest cleans up after the call. The results have been sent.
    PostReturn,
    /// Whatever it was in, its time was over. It may have run in part.
    TimedOut,
    /// The process stops: the function was ended where it was. It may have run in part.
    Stopped,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "there was no room for an instance of the component",
            Self::Instantiate => "the component could not be instantiated",
            Self::Resolve => "the instance does not have the function",
            Self::Parameters => "its parameters could not be received",
            Self::Call => "the component trapped, or returned what no component may",
            Self::Results => "its results could not be sent",
            Self::PostReturn => "the component trapped when it cleaned up after the call",
            Self::TimedOut => "it did not come to its end in time",
            Self::Stopped => "it was ended because this host stops",
        })
    }
}
