//! Lets go of what serves a generation that was ended from outside.
//!
//! A host that serves a component asks the streams of all its functions for invocations in one task,
//! for ever, and keeps no handle of that task when it puts another version in its place. (Upstream:
//! `instantiate_component`, `handle_update_component_task`.) Streams that end would have it ask again
//! and again, and streams that wait for ever keep the task, and with it the compiled code. So once a
//! generation [has ended](crate::Local::end_older), the task is unwound from within.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::{sleep, Sleep};

/// For how long the task stays. The calls that it has begun run in tasks of their own, and tell it
/// when they have ended, so that they are counted. One that takes longer is not.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// What is thrown. No panic hook hears of it, as nothing has gone wrong.
struct GenerationEnded;

/// All that one client serves.
#[derive(Default)]
pub(crate) struct Leaving {
    over: AtomicBool,
    streams: Mutex<Streams>,
    /// Told when it has ended, and when the last of its streams has gone.
    told: Notify,
}

#[derive(Default)]
struct Streams {
    /// How many there are that may have been asked for an invocation that is still on its way
    /// through whoever asks.
    open: usize,
    /// Those that wait to be told that it is over.
    waiting: HashMap<u64, Waker>,
    /// What is to be done then.
    then: Vec<Box<dyn FnOnce() + Send>>,
}

impl Leaving {
    /// The generation has ended.
    pub(crate) fn end(&self) {
        let mut streams = self.streams();
        self.over.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut streams.waiting);
        let then = std::mem::take(&mut streams.then);
        drop(streams);
        then.into_iter().for_each(|then| then());
        waiting.into_values().for_each(Waker::wake);
        self.told.notify_waiters();
    }

    /// Has `then` called when the generation has ended, at once if it has.
    pub(crate) fn when_ended(&self, then: Box<dyn FnOnce() + Send>) {
        let mut streams = self.streams();
        if self.over.load(Ordering::Acquire) {
            drop(streams);
            then();
        } else {
            streams.then.push(then);
        }
    }

    /// Waits until the generation has ended, or has no stream any more. To be asked when it has had one.
    pub(crate) async fn ended(&self) {
        loop {
            // From here on a notification is not missed.
            let told = self.told.notified();
            if self.over.load(Ordering::Acquire) || self.streams().open == 0 {
                return;
            }
            told.await;
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of one stream in it.
pub(crate) struct Leave {
    generation: Arc<Leaving>,
    /// Tells it from the other streams.
    reader: u64,
    /// Whom it has asked to be woken.
    waker: Option<Waker>,
    rest: Rest,
}

enum Rest {
    /// It is not over.
    Not,
    Until(Pin<Box<Sleep>>),
    /// It has nothing on its way.
    Left,
}

impl Leave {
    pub(crate) fn new(generation: Arc<Leaving>, reader: u64) -> Self {
        generation.streams().open += 1;
        Self {
            generation,
            reader,
            waker: None,
            rest: Rest::Not,
        }
    }

    /// To be asked when the stream has nothing to bring. Has the task woken when the generation ends.
    ///
    /// # Panics
    ///
    /// Unwinds when the generation has ended, [`GRACE`] has passed, and this is the last of its
    /// streams to be asked since: then whoever asks has nothing in hand that any of them has brought.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if !self.is_over(cx) {
            return;
        }
        if let Rest::Not = self.rest {
            self.rest = Rest::Until(Box::pin(sleep(GRACE)));
        }
        let Rest::Until(rest) = &mut self.rest else {
            return;
        };
        if rest.poll_unpin(cx) == Poll::Pending {
            return;
        }
        self.rest = Rest::Left;
        let is_last = self.close();
        // Else there is nothing that would end the task and not the process.
        if is_last && cfg!(panic = "unwind") {
            resume_unwind(Box::new(GenerationEnded));
        }
    }

    fn is_over(&mut self, cx: &Context<'_>) -> bool {
        let is_over = || self.generation.over.load(Ordering::Acquire);
        let known = self.waker.as_ref();
        if is_over() || known.is_some_and(|known| known.will_wake(cx.waker())) {
            return is_over();
        }
        let mut streams = self.generation.streams();
        let replaced = streams.waiting.insert(self.reader, cx.waker().clone());
        // It is ended with the lock.
        let is_over = is_over();
        drop(streams);
        drop(replaced);
        self.waker = Some(cx.waker().clone());
        is_over
    }

    /// Whether it was the last one.
    fn close(&self) -> bool {
        let mut streams = self.generation.streams();
        streams.open -= 1;
        let (waker, is_last) = (streams.waiting.remove(&self.reader), streams.open == 0);
        drop(streams);
        drop(waker);
        if is_last {
            self.generation.told.notify_waiters();
        }
        is_last
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if !matches!(self.rest, Rest::Left) {
            self.close();
        }
    }
}

/// The clients that serve something.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<u64, Weak<Leaving>>>);

impl Clients {
    /// What is to be told when a generation of `client` has ended.
    pub(crate) fn of(&self, client: u64) -> Arc<Leaving> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(&client).and_then(Weak::upgrade) {
            return known;
        }
        clients.retain(|_, it| it.strong_count() > 0);
        let leaving = Arc::default();
        clients.insert(client, Arc::downgrade(&leaving));
        leaving
    }

    /// The generations of these clients have ended.
    pub(crate) fn end(&self, ended: impl IntoIterator<Item = u64>) {
        for client in ended {
            let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let leaving = clients.get(&client).and_then(Weak::upgrade);
            drop(clients);
            if let Some(leaving) = leaving {
                leaving.end();
            }
        }
    }
}
