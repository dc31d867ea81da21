use std::hash::{Hash, Hasher};

use papaya::Equivalent;

use crate::scope::ScopeId;

/// What a function is registered under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) scope: ScopeId,
    pub(crate) prefix: Box<str>,
    pub(crate) instance: Box<str>,
    pub(crate) function: Box<str>,
}

/// A [`Key`] that borrows its names, for lookups that do not allocate.
pub(crate) struct KeyRef<'a> {
    pub(crate) scope: ScopeId,
    pub(crate) prefix: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) function: &'a str,
}

/// What the functions of one component are registered under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ComponentKey {
    pub(crate) scope: ScopeId,
    pub(crate) prefix: Box<str>,
}

impl Key {
    pub(crate) fn component(&self) -> ComponentKey {
        ComponentKey {
            scope: self.scope,
            prefix: self.prefix.clone(),
        }
    }

    pub(crate) fn borrow(&self) -> KeyRef<'_> {
        KeyRef {
            scope: self.scope,
            prefix: &self.prefix,
            instance: &self.instance,
            function: &self.function,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrow().hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scope.hash(state);
        self.prefix.hash(state);
        self.instance.hash(state);
        self.function.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.scope == key.scope
            && self.function == &*key.function
            && self.prefix == &*key.prefix
            && self.instance == &*key.instance
    }
}
