//! Byte streams of an in-host invocation over tokio's [`mpsc`] channel of
//! [`Bytes`](bytes::Bytes).
//!
//! The channel itself counts messages, and what has to be bounded is bytes. So the channel has no bound of its own,
//! and a semaphore beside it has a permit for each byte that the stream may hold: a writer takes permits for what it
//! writes, a reader gives them back for what it has read. Closing the semaphore is how a reader that goes away wakes
//! a writer that waits.

use std::num::NonZeroUsize;
use std::sync::Arc;

use inhost_dispatch::Backend;
use tokio::sync::{mpsc, Semaphore};

mod budget;
mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// Makes byte streams that hold up to a limit of bytes, in one message for each write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpscBackend {
    limit: NonZeroUsize,
}

impl MpscBackend {
    /// A writer waits when its stream holds `limit` bytes that were not read. Limits above
    /// [`Semaphore::MAX_PERMITS`] are cut down to it.
    pub const fn new(limit: NonZeroUsize) -> Self {
        Self { limit }
    }
}

impl Backend for MpscBackend {
    type Writer = Writer;
    type Reader = Reader;

    fn stream(&self) -> (Writer, Reader) {
        let room = Arc::new(Semaphore::new(self.limit.get().min(Semaphore::MAX_PERMITS)));
        let (sender, receiver) = mpsc::unbounded_channel();
        (
            Writer::new(sender, Arc::clone(&room)),
            Reader::new(receiver, room),
        )
    }
}
