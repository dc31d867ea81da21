//! Futures in spans that many of them share.

use std::future::{poll_fn, Future};
use std::pin::pin;

use tracing::Span;

/// Runs `future` in `span`.
///
/// [`Instrument`](tracing::Instrument) takes a clone of the span, which is counted where all
/// threads count; that of a function is the same in each of its calls.
///
/// # Cancel safety
///
/// That of `future`.
pub(crate) async fn within<T>(span: &Span, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _entered = span.enter();
        future.as_mut().poll(cx)
    })
    .await
}
