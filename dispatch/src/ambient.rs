//! What goes beside wRPC's traits, in the task: they have no place for it.
//!
//! - The types of a function as its caller has them. They are not a part of an invocation: a transport carries values. On
//!   one host they can go along all the same.
//! - Under which prefix a function is served, for whoever serves it over a transport whose type says nothing of it.

use std::any::Any;
use std::cell::OnceCell;
use std::future::Future;
use std::sync::Arc;

/// Types of a function, as its caller and its callee have agreed to write them. Two are the same when they are one value in
/// memory.
pub type Types = Arc<dyn Any + Send + Sync>;

tokio::task_local! {
    static TYPES: Types;
    static PREFIX: OnceCell<Arc<str>>;
}

/// Runs `invoke`, in which a call is invoked, and lets a local callee know the types that the caller takes the function to
/// have: it gets them from [`Caller::types`](crate::Caller::types).
///
/// What `types` says is between caller and callee. Who passes parameters with the invocation says by this, too, that they
/// are all of them, and are of these types: the callee need not check them; see [`is_whole`](crate::is_whole).
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

/// Runs `serve`, in which a function is served, and returns what it returned and the wRPC prefix that a
/// [`Dispatcher`](crate::Dispatcher) serves the function under: `lattice.component-id` in wasmCloud.
///
/// The prefix is `None` when no dispatcher has a part in it.
///
/// # Cancel safety
///
/// That of `serve`.
pub async fn with_prefix<T>(serve: impl Future<Output = T>) -> (T, Option<Arc<str>>) {
    let serve = async {
        let served = serve.await;
        (served, PREFIX.with(|prefix| prefix.get().cloned()))
    };
    PREFIX.scope(OnceCell::new(), serve).await
}

/// Notes that the function which this task is serving is served under `prefix`.
pub(crate) fn note_prefix(prefix: &Arc<str>) {
    // There is no one to tell outside of `with_prefix`.
    let _ = PREFIX.try_with(|noted| noted.set(Arc::clone(prefix)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_prefix_reaches_whoever_serves() {
        let prefix: Arc<str> = "default.callee".into();
        let (served, noted) = with_prefix(async {
            note_prefix(&prefix);
            1
        })
        .await;
        assert_eq!((served, noted.as_ref()), (1, Some(&prefix)));
        assert_eq!(with_prefix(async {}).await.1, None);
        note_prefix(&prefix);
    }
}
