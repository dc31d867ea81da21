use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::connection::State;
use async_nats::{Message, ServerInfo};
use tokio::time::Instant;

use super::call::Call;
use super::failure::Failure;
use super::watch::{Seen, Verdict, Watch};

/// The calls that have streams at an inbox, by the number in their subjects.
pub(super) struct Table {
    /// What all subjects of the inbox begin with, up to the number.
    prefix: Box<str>,
    inner: Mutex<Inner>,
}

struct Inner {
    calls: HashMap<u128, Arc<Call>>,
    watch: Watch,
    /// Nothing is delivered any more.
    closed: bool,
}

impl Table {
    pub(super) fn new(prefix: Box<str>) -> Self {
        Self {
            prefix,
            inner: Mutex::new(Inner {
                calls: HashMap::new(),
                watch: Watch::new(),
                closed: false,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics halfway through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The subject of the call with this number. Its streams have subjects that begin with it and a dot.
    pub(super) fn subject(&self, number: u128) -> String {
        format!("{}{number:032x}", self.prefix)
    }

    pub(super) fn len(&self) -> usize {
        self.inner().calls.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inner().closed
    }

    /// Enters the call that `make` makes for the current generation of the connection.
    ///
    /// # Errors
    ///
    /// [`Failure::Closed`] when nothing is delivered any more.
    pub(super) fn enter(
        &self,
        number: u128,
        make: impl FnOnce(u64) -> Call,
    ) -> Result<Arc<Call>, Failure> {
        let mut inner = self.inner();
        if inner.closed {
            return Err(Failure::Closed);
        }
        let call = Arc::new(make(inner.watch.generation()));
        inner.calls.insert(number, Arc::clone(&call));
        Ok(call)
    }

    pub(super) fn remove(&self, number: u128) {
        let removed = self.inner().calls.remove(&number);
        // What the call holds is freed here, after the lock.
        drop(removed);
    }

    /// Hands a message to the call that it is for. There may be none: its streams have been dropped, and the other side
    /// has not heard of it.
    pub(super) fn route(&self, message: Message) {
        let subject = message.subject.clone();
        let Some((number, rest)) = self.parse(subject.as_str()) else {
            return;
        };
        let (call, generation) = {
            let inner = self.inner();
            (inner.calls.get(&number).cloned(), inner.watch.generation())
        };
        if let Some(call) = call {
            call.deliver(rest, message, generation);
        }
    }

    fn parse<'a>(&self, subject: &'a str) -> Option<(u128, &'a str)> {
        let subject = subject.strip_prefix(&*self.prefix)?;
        let (number, rest) = subject.split_at(subject.find('.').unwrap_or(subject.len()));
        Some((u128::from_str_radix(number, 16).ok()?, rest))
    }

    /// Takes note of how the connection is.
    pub(super) fn look(&self, state: &State, info: ServerInfo) {
        let seen = match state {
            State::Connected => Seen::Up(info.server_id, info.client_id),
            State::Pending | State::Disconnected => Seen::Down,
        };
        self.inner().watch.look(Instant::now(), seen);
    }

    /// Fails the calls that have waited for too long without a connection.
    pub(super) fn judge(&self) {
        let (verdict, calls): (_, Vec<_>) = {
            let mut inner = self.inner();
            let Some(verdict) = inner.watch.verdict(Instant::now()) else {
                return;
            };
            (verdict, inner.calls.values().cloned().collect())
        };
        for call in calls {
            match &verdict {
                Verdict::All(failure) => call.fail(failure.clone()),
                Verdict::UpTo(generation, failure) => call.fail_if_of(*generation, failure),
            }
        }
    }

    /// Fails all calls, and those that are entered later.
    pub(super) fn close(&self) {
        let calls: Vec<_> = {
            let mut inner = self.inner();
            inner.closed = true;
            inner.calls.values().cloned().collect()
        };
        for call in calls {
            call.fail(Failure::Closed);
        }
    }
}
