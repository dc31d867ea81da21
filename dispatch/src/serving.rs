//! Under which prefix a function is served, for whoever serves it over a transport whose type says nothing of it.

use std::cell::OnceCell;
use std::future::Future;
use std::sync::Arc;

tokio::task_local! {
    static PREFIX: OnceCell<Arc<str>>;
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
