//! Components that are being replaced: calls to them wait for the new version instead of going elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The prefixes that are being replaced.
#[derive(Debug, Default)]
pub(crate) struct Replacing {
    prefixes: Mutex<HashMap<Box<str>, Entry>>,
    /// How many there are: looked at on the way of every call that finds no endpoint.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Entry {
    replacements: usize,
    /// The generation of the newest endpoint that was registered meanwhile; 0 before that. Older ones are held.
    newest: u64,
    /// Told when a function is registered under the prefix, and when a replacement ends.
    changed: Arc<Notify>,
}

/// A component is being replaced by a new version of itself, for as long as this lives.
///
/// Once a function is served by a newer endpoint, local calls do not go to the older ones any more. When the newer one
/// goes away again, calls wait for the next, or for the end of the replacement; then the older ones get calls again.
/// Unless a newer one has been polled: that ends the older ones for good, with what waits there and with their remote
/// subscription.
pub struct Replacement {
    replacing: Arc<Replacing>,
    prefix: Box<str>,
    /// That of the prefix.
    changed: Arc<Notify>,
}

impl Replacing {
    pub(crate) fn begin(self: &Arc<Self>, prefix: &str) -> Replacement {
        let mut prefixes = self.lock();
        let entry = prefixes.entry(prefix.into()).or_default();
        entry.replacements += 1;
        let changed = Arc::clone(&entry.changed);
        self.count.store(prefixes.len(), Ordering::Release);
        drop(prefixes);
        Replacement {
            replacing: Arc::clone(self),
            prefix: prefix.into(),
            changed,
        }
    }

    /// Whether `prefix` is being replaced.
    pub(crate) fn is_replaced(&self, prefix: &str) -> bool {
        !self.is_idle() && self.lock().contains_key(prefix)
    }

    /// An endpoint is registered under `prefix`, and there are older ones of its function.
    pub(crate) fn registered(&self, prefix: &str, generation: u64) {
        if self.is_idle() {
            return;
        }
        let mut prefixes = self.lock();
        let Some(entry) = prefixes.get_mut(prefix) else {
            return;
        };
        entry.newest = entry.newest.max(generation);
        let changed = Arc::clone(&entry.changed);
        drop(prefixes);
        changed.notify_waiters();
    }

    /// Whether an endpoint under `prefix` is to get no calls for now.
    pub(crate) fn holds(&self, prefix: &str, generation: u64) -> bool {
        if self.is_idle() {
            return false;
        }
        let prefixes = self.lock();
        let entry = prefixes.get(prefix);
        entry.is_some_and(|entry| generation < entry.newest)
    }

    /// What `find` finds. When it finds nothing because endpoints under `prefix` are held or have been ended, waits for
    /// the next one to be registered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn find<T>(&self, prefix: &str, find: impl Fn() -> Option<T>) -> Option<T> {
        loop {
            let next = self.next(prefix);
            // From here on a notification is not missed; what came before it is found.
            let registered = next.as_ref().map(|changed| changed.notified());
            if let found @ Some(_) = find() {
                return found;
            }
            registered?.await;
        }
    }

    /// What to wait for when a function under `prefix` has no endpoint that gets calls.
    fn next(&self, prefix: &str) -> Option<Arc<Notify>> {
        if self.is_idle() {
            return None;
        }
        let prefixes = self.lock();
        let entry = prefixes.get(prefix).filter(|entry| entry.newest > 0)?;
        Some(Arc::clone(&entry.changed))
    }

    fn is_idle(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        // No code of others runs under the lock.
        self.prefixes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replacement {
    /// Waits until a newer endpoint has been registered.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn begun(&self) {
        loop {
            // From here on a notification is not missed.
            let told = self.changed.notified();
            if self.replacing.next(&self.prefix).is_some() {
                return;
            }
            told.await;
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        let mut prefixes = self.replacing.lock();
        let Some(entry) = prefixes.get_mut(&self.prefix) else {
            return;
        };
        entry.replacements -= 1;
        if entry.replacements == 0 {
            prefixes.remove(&self.prefix);
        }
        self.replacing
            .count
            .store(prefixes.len(), Ordering::Release);
        drop(prefixes);
        self.changed.notify_waiters();
    }
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replacement")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
