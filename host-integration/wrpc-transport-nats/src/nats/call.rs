use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_nats::{Message, Subject};
use bytes::Bytes;

use super::failure::{Failure, Target};
use super::queue::{Next, Queue};
use super::subject::{self, PARAMS, RESULTS};

/// How many bytes of one call may wait to be read at one end, over all of its streams.
///
/// NATS has no flow control for a stream, only for a connection. Upstream stops reading from the
/// inbox when a reader is slow, so all other calls of the client wait, while the messages of all
/// pile up in memory without a bound in bytes (and are dropped beyond 65,536 messages). Here a
/// call's messages pile up for that call only. What a call carries has to fit a component's memory,
/// which is 256 MiB in a host that was not told otherwise; a reader that has not started yet,
/// because the callee waits for a permit, say, has to be able to hold that. Whoever sends more than
/// that without being read gets that call ended, and no other.
const LIMIT: usize = 256 * 1024 * 1024 + 16 * 1024 * 1024;

/// The paths that a call has streams at. `None` stands for any index.
pub(crate) type Paths = Arc<[Box<[Option<usize>]>]>;

/// One end of one call: what has arrived for it.
pub(crate) struct Call {
    target: Target,
    end: End,
    paths: Option<Paths>,
    state: Mutex<State>,
}

/// Which end of the call this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It waits for the callee's answer, then for results.
    Caller,
    /// It waits for parameters.
    Callee,
}

#[derive(Default)]
struct State {
    /// Where the callee wants the parameters. Caller only.
    answer: Option<Subject>,
    /// Who waits for the answer; a slot for each parameter stream.
    writers: Vec<Option<Waker>>,
    root: Queue,
    nested: HashMap<Box<[usize]>, Queue>,
    /// What all queues hold.
    cost: usize,
    /// No one reads any of the queues any more, nor can ask for one.
    abandoned: bool,
    /// The generation of the connection in which the call was last heard of.
    generation: u64,
    failure: Option<Failure>,
}

impl Call {
    /// The caller's end of a call that goes out over a connection of this generation.
    pub(crate) fn caller(target: Target, paths: Option<Paths>, generation: u64) -> Self {
        Self::new(target, End::Caller, paths, generation)
    }

    /// The callee's end of a call that came in over a connection of this generation.
    pub(crate) fn callee(target: Target, paths: Option<Paths>, generation: u64) -> Self {
        Self::new(target, End::Callee, paths, generation)
    }

    fn new(target: Target, end: End, paths: Option<Paths>, generation: u64) -> Self {
        let mut state = State {
            generation,
            ..State::default()
        };
        state.root.take();
        Self {
            target,
            end,
            paths,
            state: Mutex::new(state),
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message whose subject is that of the call followed by `rest`, which begins with a dot if it is not
    /// empty. It arrived in this generation of the connection.
    pub(super) fn deliver(&self, rest: &str, message: Message, generation: u64) {
        if rest.is_empty() {
            if self.end == End::Caller {
                self.answered(message);
            }
            return;
        }
        let stream = match self.end {
            End::Caller => RESULTS,
            End::Callee => PARAMS,
        };
        let Some(path) = rest.strip_prefix('.').and_then(|r| r.strip_prefix(stream)) else {
            return;
        };
        let path = match path.strip_prefix('.') {
            None if path.is_empty() => None,
            None => return,
            Some(path) => match subject::parse_path(path) {
                Some(path) if self.announced(&path) => Some(path),
                _ => return,
            },
        };
        let woken = {
            let mut state = self.state();
            if state.failure.is_some() || state.abandoned {
                return;
            }
            state.generation = generation;
            let queue = match path {
                None => &mut state.root,
                Some(path) => state.nested.entry(path).or_default(),
            };
            let (cost, waker) = queue.push(message.payload);
            state.cost += cost;
            if state.cost > LIMIT {
                drop(state);
                self.fail(Failure::TooMuch(LIMIT));
            }
            waker
        };
        if let Some(waker) = woken {
            waker.wake();
        }
    }

    fn announced(&self, path: &[usize]) -> bool {
        let fits = |pattern: &[Option<usize>]| {
            pattern.len() == path.len()
                && pattern
                    .iter()
                    .zip(path)
                    .all(|(any, i)| any.is_none_or(|any| any == *i))
        };
        self.paths.iter().any(|p| p.iter().any(|p| fits(p)))
    }

    /// The callee, or the server in its place, has answered.
    fn answered(&self, message: Message) {
        let failure = message
            .status
            .and_then(|code| Failure::of_status(code, message.description));
        let reply = match (failure, message.reply) {
            // Someone has answered, and may have run it: from here on it cannot be that no one serves it.
            (Some(Failure::NoResponders), _) if self.state().answer.is_some() => return,
            (Some(failure), _) => return self.fail(failure),
            (None, None) => return self.fail(Failure::NoReplySubject),
            (None, Some(reply)) => reply,
        };
        let writers = {
            let mut state = self.state();
            if state.answer.is_some() || state.failure.is_some() {
                return;
            }
            state.answer = Some(Subject::from(subject::param_subject(&reply)));
            std::mem::take(&mut state.writers)
        };
        writers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Fails the streams that have not ended. What has arrived is read first, unless it is too much. The first failure
    /// counts.
    pub(super) fn fail(&self, failure: Failure) {
        let mut unread = Vec::new();
        let mut wakers = Vec::new();
        {
            let mut state = self.state();
            if state.failure.is_some() {
                return;
            }
            let State {
                root,
                nested,
                writers,
                cost,
                ..
            } = &mut *state;
            for queue in std::iter::once(root).chain(nested.values_mut()) {
                wakers.extend(queue.waiter());
                if matches!(failure, Failure::TooMuch(_)) {
                    unread.push(queue.clear());
                    *cost = 0;
                }
            }
            wakers.extend(writers.drain(..).flatten());
            state.failure = Some(failure);
        }
        drop(unread);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Fails the call if nothing was heard of it after this generation of the connection.
    pub(super) fn fail_if_of(&self, generation: u64, failure: &Failure) {
        if self.state().generation <= generation {
            self.fail(failure.clone());
        }
    }

    /// A place to wait for the answer, for one parameter stream.
    pub(super) fn writer(&self) -> usize {
        let mut state = self.state();
        state.writers.push(None);
        state.writers.len() - 1
    }

    /// Where the parameters go, once the callee has answered.
    pub(super) fn poll_answer(
        &self,
        writer: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Subject>> {
        let mut state = self.state();
        if let Some(subject) = &state.answer {
            return Poll::Ready(Ok(subject.clone()));
        }
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.clone().of(&self.target)));
        }
        if let Some(slot) = state.writers.get_mut(writer) {
            *slot = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The next bytes of the stream at `path`; none at its end.
    pub(super) fn poll_next(
        &self,
        path: &[usize],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Bytes>> {
        let mut state = self.state();
        let Some(queue) = state.queue(path) else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        let (cost, next) = queue.next();
        state.cost = state.cost.saturating_sub(cost);
        match next {
            Next::Bytes(bytes) => Poll::Ready(Ok(bytes)),
            Next::End => Poll::Ready(Ok(Bytes::new())),
            Next::Nothing => {
                if let Some(failure) = &state.failure {
                    return Poll::Ready(Err(failure.clone().of(&self.target)));
                }
                if let Some(queue) = state.queue(path) {
                    queue.wait(cx.waker());
                }
                Poll::Pending
            }
        }
    }

    /// Gives the stream at `path` to a reader. `false` if the call has none there, or it was given before.
    pub(super) fn take(&self, path: &[usize]) -> bool {
        self.announced(path) && self.state().nested.entry(path.into()).or_default().take()
    }

    /// The reader of the stream at `path` has gone.
    pub(super) fn abandon(&self, path: &[usize]) {
        let mut state = self.state();
        if let Some(queue) = state.queue(path) {
            let (cost, unread) = queue.abandon();
            state.cost = state.cost.saturating_sub(cost);
            drop(state);
            drop(unread);
        }
    }

    /// All readers have gone, so no one can ask for what no one has asked for yet.
    pub(super) fn abandon_all(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.cost = 0;
        let unread = (
            std::mem::take(&mut state.root),
            std::mem::take(&mut state.nested),
        );
        drop(state);
        drop(unread);
    }
}

impl State {
    fn queue(&mut self, path: &[usize]) -> Option<&mut Queue> {
        match path {
            [] => Some(&mut self.root),
            path => self.nested.get_mut(path),
        }
    }
}

#[cfg(test)]
mod tests;
