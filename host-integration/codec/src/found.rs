//! The resources in a message.

use std::ops::Range;

/// How many streams a message may hold. A stream takes no bytes in it, so a few bytes of a peer
/// could claim billions of them.
pub(crate) const MAX_STREAMS: usize = 4096;

/// A resource in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of its type in the plan.
    pub resource: u32,
    /// Which parameter or result it is in, from 0.
    pub value: usize,
    /// How it passes.
    pub passes: Passes,
}

/// How a resource passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passes {
    /// By its handle: where in the message the bytes of that are.
    Handle(Range<usize>),
    /// As a stream: the path of its content.
    Stream(Vec<usize>),
}
