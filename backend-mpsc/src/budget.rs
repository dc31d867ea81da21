use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

/// Takes a unit of the budget that tokio gives a task for each turn. Pending when it is used up;
/// the task is woken then.
///
/// The channel and the semaphore do that when they are asked. A stream that does not have to ask them, because there is
/// room, or a message that was not read to its end, would keep others from running.
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::consume_budget()).poll(cx)
}
