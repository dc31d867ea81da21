use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;

/// What a message costs beside its bytes, roughly. It bounds the number of messages too.
const OVERHEAD: usize = 64;

/// The messages of one stream that have arrived and were not read.
#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<Bytes>,
    /// The empty message has arrived. Nothing comes after it.
    ended: bool,
    reader: Reader,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reader {
    /// No one has asked for the stream yet.
    #[default]
    None,
    Present,
    Gone,
}

/// What a stream has for its reader.
pub(super) enum Next {
    Bytes(Bytes),
    End,
    Nothing,
}

impl Queue {
    /// Gives the stream to a reader. `false` if it has been given before.
    pub(super) fn take(&mut self) -> bool {
        let free = self.reader == Reader::None;
        if free {
            self.reader = Reader::Present;
        }
        free
    }

    /// Adds a message, and returns what it costs and who waits for it.
    pub(super) fn push(&mut self, message: Bytes) -> (usize, Option<Waker>) {
        if self.ended || self.reader == Reader::Gone {
            return (0, None);
        }
        let mut cost = 0;
        if message.is_empty() {
            self.ended = true;
        } else {
            cost = message.len() + OVERHEAD;
            self.messages.push_back(message);
        }
        (cost, self.waker.take())
    }

    /// The next message, and what it has cost.
    pub(super) fn next(&mut self) -> (usize, Next) {
        match self.messages.pop_front() {
            Some(message) => (message.len() + OVERHEAD, Next::Bytes(message)),
            None if self.ended => (0, Next::End),
            None => (0, Next::Nothing),
        }
    }

    /// Remembers who waits.
    pub(super) fn wait(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Drops what was not read.
    pub(super) fn clear(&mut self) -> VecDeque<Bytes> {
        std::mem::take(&mut self.messages)
    }

    /// The reader has gone: nothing is kept from here on. Returns what was not read, and what it has cost.
    pub(super) fn abandon(&mut self) -> (usize, VecDeque<Bytes>) {
        self.reader = Reader::Gone;
        self.waker = None;
        let messages = self.clear();
        (messages.iter().map(|m| m.len() + OVERHEAD).sum(), messages)
    }

    /// Who waits, to be told of a failure.
    pub(super) fn waiter(&mut self) -> Option<Waker> {
        self.waker.take()
    }
}
