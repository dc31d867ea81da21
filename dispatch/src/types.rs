//! The types of a function as its caller has them, on the way to the callee.
//!
//! They are not a part of an invocation: a transport carries values. On one host they can go along all the same, beside it.

use std::future::Future;
use std::sync::Arc;

tokio::task_local! {
    static TYPES: Arc<str>;
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
pub async fn with_types<T>(types: Arc<str>, invoke: impl Future<Output = T>) -> T {
    TYPES.scope(types, invoke).await
}

/// Those of the call that this task is invoking.
pub(crate) fn of_caller() -> Option<Arc<str>> {
    TYPES.try_with(Arc::clone).ok()
}
