//! An invocation as the transport has it: messages and streams, and where the work of one is done.

pub(crate) mod invoke;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod off_fiber;
pub(crate) mod peer;
pub(crate) mod root;
pub(crate) mod span;
pub(crate) mod step;
