//! Making a call again that this host had no room for.

use std::future::Future;

use crate::error::CallError;

tokio::task_local! {
    static REFUSED: CallError;
}

/// Runs `invoke`, in which a call is invoked that a callee on this host had no room for, as `refused` says. It does not go
/// there again: with [`Mode::Prefer`](crate::Mode::Prefer) it goes over the remote transport, and counts as spilled; with
/// [`Mode::Require`](crate::Mode::Require) it fails at once, with `refused`.
///
/// # Cancel safety
///
/// That of `invoke`.
pub async fn elsewhere<T>(refused: CallError, invoke: impl Future<Output = T>) -> T {
    REFUSED.scope(refused, invoke).await
}

/// Whether the call that this task is invoking is not to stay here.
pub(crate) fn is_refused_here() -> bool {
    REFUSED.try_with(|_| ()).is_ok()
}

/// Why, if so.
pub(crate) fn refused_here() -> Option<CallError> {
    REFUSED.try_with(Clone::clone).ok()
}
