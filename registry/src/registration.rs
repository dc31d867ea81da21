use std::fmt;
use std::sync::Arc;

use crate::key::Key;
use crate::registry::Table;
use crate::scope::Scope;

/// A function is registered for as long as this lives.
///
/// Dropping it removes exactly this registration, never a newer one of the same function.
#[must_use = "dropping a registration removes it"]
pub struct Registration<T> {
    pub(crate) table: Arc<Table<T>>,
    pub(crate) key: Key,
    pub(crate) generation: u64,
    pub(crate) value: Arc<T>,
    /// Keeps the address that is in `key` from being given to another connection.
    pub(crate) _scope: Scope,
}

impl<T> Registration<T> {
    /// What was registered.
    pub fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// What was registered for the same function before this and is still there, oldest first.
    pub fn older(&self) -> Vec<Arc<T>> {
        self.table.older(&self.key, self.generation)
    }

    /// The number of this registration: a later one of the same registry has a higher one.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl<T> Drop for Registration<T> {
    fn drop(&mut self) {
        self.table.remove(&self.key, self.generation);
    }
}

impl<T> fmt::Debug for Registration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("key", &self.key)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
