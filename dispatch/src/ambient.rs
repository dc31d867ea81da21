//! What goes beside wRPC's traits, in the task: they have no place for it.
//!
//! - The types of a function as its caller has them. They are not a part of an invocation: a
//!   transport carries values. On one host they can go along all the same.
//! - That a call is to go to another host, because there was no room for it on this one.
//! - Under which prefix a function is served, and what it shares with the others of its generation,
//!   for whoever serves it over a transport whose type says nothing of it. And whether it has
//!   results, for the dispatcher.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::future::{pending, Future};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::leaving::Leaving;

/// Types of a function, as its caller and its callee have agreed to write them. Two are the same
/// when they are one value in memory.
pub type Types = Arc<dyn Any + Send + Sync>;

tokio::task_local! {
    static TYPES: Types;
    static ELSEWHERE: ();
    static SERVING: Served;
}

/// A function that is being served.
struct Served {
    has_results: bool,
    /// What the dispatcher says.
    noted: OnceCell<Serving>,
}

/// Runs `invoke`, in which a call is invoked, and lets a local callee know the types that the
/// caller takes the function to have: it gets them from [`Caller::types`](crate::Caller::types).
///
/// What `types` says is between caller and callee. Who passes parameters with the invocation says
/// by this, too, that they are all of them, and are of these types: the callee need not check them;
/// see [`Reader::is_whole`](crate::Reader::is_whole).
///
/// # Cancel safety
///
/// That of `invoke`.
pub async fn with_types<T>(types: Types, invoke: impl Future<Output = T>) -> T {
    TYPES.scope(types, invoke).await
}

/// Those of the call that this task is invoking.
pub(crate) fn of_caller() -> Option<Types> {
    TYPES.try_with(Types::clone).ok()
}

/// Runs `invoke`, in which a call is made again that had [no room](crate::CallError::NoRoom) on this
/// host: while another host serves the component as well, and the mode of calls to it is
/// [`Mode::Prefer`](crate::Mode::Prefer), it goes over the remote transport, and counts as
/// [`Route::Spilled`](crate::Route::Spilled). Else it goes where it would go anyway.
///
/// # Cancel safety
///
/// That of `invoke`.
pub async fn elsewhere<T>(invoke: impl Future<Output = T>) -> T {
    ELSEWHERE.scope((), invoke).await
}

/// Whether the call that this task is invoking had no room on this host.
pub(crate) fn is_for_elsewhere() -> bool {
    ELSEWHERE.try_with(|()| ()).is_ok()
}

/// What a [`Dispatcher`](crate::Dispatcher) says of a function that it serves. A clone is the same.
#[derive(Clone)]
pub struct Serving {
    prefix: Arc<str>,
    shared: Arc<Shared>,
    /// `None` where there are no generations.
    generation: Option<Arc<Leaving>>,
}

/// What the functions of one generation of a component share.
pub(crate) type Shared = Mutex<Weak<dyn Any + Send + Sync>>;

impl Serving {
    pub(crate) fn new(
        prefix: Arc<str>,
        shared: Arc<Shared>,
        generation: Option<Arc<Leaving>>,
    ) -> Self {
        Self {
            prefix,
            shared,
            generation,
        }
    }

    /// The wRPC prefix that the function is served under: `lattice.component-id` in wasmCloud.
    pub fn prefix(&self) -> &Arc<str> {
        &self.prefix
    }

    /// Waits until the generation of the component that serves the function has ended: the next one
    /// serves, or none does. A call that was taken and has not started can be [put
    /// back](crate::put_back) then. Never returns where there are no
    /// [generations](crate::Local::generations).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn ended(&self) {
        match &self.generation {
            Some(generation) => generation.ended().await,
            None => pending().await,
        }
    }

    /// Has `then` called once when the generation of the component that serves the function [is
    /// ended](crate::Local::end_older), and the next one serves, if there is one: at once if it was
    /// before. Whoever ends it calls that, and holds no lock. Where a generation goes without being
    /// ended, because nobody has its streams any more, and where there are no
    /// [generations](crate::Local::generations), `then` is dropped with it.
    pub fn when_ended(&self, then: impl FnOnce() + Send + 'static) {
        if let Some(generation) = &self.generation {
            generation.when_ended(Box::new(then));
        }
    }

    /// What the functions share that are of the same generation of the component: the `S` that
    /// there is, as long as one of them has it, else what `make` makes.
    ///
    /// A generation shares one type of thing. Who asks for another one has one of its own.
    pub fn shared<S: Any + Send + Sync>(&self, make: impl FnOnce() -> Arc<S>) -> Arc<S> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(shared)) = shared.upgrade().map(Arc::downcast) {
            return shared;
        }
        let made = make();
        *shared = Arc::downgrade(&made) as _;
        made
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Runs `serve`, in which a function is served, and returns what it returned and what a
/// [`Dispatcher`](crate::Dispatcher) says of the function.
///
/// That is `None` when no dispatcher has a part in it. `has_results` is whether the function has
/// any: a caller from elsewhere that waits for none does not learn that its call did not run once
/// that was taken, so a call of it that will not run is not taken.
///
/// # Cancel safety
///
/// That of `serve`.
pub async fn with_serving<T>(
    has_results: bool,
    serve: impl Future<Output = T>,
) -> (T, Option<Serving>) {
    let noted = OnceCell::new();
    let serve = async {
        let served = serve.await;
        (served, SERVING.with(|serving| serving.noted.get().cloned()))
    };
    SERVING.scope(Served { has_results, noted }, serve).await
}

/// Whether the function which this task is serving has results. It is taken to have some where nobody says so.
pub(crate) fn has_results() -> bool {
    SERVING.try_with(|it| it.has_results).unwrap_or(true)
}

/// Notes of the function which this task is serving what `serving` says.
pub(crate) fn note(serving: impl FnOnce() -> Serving) {
    // There is no one to tell outside of `with_serving`.
    let _ = SERVING.try_with(|it| it.noted.set(serving()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> Serving {
        let nothing: Weak<dyn Any + Send + Sync> = Weak::<()>::new();
        Serving::new("default.callee".into(), Arc::new(Mutex::new(nothing)), None)
    }

    #[tokio::test]
    async fn what_is_served_reaches_whoever_serves() {
        let (served, noted) = with_serving(false, async {
            note(serving);
            has_results()
        })
        .await;
        let prefix = noted.map(|noted| Arc::clone(noted.prefix()));
        assert_eq!((served, prefix.as_deref()), (false, Some("default.callee")));
        assert!(with_serving(true, async {}).await.1.is_none());
        assert!(has_results());
        note(serving);
    }

    #[test]
    fn what_functions_share_lives_as_long_as_one_of_them_has_it() {
        let serving = serving();
        let first = serving.shared(|| Arc::new(1));
        let second = serving.clone().shared(|| Arc::new(2));
        assert_eq!((*first, *second), (1, 1));
        drop((first, second));
        assert_eq!(*serving.shared(|| Arc::new(3)), 3);
    }
}
