use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::Semaphore;

use crate::budget::poll_budget;
use crate::message::counts;

/// The reading half of a stream. Dropping it loses what was not read, and fails the writer with `BrokenPipe`.
#[derive(Debug)]
pub struct Reader {
    messages: UnboundedReceiver<Bytes>,
    /// What is left of the message that is being read.
    message: Bytes,
    room: Arc<Semaphore>,
    /// What was read in this poll, and is not given back yet.
    room_back: usize,
    least: u32,
}

impl Reader {
    pub(crate) fn new(
        messages: UnboundedReceiver<Bytes>,
        room: Arc<Semaphore>,
        least: u32,
    ) -> Self {
        Self {
            messages,
            message: Bytes::new(),
            room,
            room_back: 0,
            least,
        }
    }

    /// Begins to read a message. What it counts beyond its bytes is given back with the first of them.
    fn begin(&mut self, message: Bytes) {
        let len = message.len();
        self.room_back += counts(len, self.least) - len;
        self.message = message;
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.message.is_empty() {
            match ready!(this.messages.poll_recv(cx)) {
                Some(message) => this.begin(message),
                None => return Poll::Ready(Ok(())),
            }
        } else {
            ready!(poll_budget(cx));
        }
        loop {
            let n = this.message.len().min(buf.remaining());
            buf.put_slice(&this.message[..n]);
            this.message.advance(n);
            this.room_back += n;
            if buf.remaining() == 0 {
                break;
            }
            // Several short ones are read at once.
            match this.messages.try_recv() {
                Ok(message) => this.begin(message),
                Err(_) => break,
            }
        }
        this.room.add_permits(std::mem::take(&mut this.room_back));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use inhost_dispatch::Backend as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_test::{assert_ready_ok, task};

    use crate::MpscBackend;

    #[test]
    fn short_messages_are_read_at_once() {
        let limit = NonZeroUsize::new(64 << 10).expect("not zero");
        let (mut writer, mut reader) = MpscBackend::new(limit).stream();
        for message in [&b"a"[..], b"bc", b"def"] {
            assert_ready_ok!(task::spawn(writer.write_all(message)).poll());
        }
        let mut read = [0; 5];
        let n = assert_ready_ok!(task::spawn(reader.read(&mut read)).poll());
        assert_eq!((n, &read), (5, b"abcde"));
        let n = assert_ready_ok!(task::spawn(reader.read(&mut read)).poll());
        assert_eq!((n, &read[..1]), (1, &b"f"[..]));
    }
}
