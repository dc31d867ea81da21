//! The functions that calls are for, and the table of them.

use std::any::Any;
use std::cmp::Reverse;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use papaya::{Equivalent, HashMap};

use super::counters::{Calls, Counters, Failures};
use super::list::List;
use super::pace;
use super::running::{InFlight, Running};

/// How many functions are told apart. Components are linked to few functions; this bounds what
/// names that come and go take up. The calls of all further ones are counted together.
const MAX_TARGETS: usize = 4096;

/// Which function a call is for, and what is counted of it.
///
/// There is one for each of 4,096 functions that are served on this host or called from it, for as
/// long as the process runs. Functions of the same name in two scopes are one. Those beyond that
/// number have one for each call, and are counted together: see [`counted_as`](Target::counted_as).
pub struct Target {
    pub(crate) prefix: Arc<str>,
    pub(crate) instance: Box<str>,
    pub(crate) function: Box<str>,
    pub(crate) counters: Arc<Counters>,
    /// What it is counted as when it is one of too many.
    others: Option<Arc<Target>>,
    /// Those in flight, as far as someone wants them listed.
    pub(crate) calls: List<InFlight>,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
    /// Whether it was said to have no results when it was last served.
    one_way: AtomicBool,
}

impl Target {
    pub(crate) fn new(
        prefix: Arc<str>,
        instance: &str,
        function: &str,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            prefix,
            instance: instance.into(),
            function: function.into(),
            counters,
            others: None,
            calls: List::new(),
            attachment: OnceLock::new(),
            one_way: AtomicBool::new(false),
        }
    }

    /// It is served as one that has results, or has none.
    pub(crate) fn serve(&self, has_results: bool) {
        self.one_way.store(!has_results, Ordering::Relaxed);
    }

    /// Whether it has results, as far as is known: then a caller from elsewhere waits for them.
    pub(crate) fn has_results(&self) -> bool {
        !self.one_way.load(Ordering::Relaxed)
    }

    /// What it is counted as: itself, or, for a function beyond the first 4,096, one without names
    /// for all of those. What is kept for each function is to be kept for this one, or it grows
    /// with the names that come and go.
    pub fn counted_as(&self) -> &Self {
        self.others.as_deref().unwrap_or(self)
    }

    /// A local call begins.
    pub(crate) fn begins(&self) {
        let others = self.counters.begin();
        // How many are in flight of all functions that are counted together says nothing of one.
        if self.others.is_none() {
            pace::note(others);
        }
    }

    /// The wRPC prefix: `lattice.component-id` in wasmCloud.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The WIT instance with its version.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The function.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// What an [`Observer`](crate::Observer) keeps for this function, made by `make` when it is
    /// first asked for. `None` when something of another type is kept here.
    pub fn attachment<T: Any + Send + Sync>(&self, make: impl FnOnce(&Self) -> T) -> Option<&T> {
        let attachment = self.attachment.get_or_init(|| Box::new(make(self)));
        attachment.downcast_ref()
    }

    fn names(&self) -> Names<'_> {
        Names(&self.prefix, &self.instance, &self.function)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(&self.prefix, &self.instance, &self.function))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("prefix", &self.prefix)
            .field("instance", &self.instance)
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}

/// How errors name a function.
pub(crate) fn name(prefix: &str, instance: &str, function: &str) -> String {
    match instance {
        "" => format!("`{function}` of component `{prefix}`"),
        instance => format!("`{instance}.{function}` of component `{prefix}`"),
    }
}

/// All targets there have been.
pub(crate) struct Targets {
    known: HashMap<Key, ()>,
    /// What the targets beyond [`MAX_TARGETS`] are counted as.
    others: Arc<Target>,
    max: usize,
}

impl Targets {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
            others: Arc::new(Target::new("".into(), "", "", Arc::default())),
            max: MAX_TARGETS,
        }
    }

    /// The target of these names. Does not allocate, unless it is seen for the first time.
    pub(crate) fn get(&self, prefix: &Arc<str>, instance: &str, function: &str) -> Arc<Target> {
        let known = self.known.pin();
        if let Some((Key(target), ())) = known.get_key_value(&Names(prefix, instance, function)) {
            return Arc::clone(target);
        }
        let made = |counters| Target::new(Arc::clone(prefix), instance, function, counters);
        if known.len() >= self.max {
            let mut target = made(Arc::clone(&self.others.counters));
            target.others = Some(Arc::clone(&self.others));
            return Arc::new(target);
        }
        // Two threads may arrive here at once. What is in the map when both are done is what counts.
        let target = Arc::new(made(Arc::default()));
        let _ = known.try_insert(Key(Arc::clone(&target)), ());
        match known.get_key_value(&target.names()) {
            Some((Key(target), ())) => Arc::clone(target),
            None => target,
        }
    }

    /// What was counted of all functions together.
    pub(crate) fn sum<T: std::iter::Sum>(&self, of: impl Fn(&Counters) -> T) -> T {
        let known = self.known.pin();
        let each = known.keys().map(|Key(target)| of(&target.counters));
        each.chain([of(&self.others.counters)]).sum()
    }

    /// The oldest calls in flight, `most` at most. Those of functions beyond the limit are not among them.
    pub(crate) fn running(&self, most: usize) -> Vec<Running> {
        let (known, now) = (self.known.pin(), Instant::now());
        let each = known.keys().flat_map(|Key(target)| {
            let oldest = target.calls.oldest(most, |call| call.look(target, now));
            oldest.into_iter().flatten()
        });
        let mut calls: Vec<_> = each.collect();
        calls.sort_by_key(|call| Reverse(call.age));
        calls.truncate(most);
        calls
    }

    /// What was counted of each function, sorted by prefix, instance and function. Those beyond the
    /// limit are one, without names, which comes first.
    pub(crate) fn list(&self) -> Vec<Counted> {
        let known = self.known.pin();
        let each = known
            .keys()
            .map(|Key(target)| Counted::new(target.names(), &target.counters));
        let mut list: Vec<_> = each.collect();
        let others = Counted::new(self.others.names(), &self.others.counters);
        if others.calls != Calls::default() {
            list.push(others);
        }
        list.sort_by(|a, b| a.names().cmp(&b.names()));
        list
    }
}

/// What was counted of one function since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// The wRPC prefix: `lattice.component-id` in wasmCloud.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// How many calls went which way.
    pub calls: Calls,
    /// Local calls of which a stream is left.
    pub in_flight: usize,
    /// Bytes of parameters of local calls that have ended. Counted only while calls are
    /// [observed](crate::Local::observe).
    pub params_bytes: u64,
    /// As `params_bytes`, of results.
    pub results_bytes: u64,
    /// Calls that failed.
    pub failures: Failures,
}

impl Counted {
    fn new(names: Names<'_>, counters: &Counters) -> Self {
        let (params_bytes, results_bytes) = counters.bytes();
        Self {
            prefix: names.0.into(),
            instance: names.1.into(),
            function: names.2.into(),
            calls: counters.read(),
            in_flight: counters.in_flight(),
            params_bytes,
            results_bytes,
            failures: counters.failures(),
        }
    }

    fn names(&self) -> Names<'_> {
        Names(&self.prefix, &self.instance, &self.function)
    }
}

/// Prefix, instance and function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Names<'a>(&'a str, &'a str, &'a str);

/// A target, found by its names.
struct Key(Arc<Target>);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.names().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.names() == other.0.names()
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Names<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.0.names()
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;
    use crate::route::Route;

    fn count(targets: &Targets, function: &str) {
        let target = targets.get(&"lattice.id".into(), "a:b/c", function);
        target.counters.count(Route::Remote);
    }

    #[test]
    fn a_function_is_one_target_whoever_asks() {
        let targets = Targets::new();
        let prefix = Arc::from("lattice.id");
        let first = targets.get(&prefix, "a:b/c", "f");
        let again = targets.get(&"lattice.id".into(), "a:b/c", "f");
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &targets.get(&prefix, "a:b/c", "g")));
        assert_eq!(targets.list().len(), 2);
    }

    #[test]
    fn threads_that_ask_at_once_get_the_same() {
        let targets = Targets::new();
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for n in 0..100 {
                        count(&targets, &n.to_string());
                    }
                });
            }
        });
        let list = targets.list();
        assert_eq!(list.len(), 100);
        assert!(list.iter().all(|counted| counted.calls.remote == 4));
    }

    #[test]
    fn functions_beyond_the_limit_are_counted_together() {
        let targets = Targets {
            max: 2,
            ..Targets::new()
        };
        for function in ["a", "b", "c", "d", "a"] {
            count(&targets, function);
        }
        let list = targets.list();
        let listed: Vec<_> = list
            .iter()
            .map(|counted| (&*counted.function, counted.calls.remote))
            .collect();
        assert_eq!(listed, [("", 2), ("a", 2), ("b", 1)]);
        assert_eq!(targets.sum(|counters| counters.read().remote), 5);
        // A function that is served has its own name all the same: errors name it.
        let served = targets.get(&"lattice.id".into(), "a:b/c", "e");
        assert_eq!(served.function(), "e");
        // What an observer keeps, it keeps once for all of them.
        for (function, kept_as) in [("a", "a"), ("b", "b"), ("c", ""), ("d", "")] {
            let target = targets.get(&"lattice.id".into(), "a:b/c", function);
            let kept = target
                .counted_as()
                .attachment(|it| it.function().to_owned());
            assert_eq!(kept.map(String::as_str), Some(kept_as));
            assert_eq!(target.function(), function);
        }
        assert!(std::ptr::eq(
            targets.get(&"p".into(), "i", "c").counted_as(),
            &*targets.others
        ));
    }

    #[test]
    fn what_is_attached_is_made_once_and_has_one_type() {
        let target = Target::new("p".into(), "i", "f", Arc::default());
        assert_eq!(target.attachment(|_| 1_u8), Some(&1));
        assert_eq!(target.attachment(|_| 2_u8), Some(&1));
        assert_eq!(target.attachment(|_| 2_u16), None);
    }
}
