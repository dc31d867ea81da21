//! The stream at the root of one direction of a call, which most calls never need.
//!
//! Parameters most often come with the invocation, and results in one piece when they are complete.
//! All that a reader has to learn then is that the writer has ended. So a root begins without a
//! byte stream, and gets one when its writer writes:
//!
//! ```text
//!            the writer writes         the reader looks
//!   empty -------------------> made -------------------> taken
//!     |
//!     |-- the writer shuts down or goes --> ended
//!     `-- the reader goes ----------------> unread
//! ```

use std::io;
use std::mem;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::backend::Backend;
use crate::sync::{Mutex, MutexGuard};

#[cfg(all(test, inhost_loom))]
mod loom;

pub(crate) struct LazyStream<B: Backend>(Mutex<State<B>>);

enum State<B: Backend> {
    /// Nothing was written. The task waits to read.
    Empty(Option<Waker>),
    /// Something was written. This is the half for the reader.
    Made(B::Reader),
    /// The reader has its half.
    Taken,
    /// The writer has ended and wrote nothing.
    Ended,
    /// The reader has gone, and nothing was written before.
    Unread,
}

impl<B: Backend> LazyStream<B> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Empty(None)))
    }

    /// The stream to write to, made for the first byte.
    ///
    /// # Errors
    ///
    /// `BrokenPipe`, as of a stream, when the reader has gone, and when the writer has shut down before.
    pub(crate) fn begin(&self, backend: &B) -> io::Result<B::Writer> {
        let mut state = self.lock();
        let State::Empty(waiting) = &mut *state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let waiting = waiting.take();
        let (writer, reader) = backend.stream();
        *state = State::Made(reader);
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        Ok(writer)
    }

    /// The writer has ended. Of no account when it has begun: its stream says so.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        let State::Empty(waiting) = &mut *state else {
            return;
        };
        let waiting = waiting.take();
        *state = State::Ended;
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// The stream to read from, once the writer has begun, and `None` when it ended instead. A
    /// reader that has its stream does not ask again.
    pub(crate) fn poll_begun(&self, cx: &mut Context<'_>) -> Poll<Option<B::Reader>> {
        let mut state = self.lock();
        match &mut *state {
            State::Empty(Some(waiting)) if waiting.will_wake(cx.waker()) => Poll::Pending,
            State::Empty(waiting) => {
                let replaced = waiting.replace(cx.waker().clone());
                drop(state);
                // Not under the lock: dropping a waker can run code.
                drop(replaced);
                Poll::Pending
            }
            State::Made(_) => match mem::replace(&mut *state, State::Taken) {
                State::Made(reader) => Poll::Ready(Some(reader)),
                _ => Poll::Ready(None),
            },
            State::Taken | State::Ended | State::Unread => Poll::Ready(None),
        }
    }

    /// The reader has gone without its stream.
    pub(crate) fn unread(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Empty(_) | State::Made(_)) {
            let left = mem::replace(&mut *state, State::Unread);
            drop(state);
            // A half of a stream wakes the other one when it is dropped: not under the lock.
            drop(left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        // Nothing in here leaves the state half changed, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
