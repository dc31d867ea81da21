use std::fmt;
use std::sync::Arc;

use crate::function::Function;
use crate::key::Key;
use crate::registry::Table;
use crate::scope::Scope;

/// A client serves a function for as long as this lives, whenever it is the turn of its generation.
///
/// Dropping it takes the function back. If another generation stands by, it ends the whole
/// generation: a host drops all that it serves of a component at once, and then all functions
/// change over together.
#[must_use = "dropping a registration takes the function back"]
pub struct Registration<T: Function> {
    pub(crate) table: Arc<Table<T>>,
    pub(crate) key: Arc<Key>,
    pub(crate) reader: u64,
    pub(crate) value: Arc<T>,
    /// Keeps the address that is in `key` from being given to another connection.
    pub(crate) _scope: Scope,
}

impl<T: Function> Registration<T> {
    /// What is kept of the function. The other generations of the component have the same.
    pub fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// The number that [`Function::give`] gets when it is the turn of this. It is never 0, and a
    /// later registration has a higher one.
    pub fn reader(&self) -> u64 {
        self.reader
    }
}

impl<T: Function> Drop for Registration<T> {
    fn drop(&mut self) {
        let (reader, key) = (self.reader, &*self.key);
        self.table.change(
            key.component(),
            |it| (!it.ends_a_generation(reader, key)).then_some(key),
            |it| it.unregister(reader, key),
        );
    }
}

impl<T: Function> fmt::Debug for Registration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("key", &self.key)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
