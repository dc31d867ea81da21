//! Byte streams of an in-host invocation over tokio's [`mpsc`] channel of
//! [`Bytes`](bytes::Bytes).
//!
//! The channel itself counts messages, and what has to be bounded is bytes. So the channel has no
//! bound of its own, and a semaphore beside it has a permit for each byte that the stream may hold:
//! a writer takes permits for what it writes, a reader gives them back for what it has read. A
//! message takes up memory of its own, so a short one counts as a thousandth of the limit. Closing
//! the semaphore is how a reader that goes away wakes a writer that waits.
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use inhost_backend_mpsc::MpscBackend;
//! use inhost_dispatch::Backend as _;
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! // A writer waits when its stream holds 5 bytes that were not read.
//! let backend = MpscBackend::new(NonZeroUsize::new(5).expect("not zero"));
//! let (mut writer, mut reader) = backend.stream();
//! let write = async {
//!     writer.write_all(b"hello, world").await?;
//!     writer.shutdown().await
//! };
//! let mut text = String::new();
//! let read = reader.read_to_string(&mut text);
//! tokio::try_join!(write, read)?;
//! assert_eq!(text, "hello, world");
//!
//! // A writer whose reader has gone is told so.
//! let (mut writer, reader) = backend.stream();
//! drop(reader);
//! let error = writer.write_all(b"hello").await.unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
//! # Ok(())
//! # }
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;

use inhost_dispatch::Backend;
use tokio::sync::{mpsc, Semaphore};

mod budget;
mod message;
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
    /// A writer waits when its stream holds `limit` bytes that were not read, or 1,024 messages. Limits above
    /// [`Semaphore::MAX_PERMITS`] are cut down to it.
    pub const fn new(limit: NonZeroUsize) -> Self {
        Self { limit }
    }
}

impl Backend for MpscBackend {
    type Writer = Writer;
    type Reader = Reader;

    fn stream(&self) -> (Writer, Reader) {
        let limit = self.limit.get().min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(limit));
        let least = message::least(limit);
        let (sender, receiver) = mpsc::unbounded_channel();
        (
            Writer::new(sender, Arc::clone(&room), least),
            Reader::new(receiver, room, least),
        )
    }
}
