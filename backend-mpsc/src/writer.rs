use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use crate::budget::poll_budget;
use crate::message::counts;

/// The writing half of a stream. The reader sees end of stream after `shutdown`, and when this is dropped.
pub struct Writer {
    /// `None` after `shutdown`.
    messages: Option<UnboundedSender<Bytes>>,
    room: Arc<Semaphore>,
    /// As how many bytes a message counts at least.
    least: u32,
    /// Stands in line for room. Made when a write has to wait for the first time: most never do.
    in_line: Option<PollSemaphore>,
    /// Whether `in_line` was asked for permits that it has not given.
    waits: bool,
}

impl Writer {
    pub(crate) fn new(messages: UnboundedSender<Bytes>, room: Arc<Semaphore>, least: u32) -> Self {
        Self {
            messages: Some(messages),
            room,
            least,
            in_line: None,
            waits: false,
        }
    }

    /// Takes room for a message of at least one byte and at most `wanted`, and says for how many.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let least = self.least as usize;
        let taken = if self.waits || self.room.available_permits() < least {
            // A write that was given up while it waited is still in line, and may have got its permits by now.
            self.waits = true;
            let in_line = self
                .in_line
                .get_or_insert_with(|| PollSemaphore::new(Arc::clone(&self.room)));
            let permit = ready!(in_line.poll_acquire_many(cx, self.least));
            self.waits = false;
            match permit {
                Some(permit) => permit.forget(),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
            least
        } else {
            ready!(poll_budget(cx));
            0
        };
        // There is one writer, so the room that is seen here can grow but not shrink before it is taken.
        let more = self.room.available_permits();
        let more = more.min(counts(wanted, self.least) - taken);
        match self.room.try_acquire_many(clamp(more)) {
            Ok(permits) => {
                let more = permits.num_permits();
                permits.forget();
                Poll::Ready(Ok(wanted.min(taken + more)))
            }
            Err(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

/// Permits are counted in `u32`. A write of more than 4 GiB is cut, as any write may be.
fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.messages.is_none() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = ready!(this.poll_room(cx, buf.len()))?;
        let sent = this
            .messages
            .as_ref()
            .is_some_and(|messages| messages.send(Bytes::copy_from_slice(&buf[..n])).is_ok());
        Poll::Ready(if sent {
            Ok(n)
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().messages = None;
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("shut_down", &self.messages.is_none())
            .field("room", &self.room.available_permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use inhost_dispatch::Backend as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_test::{assert_pending, assert_ready_ok, task};

    use super::*;
    use crate::MpscBackend;

    #[test]
    fn short_writes_count_as_the_memory_that_their_messages_take_up() {
        let limit = NonZeroUsize::new(64 << 10).expect("not zero");
        let (mut writer, mut reader) = MpscBackend::new(limit).stream();
        for round in 0..3 {
            let mut written = 0;
            loop {
                let mut write = task::spawn(writer.write(b"."));
                match write.poll() {
                    Poll::Ready(n) => written += n.expect("there is a reader"),
                    Poll::Pending => break,
                }
            }
            assert_eq!(written, 1024, "{round}");
            let mut read = vec![0; written];
            let all = reader.read_exact(&mut read);
            assert_ready_ok!(task::spawn(tokio::task::unconstrained(all)).poll());
        }
    }

    #[test]
    fn a_short_write_waits_for_the_room_of_a_message_and_a_long_one_takes_what_there_is() {
        let limit = NonZeroUsize::new(64 << 10).expect("not zero");
        let (mut writer, mut reader) = MpscBackend::new(limit).stream();
        let most = vec![0; (64 << 10) - 10];
        assert_ready_ok!(task::spawn(writer.write_all(&most)).poll());
        let mut write = task::spawn(writer.write(b"."));
        assert_pending!(write.poll());
        let mut read = vec![0; 54];
        assert_ready_ok!(task::spawn(reader.read_exact(&mut read)).poll());
        assert!(write.is_woken());
        assert_ready_ok!(write.poll());
        drop(write);
        let mut read = vec![0; 64];
        assert_ready_ok!(task::spawn(reader.read_exact(&mut read)).poll());
        let n = assert_ready_ok!(task::spawn(writer.write(&[0; 1000])).poll());
        assert_eq!(n, 64);
    }
}
