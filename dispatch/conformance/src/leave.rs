//! Cases for a side of a call that is dropped in the middle of what it does: at its first await, its second, and so on.
//!
//! They run outside of a task and poll only who was woken. So the other side does not hang, but is found out.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use futures::StreamExt as _;
use inhost_dispatch::{Backend, CallError};
use tokio::io::AsyncWriteExt as _;
use tokio_test::assert_pending;
use tokio_test::task::{self, Spawn};
use wrpc_transport::Index as _;

use crate::support::{call_error, limit, off_task, pattern, read_all, Host};
use crate::Make;

/// What became of one side of a call.
type Ended = anyhow::Result<()>;

const PARAMS: usize = 23;
const RESULTS: usize = 17;
const NESTED: usize = 11;

/// A caller that uses all there is: roots and nested streams, both ways, far above the limit.
async fn caller<B: Backend>(host: &Host<B>) -> Ended {
    let (mut params, mut results) = host.invoke("", pattern(5)).await?;
    let mut nested_params = params.index(&[0])?;
    let mut nested_results = results.index(&[1])?;
    let write = async {
        params.write_all(&pattern(PARAMS)).await?;
        params.flush().await?;
        params.shutdown().await
    };
    let write_nested = async {
        nested_params.write_all(&pattern(NESTED)).await?;
        nested_params.shutdown().await
    };
    let read = async {
        let received = read_all(&mut results).await.inspect_err(|error| {
            let error = call_error(error);
            assert!(matches!(error, CallError::CalleeFailed { .. }), "{error}");
        })?;
        assert_eq!(received, pattern(RESULTS), "it ended well, so it is whole");
        Ok(())
    };
    let read_nested = async {
        let received = read_all(&mut nested_results).await?;
        assert!(pattern(NESTED).starts_with(&received));
        Ok(())
    };
    // All of them to their end, whatever becomes of the others.
    let (one, two, three, four) = tokio::join!(write, write_nested, read, read_nested);
    Ok(one.and(two).and(three).and(four)?)
}

/// A callee that does the same.
async fn callee<B: Backend>(host: &Host<B>) -> Ended {
    let mut served = host.serve().await;
    let (_, mut outgoing, mut incoming) = served.next().await.expect("it does not end");
    let mut nested_results = outgoing.index(&[1])?;
    let mut nested_params = incoming.index(&[0])?;
    let read = async {
        let mut sent = pattern(5);
        sent.extend(pattern(PARAMS));
        let received = read_all(&mut incoming).await?;
        assert!(sent.starts_with(&received));
        Ok(())
    };
    let read_nested = async {
        let received = read_all(&mut nested_params).await?;
        assert!(pattern(NESTED).starts_with(&received));
        Ok(())
    };
    let write = async {
        outgoing.write_all(&pattern(RESULTS)).await?;
        outgoing.flush().await?;
        outgoing.shutdown().await
    };
    let write_nested = async {
        nested_results.write_all(&pattern(NESTED)).await?;
        nested_results.shutdown().await
    };
    let (one, two, three, four) = tokio::join!(read, read_nested, write, write_nested);
    Ok(one.and(two).and(three).and(four)?)
}

/// A side of a call, polled when it was woken.
struct Polled<F: Future>(Option<Spawn<Pin<Box<F>>>>);

impl<F: Future> Polled<F> {
    fn new(future: F) -> Self {
        Self(Some(task::spawn(Box::pin(future))))
    }

    fn poll(&mut self) -> Option<F::Output> {
        match self.0.as_mut()?.poll() {
            Poll::Ready(ended) => {
                self.0 = None;
                Some(ended)
            }
            Poll::Pending => None,
        }
    }

    fn is_woken(&self) -> bool {
        self.0.as_ref().is_some_and(Spawn::is_woken)
    }
}

/// Runs both sides, and drops `first` after some polls. Returns how each ended: `first` has not if it was dropped.
fn drop_after<F, G>(polls: usize, first: F, second: G) -> (Option<F::Output>, G::Output)
where
    F: Future,
    G: Future,
{
    let mut first = Polled::new(first);
    let mut second = Polled::new(second);
    let (mut first_ended, mut second_ended) = (None, second.poll());
    for poll in 0.. {
        if poll == polls {
            first.0 = None;
        }
        let moved = first.is_woken() || second.is_woken() || poll == 0;
        if first.is_woken() || poll == 0 {
            first_ended = first_ended.or(first.poll());
        }
        if second.is_woken() {
            second_ended = second_ended.or(second.poll());
        }
        if first.0.is_none() && second.0.is_none() {
            break;
        }
        assert!(
            moved || poll < polls,
            "dropped after {polls} polls: the other hangs"
        );
    }
    (first_ended, second_ended.expect("it has ended"))
}

/// Whatever it was doing: its callee comes to an end, and what it got is the beginning of what was sent.
pub async fn a_caller_dropped_at_any_await_leaves_no_callee_waiting<B: Backend>(
    make: impl Make<B>,
) {
    off_task(move || {
        for polls in 1..1000 {
            let host = Host::new(make(limit(4)));
            let (caller, callee) = drop_after(polls, caller(&host), callee(&host));
            match caller {
                Some(ended) => {
                    ended.expect("the call went well");
                    callee.expect("for both sides");
                    assert!(polls > 5, "it has waited a few times");
                    return;
                }
                None => check_broken(callee),
            }
        }
        panic!("the call does not come to its end");
    })
    .await;
}

/// A side whose other side was dropped has finished, or has a broken pipe.
fn check_broken(ended: Ended) {
    if let Err(error) = ended {
        let error = error.downcast_ref().expect("an I/O error");
        assert!(
            matches!(call_error(error), CallError::ReaderGone { .. }),
            "{error}"
        );
    }
}

/// Whatever it was doing: its caller gets an error, or all results.
pub async fn a_callee_dropped_at_any_await_leaves_no_caller_waiting<B: Backend>(
    make: impl Make<B>,
) {
    off_task(move || {
        for polls in 1..1000 {
            let host = Host::new(make(limit(4)));
            // It serves before there is a caller.
            let mut started = task::spawn(Box::pin(callee(&host)));
            assert_pending!(started.poll());
            let (callee, caller) = drop_after(polls, started.into_inner(), caller(&host));
            match callee {
                Some(ended) => {
                    ended.expect("the call went well");
                    caller.expect("for both sides");
                    assert!(polls > 5, "it has waited a few times");
                    return;
                }
                // `caller` has checked that results without an error are whole.
                None => {
                    if let Err(error) = caller {
                        call_error(error.downcast_ref().expect("an I/O error"));
                    }
                }
            }
        }
        panic!("the call does not come to its end");
    })
    .await;
}
