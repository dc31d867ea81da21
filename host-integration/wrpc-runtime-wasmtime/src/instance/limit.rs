//! How long an invocation may take.

use std::future::{pending, poll_fn, Future};
use std::pin::Pin;
use std::task::{ready, Poll};
use std::time::Duration;

use tokio::time::{sleep_until, Instant, Sleep};

use crate::turns::Turns;

/// How much more time an invocation has than its limit says. What its guest calls, and who calls it
/// on this host, have the limit itself, and what it computes ends within a second of it: they are
/// the first to say what did not come to its end.
const MORE: Duration = Duration::from_secs(2);

/// How much before that a guest that computes is stopped, so that it is said where it was.
const STOPPED_BEFORE: Duration = Duration::from_secs(1);

/// From when on an invocation is bounded.
#[derive(Clone, Copy)]
pub(crate) struct Since(Instant);

impl Since {
    /// From now on.
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// When it came.
    pub(crate) fn came(self) -> std::time::Instant {
        self.0.into_std()
    }

    /// Whether who waits for it, for `limit` as well, has most likely left because that is over. It
    /// began to wait a little before this came.
    pub(crate) fn is_over_for_caller(self, limit: Duration) -> bool {
        let before = STOPPED_BEFORE.min(limit / 10);
        self.0.elapsed().saturating_add(before) >= limit
    }

    /// Waits until `limit`, and a little more, is over, if that is ever.
    pub(crate) async fn until_over(self, limit: Option<Duration>) {
        match limit.and_then(|limit| self.end(limit)) {
            Some(end) => sleep_until(end).await,
            None => pending().await,
        }
    }

    /// When `limit`, and a little more, is over. `None` when that is later than the clock can tell.
    fn end(self, limit: Duration) -> Option<Instant> {
        self.0.checked_add(limit.checked_add(MORE)?)
    }

    /// Runs `call`, whose guest has `turns`, until `limit` is over. `None` when it has not come to its end by then.
    ///
    /// A call that never waits has no timer.
    pub(crate) async fn within<T>(
        self,
        limit: Option<Duration>,
        mut turns: Turns<'_>,
        mut call: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let end = limit.and_then(|limit| self.end(limit));
        let stop = end.map(|end| end.checked_sub(STOPPED_BEFORE).unwrap_or(end));
        let is_over = || stop.is_some_and(|stop| Instant::now() >= stop);
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| loop {
            if let Poll::Ready(done) = turns.poll(call.as_mut(), cx, is_over) {
                return Poll::Ready(Some(done));
            }
            let (Some(stop), Some(end)) = (stop, end) else {
                return Poll::Pending;
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(stop)));
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= end {
                return Poll::Ready(None);
            }
            // Once more: one that waits for its turn is stopped where it was.
            timer.as_mut().reset(end);
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;

    use super::*;
    use crate::turns::{Line, Seat};

    #[tokio::test(start_paused = true)]
    async fn a_call_has_as_long_as_it_may_from_when_it_came() {
        const LIMIT: Duration = Duration::from_secs(3);
        let (since, line, seat) = (Since::now(), Line::of_component(), Seat::default());
        let turns = || Turns::new(since.came(), &line, &seat);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = Instant::now();
        assert_eq!(
            since
                .within(Some(LIMIT), turns(), pin!(pending::<()>()))
                .await,
            None
        );
        assert_eq!(before.elapsed(), LIMIT + MORE - Duration::from_secs(1));
        // What is there is there, however late.
        assert_eq!(
            since.within(Some(LIMIT), turns(), pin!(ready(1))).await,
            Some(1)
        );
        assert_eq!(
            since
                .within(Some(Duration::MAX), turns(), pin!(ready(1)))
                .await,
            Some(1)
        );
        assert_eq!(since.within(None, turns(), pin!(ready(1))).await, Some(1));
    }
}
