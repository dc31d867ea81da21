use std::future::{poll_fn, Future};
use std::sync::PoisonError;
use std::task::{Poll, Waker};

use loom::sync::{Mutex, MutexGuard};

/// Stands in for tokio's `Notify`, of which it has what this crate uses: loom cannot look into tokio's.
pub(crate) struct Notify(Mutex<State>);

struct State {
    calls: usize,
    waiters: Vec<Waker>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            calls: 0,
            waiters: Vec::new(),
        }))
    }

    /// As tokio's, it is told of each call of `notify_waiters` that comes after it was made, polled or not.
    pub(crate) fn notified(&self) -> impl Future<Output = ()> + '_ {
        let seen = self.lock().calls;
        poll_fn(move |cx| {
            let mut state = self.lock();
            if state.calls != seen {
                return Poll::Ready(());
            }
            state.waiters.push(cx.waker().clone());
            Poll::Pending
        })
    }

    pub(crate) fn notify_waiters(&self) {
        let mut state = self.lock();
        state.calls += 1;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
