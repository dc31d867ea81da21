//! A waker that does not wake a guest which gives way.
//!
//! wasmtime wakes the task of a guest that gives way in the same breath, so that it would be polled
//! again before the thread has looked for anything that comes from outside. With this one, it stays
//! away for as long as [`Turns`](super::Turns) says.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use super::GIVES_WAY;

/// What wakes a guest that computes.
pub(super) struct Quiet {
    inner: Arc<Inner>,
    waker: Waker,
}

struct Inner(Mutex<Waker>);

impl Quiet {
    pub(super) fn new(task: Waker) -> Self {
        let inner = Arc::new(Inner(Mutex::new(task)));
        let waker = Waker::from(Arc::clone(&inner));
        Self { inner, waker }
    }

    /// The waker to poll with, for what is polled in a task that `task` wakes.
    pub(super) fn waker(&self, task: &Waker) -> &Waker {
        let mut known = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.will_wake(task) {
            known.clone_from(task);
        }
        &self.waker
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Said on this thread by the guest itself, on its way out of a poll. Whoever polled it
        // polls it again by itself.
        if GIVES_WAY.get() {
            return;
        }
        // Not woken under the lock.
        let task = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_wakes_the_task_that_polled_last_unless_a_guest_on_this_thread_gives_way() {
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let counts = || [&first, &second].map(|count| count.0.load(Ordering::Relaxed));
        let quiet = Quiet::new(Arc::clone(&first).into());
        let waker = quiet.waker(&Arc::clone(&first).into()).clone();
        waker.wake_by_ref();
        assert_eq!(counts(), [1, 0]);
        quiet.waker(&Arc::clone(&second).into());
        waker.wake_by_ref();
        assert_eq!(counts(), [1, 1]);
        GIVES_WAY.set(true);
        waker.wake_by_ref();
        // Others are not held up by what a guest on this thread does.
        std::thread::scope(|threads| {
            threads.spawn(|| waker.wake_by_ref());
        });
        GIVES_WAY.set(false);
        assert_eq!(counts(), [1, 2]);
    }
}
