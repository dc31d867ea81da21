//! Instances that wait for their next invocation.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::component::Instance;
use wasmtime::Store;

use crate::turns;
use crate::view::WrpcView;

/// How many instances wait at most. More than that have been in use at the same time only when that many calls ran at
/// once, and each holds memory.
const MOST: usize = 32;

/// An instance in a store of its own.
pub(crate) struct Ready<T: 'static> {
    pub(crate) store: Store<T>,
    pub(crate) instance: Instance,
    /// How many invocations it has served.
    served: u32,
}

impl<T> Ready<T> {
    /// One that has served none.
    pub(crate) fn new(store: Store<T>, instance: Instance) -> Self {
        Self {
            store,
            instance,
            served: 0,
        }
    }
}

/// Those that wait. The one that was used last is used next: most of what it needs is still in the processor's caches.
pub(crate) struct Kept<T: 'static> {
    waiting: Mutex<Vec<Ready<T>>>,
    /// How many invocations an instance serves.
    calls: NonZeroU32,
}

impl<T: WrpcView + 'static> Kept<T> {
    /// None wait. Each instance is to serve up to `calls` invocations.
    pub(crate) fn new(calls: NonZeroU32) -> Self {
        Self {
            waiting: Mutex::new(Vec::new()),
            calls,
        }
    }

    /// One that waits, with its deadline set anew.
    pub(crate) fn take(&self) -> Option<Ready<T>> {
        let mut ready = self.lock().pop()?;
        if let Some(timeout) = ready.store.data().timeout() {
            // As the host sets it for a new store: the epoch advances once a second, as far as the host knows.
            ready.store.set_epoch_deadline(timeout.as_secs());
        }
        turns::again(&mut ready.store);
        Some(ready)
    }

    /// Keeps an instance that has served one more invocation, unless that was its last one.
    pub(crate) fn keep(&self, mut ready: Ready<T>) {
        ready.served += 1;
        if ready.served >= self.calls.get() {
            return;
        }
        let mut waiting = self.lock();
        if waiting.len() < MOST {
            waiting.push(ready);
        } else {
            // To end an instance takes its time: not under the lock.
            drop(waiting);
            drop(ready);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ready<T>>> {
        // Nothing in here can leave the list half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
