use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use foldhash::fast::RandomState;
use papaya::{HashMap, HashMapRef, LocalGuard, Operation};

use crate::key::{Key, KeyRef};
use crate::registration::Registration;
use crate::scope::{Scope, ScopeId};

/// Which function of which component is served on this host, right now.
///
/// Clones share one table. See the [crate documentation](crate) for what it promises.
pub struct Registry<T> {
    table: Arc<Table<T>>,
}

/// What is registered at the moment, without counting who looks at it: see [`Registry::view`].
pub struct View<'a, T>(HashMapRef<'a, Key, Registrations<T>, RandomState, LocalGuard<'a>>);

/// The registrations of one function. There is more than one only while a component is replaced.
struct Registrations<T> {
    /// In the map itself, so that a lookup need not go elsewhere for it.
    newest: Registered<T>,
    /// Oldest first.
    older: Box<[Registered<T>]>,
}

/// A value with the number of its registration.
struct Registered<T> {
    generation: u64,
    value: Arc<T>,
}

pub(crate) struct Table<T> {
    /// Hashed with a seed of its own in each process, by a hash that is quick on short texts: most of a lookup is hashing.
    functions: HashMap<Key, Registrations<T>, RandomState>,
    generations: AtomicU64,
}

impl<T> Registry<T> {
    /// An empty registry.
    pub fn new() -> Self {
        Self {
            table: Arc::new(Table {
                functions: HashMap::with_hasher(RandomState::default()),
                generations: AtomicU64::new(0),
            }),
        }
    }

    /// Registers `value` as what serves `function` of `instance` under `prefix`, until the guard is dropped.
    ///
    /// `prefix` is the wRPC prefix (`lattice.component-id` in wasmCloud), `instance` the WIT instance with its
    /// version, as it stands in an invocation. An earlier registration of the same function stays, hidden by
    /// this one.
    ///
    /// `value` may be kept for a while after the guard was dropped, because someone may be looking at it: what it holds
    /// should be given up by whoever drops the guard.
    pub fn register(
        &self,
        scope: Scope,
        prefix: &str,
        instance: &str,
        function: &str,
        value: Arc<T>,
    ) -> Registration<T> {
        let key = Key {
            scope: scope.id(),
            prefix: prefix.into(),
            instance: instance.into(),
            function: function.into(),
        };
        let generation = self.table.generations.fetch_add(1, Ordering::Relaxed);
        self.table
            .insert(key.clone(), generation, Arc::clone(&value));
        Registration {
            table: Arc::clone(&self.table),
            key,
            generation,
            value,
            _scope: scope,
        }
    }

    /// What serves `function` within `scope`: the newest registration there is.
    ///
    /// Neither allocates nor takes a lock.
    pub fn lookup(
        &self,
        scope: &Scope,
        prefix: &str,
        instance: &str,
        function: &str,
    ) -> Option<Arc<T>> {
        let view = self.view();
        view.get(scope, prefix, instance, function).cloned()
    }

    /// For a look at what is registered that leaves no trace: threads that look at the same function do not disturb each
    /// other, as they would by counting references.
    ///
    /// What is removed while a view exists is freed later. It stays on its thread, and so cannot be held across an await.
    pub fn view(&self) -> View<'_, T> {
        View(self.table.functions.pin())
    }

    /// What is registered, sorted by prefix, instance, function and age. A function that is registered twice is
    /// listed twice; the newest comes last.
    ///
    /// Registrations that come or go meanwhile may or may not be listed.
    pub fn snapshot(&self) -> Vec<Listed<T>> {
        let functions = self.table.functions.pin();
        let mut listed: Vec<_> = functions
            .iter()
            .flat_map(|(key, registrations)| {
                registrations.iter().map(move |registered| Listed {
                    scope: key.scope,
                    prefix: key.prefix.clone(),
                    instance: key.instance.clone(),
                    function: key.function.clone(),
                    generation: registered.generation,
                    value: Arc::clone(&registered.value),
                })
            })
            .collect();
        listed.sort_by(|a, b| a.order().cmp(&b.order()));
        listed
    }

    /// How many functions are registered. A function that is registered twice counts once.
    pub fn len(&self) -> usize {
        self.table.functions.pin().len()
    }

    /// Whether no function is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> View<'_, T> {
    /// What serves `function` within `scope`: the newest registration there is.
    ///
    /// Neither allocates, nor takes a lock, nor writes to what threads share.
    pub fn get(
        &self,
        scope: &Scope,
        prefix: &str,
        instance: &str,
        function: &str,
    ) -> Option<&Arc<T>> {
        let key = KeyRef {
            scope: scope.id(),
            prefix,
            instance,
            function,
        };
        Some(&self.0.get(&key)?.newest.value)
    }
}

impl<T> Table<T> {
    fn insert(&self, key: Key, generation: u64, value: Arc<T>) {
        let added = Registered { generation, value };
        self.functions.pin().update_or_insert_with(
            key,
            |registrations| registrations.with(added.clone()),
            || Registrations {
                newest: added.clone(),
                older: Box::default(),
            },
        );
    }

    pub(crate) fn older(&self, key: &Key, generation: u64) -> Vec<Arc<T>> {
        let functions = self.functions.pin();
        let registrations = functions.get(key).into_iter();
        registrations
            .flat_map(Registrations::iter)
            .filter(|other| other.generation < generation)
            .map(|other| Arc::clone(&other.value))
            .collect()
    }

    pub(crate) fn remove(&self, key: &Key, generation: u64) {
        self.functions.pin().compute(key.clone(), |entry| {
            let Some((_, registrations)) = entry else {
                return Operation::Abort(());
            };
            match registrations.without(generation) {
                Some(rest) => Operation::Insert(rest),
                None => Operation::Remove,
            }
        });
    }
}

impl<T> Registrations<T> {
    /// Oldest first.
    fn iter(&self) -> impl Iterator<Item = &Registered<T>> {
        self.older.iter().chain([&self.newest])
    }

    fn with(&self, added: Registered<T>) -> Self {
        let mut all: Vec<_> = self.iter().cloned().collect();
        // Two threads may arrive here in the other order than they took their numbers.
        let at = all.partition_point(|other| other.generation < added.generation);
        all.insert(at, added);
        Self::of(all).expect("one was added")
    }

    /// `None` when there is no other.
    fn without(&self, generation: u64) -> Option<Self> {
        let others = self.iter().filter(|other| other.generation != generation);
        Self::of(others.cloned().collect())
    }

    /// `all`, oldest first. `None` when there is none.
    fn of(mut all: Vec<Registered<T>>) -> Option<Self> {
        let newest = all.pop()?;
        Some(Self {
            newest,
            older: all.into(),
        })
    }
}

impl<T> Clone for Registered<T> {
    fn clone(&self) -> Self {
        Self {
            generation: self.generation,
            value: Arc::clone(&self.value),
        }
    }
}

/// One registration, as [`Registry::snapshot`] lists it.
#[non_exhaustive]
pub struct Listed<T> {
    scope: ScopeId,
    /// The wRPC prefix, `lattice.component-id` in wasmCloud.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// Of two registrations, the newer one has the higher number.
    pub generation: u64,
    /// What serves the function.
    pub value: Arc<T>,
}

impl<T> Listed<T> {
    fn order(&self) -> (&str, &str, &str, ScopeId, u64) {
        (
            &self.prefix,
            &self.instance,
            &self.function,
            self.scope,
            self.generation,
        )
    }
}

impl<T> Clone for Registry<T> {
    fn clone(&self) -> Self {
        Self {
            table: Arc::clone(&self.table),
        }
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("functions", &self.len())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("functions", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("prefix", &self.prefix)
            .field("instance", &self.instance)
            .field("function", &self.function)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
