//! Which generation of a component serves. Nothing here is shared between threads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::key::Key;

/// The living generations of one component on one connection.
pub(crate) struct Component<T> {
    /// Oldest first: the first one serves, the others stand by. None of them is empty.
    generations: Vec<Generation<T>>,
    /// How many there were up to now.
    made: u64,
    /// See [`Generations`](crate::Generations).
    lapsed: u64,
}

/// What one client serves of a component.
struct Generation<T> {
    number: u64,
    client: u64,
    /// Those of one key in the order in which they were registered, and at least one.
    functions: HashMap<Arc<Key>, Vec<Registered<T>>>,
}

struct Registered<T> {
    reader: u64,
    value: Arc<T>,
}

/// Which functions can be called, and who reads the invocations of each.
pub(crate) type Serving<T> = HashMap<Arc<Key>, Reader<T>>;

pub(crate) struct Reader<T> {
    pub(crate) number: u64,
    pub(crate) value: Arc<T>,
}

impl<T> Component<T> {
    /// What the oldest generation has, or what it has of one function. Of one that it has twice,
    /// the registration that was made first reads.
    pub(crate) fn serving(&self, only: Option<&Key>) -> Serving<T> {
        let Some(oldest) = self.generations.first() else {
            return Serving::new();
        };
        let reader = |(key, registered): (&Arc<Key>, &Vec<Registered<T>>)| {
            let first = registered.first()?;
            let reader = Reader {
                number: first.reader,
                value: Arc::clone(&first.value),
            };
            Some((Arc::clone(key), reader))
        };
        match only {
            Some(key) => {
                let function = oldest.functions.get_key_value(key);
                function.and_then(reader).into_iter().collect()
            }
            None => oldest.functions.iter().filter_map(reader).collect(),
        }
    }

    /// Whether what [`unregister`](Self::unregister) does ends a generation, and with it more than one function.
    pub(crate) fn ends_a_generation(&self, reader: u64, key: &Key) -> bool {
        self.generations.len() > 1 && self.generations.iter().any(|it| it.has(reader, key))
    }

    /// The instances that the oldest generation has something of, sorted.
    pub(crate) fn instances(&self) -> BTreeSet<&str> {
        let oldest = self.generations.first();
        let functions = oldest.iter().flat_map(|oldest| &oldest.functions);
        functions.map(|(key, _)| &*key.instance).collect()
    }

    /// What is kept of a function, for as long as one generation has it.
    pub(crate) fn value(&self, key: &Key) -> Option<&Arc<T>> {
        let mut generations = self.generations.iter();
        let registered = generations.find_map(|it| it.functions.get(key))?;
        registered.first().map(|it| &it.value)
    }

    /// Adds a function to the generation of `client`: a new one if it has none.
    pub(crate) fn register(&mut self, client: u64, reader: u64, key: Arc<Key>, value: Arc<T>) {
        let added = Registered { reader, value };
        let known = self.generations.iter_mut().find(|it| it.client == client);
        match known {
            Some(generation) => generation.functions.entry(key).or_default().push(added),
            None => {
                self.made += 1;
                self.generations.push(Generation {
                    // That of its first function: it is higher than any that was given before.
                    number: reader,
                    client,
                    functions: HashMap::from([(key, vec![added])]),
                });
            }
        }
    }

    /// Takes a function away. That ends its generation, unless it is the only one: then the
    /// component loses the function.
    pub(crate) fn unregister(&mut self, reader: u64, key: &Key) {
        let has = |it: &Generation<T>| it.has(reader, key);
        // A generation that has ended has no functions here any more.
        let Some(at) = self.generations.iter().position(has) else {
            return;
        };
        if self.generations.len() > 1 {
            let gone = self.generations.remove(at);
            if at > 0 {
                self.lapsed = self.lapsed.max(gone.number);
            }
        } else {
            let functions = &mut self.generations[at].functions;
            if let Some(registered) = functions.get_mut(key) {
                registered.retain(|it| it.reader != reader);
                if registered.is_empty() {
                    functions.remove(key);
                }
            }
            self.generations.retain(|it| !it.functions.is_empty());
        }
    }

    /// Ends all generations whose number is below `than`. Returns whose they were.
    pub(crate) fn end_older(&mut self, than: u64) -> Vec<u64> {
        let all = std::mem::take(&mut self.generations).into_iter();
        let (ended, left): (Vec<_>, Vec<_>) = all.partition(|it| it.number < than);
        self.generations = left;
        ended.iter().map(|it| it.client).collect()
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.generations.iter().map(|it| it.number).collect()
    }

    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    pub(crate) fn lapsed(&self) -> u64 {
        self.lapsed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }
}

impl<T> Generation<T> {
    fn has(&self, reader: u64, key: &Key) -> bool {
        let registered = self.functions.get(key).into_iter().flatten();
        registered.into_iter().any(|it| it.reader == reader)
    }
}

impl<T> Default for Component<T> {
    fn default() -> Self {
        Self {
            generations: Vec::new(),
            made: 0,
            lapsed: 0,
        }
    }
}
