use std::collections::HashMap as StdHashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use foldhash::fast::RandomState;
use papaya::{HashMap, HashMapRef, LocalGuard};

use crate::component::Component;
use crate::function::Function;
use crate::key::{ComponentKey, Key, KeyRef};
use crate::registration::Registration;
use crate::scope::{Scope, ScopeId};

/// Which function of which component is served on this host, right now.
///
/// Clones share one table. See the [crate documentation](crate) for what it promises.
pub struct Registry<T> {
    table: Arc<Table<T>>,
}

/// What is served at the moment, without counting who looks at it: see [`Registry::view`].
pub struct View<'a, T>(HashMapRef<'a, Key, Arc<T>, RandomState, LocalGuard<'a>>);

pub(crate) struct Table<T> {
    /// Those that the serving generations have. Hashed with a seed of its own in each process, by a
    /// hash that is quick on short texts: most of a lookup is hashing.
    functions: HashMap<Key, Arc<T>, RandomState>,
    components: Mutex<Components<T>>,
    numbers: AtomicU64,
}

type Components<T> = StdHashMap<ComponentKey, Component<T>>;

impl<T> Registry<T> {
    /// An empty registry.
    pub fn new() -> Self {
        Self {
            table: Arc::new(Table {
                functions: HashMap::with_hasher(RandomState::default()),
                components: Mutex::default(),
                numbers: AtomicU64::new(1),
            }),
        }
    }

    /// A number for a client, to [register](Self::register) with.
    pub fn client(&self) -> u64 {
        self.table.number()
    }

    /// What serves `function` within `scope`.
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

    /// For a look at what is served that leaves no trace: threads that look at the same function do not disturb each
    /// other, as they would by counting references.
    ///
    /// What is removed while a view exists is freed later. It stays on its thread, and so cannot be
    /// held across an await.
    pub fn view(&self) -> View<'_, T> {
        View(self.table.functions.pin())
    }

    /// What is served, sorted by prefix, instance and function.
    ///
    /// What comes or goes meanwhile may or may not be listed.
    pub fn snapshot(&self) -> Vec<Listed<T>> {
        let functions = self.table.functions.pin();
        let listed = functions.iter().map(|(key, value)| Listed {
            scope: key.scope,
            prefix: key.prefix.clone(),
            instance: key.instance.clone(),
            function: key.function.clone(),
            value: Arc::clone(value),
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by(|a, b| a.order().cmp(&b.order()));
        listed
    }

    /// The WIT instances, each with its version, of which something is served under `prefix` within `scope`, sorted.
    ///
    /// For errors: it takes a lock for as long as it takes to look at one component.
    pub fn instances(&self, scope: &Scope, prefix: &str) -> Vec<Box<str>> {
        let key = ComponentKey {
            scope: scope.id(),
            prefix: prefix.into(),
        };
        let components = self.table.lock();
        let instances = components.get(&key).map(Component::instances);
        instances.into_iter().flatten().map(Box::from).collect()
    }

    /// The living generations of each component in each scope, sorted by prefix.
    pub fn generations(&self) -> Vec<Generations> {
        let components = self.table.lock();
        let generations = components.iter().map(|(key, component)| Generations {
            prefix: key.prefix.clone(),
            scope: key.scope,
            numbers: component.numbers(),
            made: component.made(),
            lapsed: component.lapsed(),
        });
        let mut generations: Vec<_> = generations.collect();
        drop(components);
        generations.sort_by(|a, b| (&a.prefix, a.scope).cmp(&(&b.prefix, b.scope)));
        generations
    }

    /// How many functions are served.
    pub fn len(&self) -> usize {
        self.table.functions.pin().len()
    }

    /// Whether no function is served.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Function> Registry<T> {
    /// Has `client` serve `function` of `instance` under `prefix`, until the guard is dropped.
    ///
    /// `prefix` is the wRPC prefix (`lattice.component-id` in wasmCloud), `instance` the WIT
    /// instance with its version, as it stands in an invocation. All that one client serves under a
    /// prefix is one generation of a component. It serves if it is the oldest one, else it stands
    /// by: then the function cannot be found for now, unless the oldest one has it, too.
    ///
    /// What is kept of the function is made by `make`, unless another generation has the function.
    ///
    /// It may be kept for a while after the guard was dropped, because someone may be looking at
    /// it: what it holds should be given up by [`Function::close`].
    pub fn register(
        &self,
        scope: Scope,
        prefix: &str,
        client: u64,
        instance: &str,
        function: &str,
        make: impl FnOnce() -> T,
    ) -> Registration<T> {
        let key = Arc::new(Key {
            scope: scope.id(),
            prefix: prefix.into(),
            instance: instance.into(),
            function: function.into(),
        });
        let table = &self.table;
        let only = |_: &_| Some(&*key);
        let (reader, value) = table.change(key.component(), only, |component| {
            let known = component.value(&key).cloned();
            // One that is about to be removed is used again.
            let known = known.or_else(|| table.functions.pin().get(&*key).cloned());
            let value = known.unwrap_or_else(|| Arc::new(make()));
            let reader = table.number();
            component.register(client, reader, Arc::clone(&key), Arc::clone(&value));
            (reader, value)
        });
        Registration {
            table: Arc::clone(table),
            key,
            reader,
            value,
            _scope: scope,
        }
    }

    /// Ends the generations of the component under `prefix` within `scope` that are older than
    /// `than`, whoever holds their guards: the next one serves, if there is one. Those that end
    /// never serve again. Returns their clients.
    pub fn end_older(&self, scope: ScopeId, prefix: &str, than: u64) -> Vec<u64> {
        let prefix = prefix.into();
        self.table.change(
            ComponentKey { scope, prefix },
            |_| None,
            |it| it.end_older(than),
        )
    }
}

impl<T> View<'_, T> {
    /// What serves `function` within `scope`.
    ///
    /// Neither allocates, nor takes a lock, nor writes to what threads share.
    pub fn get(
        &self,
        scope: &Scope,
        prefix: &str,
        instance: &str,
        function: &str,
    ) -> Option<&Arc<T>> {
        self.0.get(&KeyRef {
            scope: scope.id(),
            prefix,
            instance,
            function,
        })
    }
}

impl<T> Table<T> {
    /// A number that is higher than all before.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Components<T>> {
        self.components
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Function> Table<T> {
    /// Changes the generations of a component, and makes true what follows from it: who reads the
    /// invocations of each function, and which functions can be called. `only` is the function to
    /// which something can happen, if there is one: to look at all of them for each that is
    /// registered would be to look at them as many times as there are.
    pub(crate) fn change<'k, R>(
        &self,
        key: ComponentKey,
        only: impl FnOnce(&Component<T>) -> Option<&'k Key>,
        change: impl FnOnce(&mut Component<T>) -> R,
    ) -> R {
        let mut components = self.lock();
        let component = components.entry(key.clone()).or_default();
        let only = only(component);
        let before = component.serving(only);
        let result = change(component);
        let after = component.serving(only);
        if component.is_empty() {
            components.remove(&key);
        }
        // No reader takes anything from here on until all of them have changed. What is dropped is so without the lock.
        let mut ended: Vec<Waker> = Vec::new();
        for (key, reader) in &before {
            if after.get(key).is_none_or(|it| it.number != reader.number) {
                ended.extend(reader.value.pause());
            }
        }
        let mut wakers: Vec<Waker> = Vec::new();
        for (key, reader) in &after {
            if before.get(key).is_none_or(|it| it.number != reader.number) {
                wakers.extend(reader.value.give(reader.number));
                let functions = self.functions.pin();
                functions.insert(Key::clone(key), Arc::clone(&reader.value));
            }
        }
        drop(components);
        drop(ended);
        wakers.into_iter().for_each(Waker::wake);
        let gone = before.into_iter();
        let gone: Vec<_> = gone.filter(|(key, _)| !after.contains_key(key)).collect();
        if !gone.is_empty() {
            // Before it cannot be found here any more: a call must not go elsewhere and come back to one that ends.
            gone.iter().for_each(|(_, reader)| reader.value.release());
            let components = self.lock();
            // It may have come back meanwhile.
            let serving = components.get(&key).map(|it| it.serving(only));
            let gone = gone.iter().filter(|(key, _)| {
                let serving = serving.as_ref();
                !serving.is_some_and(|serving| serving.contains_key(key))
            });
            let left = gone.map(|(key, reader)| {
                self.functions.pin().remove(&**key);
                reader.value.close()
            });
            let left: Vec<_> = left.collect();
            drop(components);
            drop(left);
        }
        result
    }
}

/// The living generations of a component in one scope, as [`Registry::generations`] lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generations {
    /// The wRPC prefix, `lattice.component-id` in wasmCloud.
    pub prefix: Box<str>,
    /// The scope.
    pub scope: ScopeId,
    /// Their numbers, oldest first: the first one serves. A number is never given twice.
    pub numbers: Vec<u64>,
    /// How many there were since the component was last not served at all.
    pub made: u64,
    /// The number of the newest one that went while it stood by. 0 if there was none.
    ///
    /// A program that replaces what it serves drops the older generation. One that drops a newer
    /// one has either failed to replace the older one, or has lost hold of it.
    pub lapsed: u64,
}

/// A function that is served, as [`Registry::snapshot`] lists it.
#[non_exhaustive]
pub struct Listed<T> {
    scope: ScopeId,
    /// The wRPC prefix, `lattice.component-id` in wasmCloud.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// What is kept of the function.
    pub value: Arc<T>,
}

impl<T> Listed<T> {
    fn order(&self) -> (&str, &str, &str, ScopeId) {
        (&self.prefix, &self.instance, &self.function, self.scope)
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
            .finish_non_exhaustive()
    }
}
