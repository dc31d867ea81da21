//! What an import waits for, polled by whoever runs the guest and not on the guest's stack.
//!
//! wasmtime gives a guest a stack of its own, a fiber, and polls there what an import waits for.
//! The way from an import to the transport leads through the whole host and takes more than 8 KiB
//! of stack. A stack keeps each page that was touched, so each call that waits would hold that much
//! memory until it ends. Here the fiber only says what is to be done, and suspends. Who polls the
//! call of the guest ([`drive`]) does it next, on the stack of the thread:
//!
//! ```text
//!   drive ----- polls the call ----> guest ----> import: run(slot, begin)
//!     |  <---------- pending, and `begin` is given ----------'
//!     | polls what `begin` makes, now and when it is woken
//!     '-------- polls the call ----> import: takes the outcome, and the guest goes on
//! ```
//!
//! The two meet in a slot of the store, which is open for as long as one poll of the call takes. A
//! guest can also be run by someone who does not drive it, as the host runs HTTP handlers: then the
//! import polls as ever.
//!
//! The slot is not one of the thread: a fiber may be on another thread after each suspension, and
//! what the compiler took for the address of a thread's variable before it may be used after it.

use std::future::{poll_fn, Future};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

/// What an invocation came to: the results in the wRPC encoding.
pub(crate) type Outcome = anyhow::Result<Bytes>;

/// An invocation.
pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Begins an invocation. To make its future is to write all of it, which takes stack as well.
pub(crate) type Begin = Box<dyn FnOnce() -> Work + Send>;

/// Where the import and who drives its guest meet. Each store has one, and a clone is the same one.
/// A store runs one guest at a time, and that has called one import.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// No one drives the guest.
    #[default]
    Closed,
    Open(Content),
}

/// What is in a slot that is open.
enum Content {
    Empty,
    Given(Begin),
    Done(Outcome),
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, state: State) -> State {
        mem::replace(&mut *self.lock(), state)
    }
}

/// Has a slot open for the time of a poll. It is closed when this is dropped, also in a panic: an
/// import must not wait for someone who has gone.
struct Scope<'s>(&'s Slot);

impl<'s> Scope<'s> {
    fn enter(slot: &'s Slot, content: Content) -> Self {
        drop(slot.replace(State::Open(content)));
        Self(slot)
    }

    /// What is in the slot now.
    fn leave(self) -> Content {
        match self.0.replace(State::Closed) {
            State::Open(content) => content,
            State::Closed => Content::Empty,
        }
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        // Not dropped while it is locked: that may run code which uses the slot.
        let left = self.0.replace(State::Closed);
        drop(left);
    }
}

/// Runs `call`, which runs a guest of the store of `slot`, and does what the guest's imports leave to it.
///
/// # Cancel safety
///
/// That of `call`. When the future is dropped, what an import has left to it is dropped, too.
pub(crate) async fn drive<T>(slot: &Slot, mut call: Pin<&mut impl Future<Output = T>>) -> T {
    let mut work: Option<Work> = None;
    // For the import, which need not be what a poll of the call polls next.
    let mut content = Content::Empty;
    poll_fn(move |cx| {
        if let Some(outcome) = poll(&mut work, cx) {
            content = Content::Done(outcome);
        }
        loop {
            let scope = Scope::enter(slot, mem::replace(&mut content, Content::Empty));
            let polled = call.as_mut().poll(cx);
            content = scope.leave();
            if let Poll::Ready(output) = polled {
                return Poll::Ready(output);
            }
            let begin = match mem::replace(&mut content, Content::Empty) {
                Content::Given(begin) => begin,
                other => {
                    content = other;
                    return Poll::Pending;
                }
            };
            work = Some(begin());
            match poll(&mut work, cx) {
                Some(outcome) => content = Content::Done(outcome),
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// The outcome of `work`, if it is there. Then `work` is gone.
fn poll(work: &mut Option<Work>, cx: &mut Context<'_>) -> Option<Outcome> {
    match work.as_mut()?.as_mut().poll(cx) {
        Poll::Ready(outcome) => {
            *work = None;
            Some(outcome)
        }
        Poll::Pending => None,
    }
}

/// Has an invocation made by who drives the guest of the store of `slot`, and awaits its outcome.
/// Makes it itself when no one does.
pub(crate) async fn run(slot: &Slot, begin: Begin) -> Outcome {
    let mut own = match give(slot, begin) {
        Ok(()) => None,
        Err(begin) => Some(begin()),
    };
    // Whoever is given work polls the call again when it is done, so nothing has to wake this.
    poll_fn(|cx| match &mut own {
        Some(work) => work.as_mut().poll(cx),
        None => take(slot).map_or(Poll::Pending, Poll::Ready),
    })
    .await
}

/// Leaves `begin` to who drives the guest. Gives it back when no one does.
fn give(slot: &Slot, begin: Begin) -> Result<(), Begin> {
    let replaced = match &mut *slot.lock() {
        State::Open(content) if !matches!(content, Content::Given(_)) => {
            mem::replace(content, Content::Given(begin))
        }
        _ => return Err(begin),
    };
    // What an import that was dropped has not taken. Not dropped while it is locked, as above.
    drop(replaced);
    Ok(())
}

/// The outcome of what was left to who drives the guest.
fn take(slot: &Slot) -> Option<Outcome> {
    let mut state = slot.lock();
    let State::Open(content) = &mut *state else {
        return None;
    };
    match mem::replace(content, Content::Empty) {
        Content::Done(outcome) => Some(outcome),
        other => {
            *content = other;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

    use anyhow::ensure;
    use tokio::sync::oneshot;
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    thread_local! {
        static ON_FIBER: RefCell<bool> = const { RefCell::new(false) };
    }

    /// Polls `guest` as a fiber does: one can tell, within it, that it is there.
    async fn fiber<T>(guest: impl Future<Output = T>) -> T {
        let mut guest = pin!(guest);
        poll_fn(|cx| {
            let outer = ON_FIBER.replace(true);
            let polled = guest.as_mut().poll(cx);
            ON_FIBER.set(outer);
            polled
        })
        .await
    }

    fn on_fiber() -> bool {
        ON_FIBER.with_borrow(|on| *on)
    }

    /// An invocation that is answered by whoever has the other half. It fails when it is polled
    /// elsewhere than it should be.
    fn invocation(expected_on_fiber: bool) -> (oneshot::Sender<u8>, Begin) {
        let (answer, answered) = oneshot::channel();
        let begin = move || {
            let mut answered = answered;
            Box::pin(poll_fn(move |cx| {
                if on_fiber() != expected_on_fiber {
                    return Poll::Ready(Err(anyhow::anyhow!("polled where it should not be")));
                }
                let answer = Pin::new(&mut answered).poll(cx);
                answer.map(|byte| Ok(Bytes::copy_from_slice(&[byte?])))
            })) as Work
        };
        (answer, Box::new(begin))
    }

    /// Checks that `call` waits until there is an answer, and has that.
    fn waits_for(answer: oneshot::Sender<u8>, call: impl Future<Output = Outcome>) {
        let mut call = task::spawn(call);
        assert_pending!(call.poll());
        assert!(!call.is_woken());
        answer.send(7).expect("it waits");
        assert!(call.is_woken());
        assert_eq!(assert_ready!(call.poll()).expect("an answer"), [7][..]);
    }

    fn ready(byte: u8) -> Begin {
        Box::new(move || {
            Box::pin(async move {
                ensure!(!on_fiber(), "polled on the fiber");
                Ok(Bytes::copy_from_slice(&[byte]))
            })
        })
    }

    #[test]
    fn who_drives_a_guest_polls_what_its_imports_wait_for() {
        let store = Slot::default();
        let (answer, begin) = invocation(false);
        waits_for(answer, async {
            drive(&store, pin!(fiber(async { run(&store, begin).await }))).await
        });
    }

    #[test]
    fn a_guest_that_no_one_drives_waits_by_itself() {
        let store = Slot::default();
        let (answer, begin) = invocation(true);
        waits_for(answer, fiber(run(&store, begin)));
    }

    #[test]
    fn a_guest_of_another_store_is_no_business_of_who_drives_this_one() {
        let store = Slot::default();
        let other = Slot::default();
        let (answer, begin) = invocation(true);
        waits_for(answer, async {
            drive(&store, pin!(fiber(async { run(&other, begin).await }))).await
        });
    }

    #[test]
    fn one_import_after_the_other_gets_its_own_outcome() {
        let store = Slot::default();
        let guest = async {
            let mut sum = 0;
            for byte in 0..100 {
                let outcome = run(&store, ready(byte)).await.expect("an answer");
                assert_eq!(outcome, [byte][..]);
                sum += u32::from(byte);
            }
            sum
        };
        let mut call = task::spawn(async { drive(&store, pin!(fiber(guest))).await });
        assert_eq!(assert_ready!(call.poll()), 4950);
    }

    #[test]
    fn a_guest_within_a_guest_is_driven_by_its_own_driver() {
        let store = Slot::default();
        let other = Slot::default();
        let guest = async {
            let first = run(&store, ready(1)).await.expect("an answer");
            let inner = pin!(fiber(async { run(&other, ready(2)).await }));
            // As polled by the host, which is not on the fiber of the inner guest, but on that of the outer one.
            let second = drive(&other, inner).await.map(|_| ());
            let third = run(&store, ready(3)).await.expect("an answer");
            (first, second.is_err(), third)
        };
        let mut call = task::spawn(async { drive(&store, pin!(fiber(guest))).await });
        let (first, on_outer_fiber, third) = assert_ready!(call.poll());
        assert_eq!(
            (first, third),
            (Bytes::from_static(&[1]), Bytes::from_static(&[3]))
        );
        assert!(on_outer_fiber);
    }

    #[test]
    fn what_wakes_the_guest_otherwise_reaches_it_while_its_import_waits() {
        let store = Slot::default();
        let (_answer, begin) = invocation(false);
        let (stop, stopped) = oneshot::channel();
        let mut call = task::spawn(async {
            let guest = pin!(fiber(async {
                tokio::select! {
                    _ = run(&store, begin) => "answered",
                    _ = stopped => "stopped",
                }
            }));
            drive(&store, guest).await
        });
        assert_pending!(call.poll());
        stop.send(()).expect("it waits");
        assert!(call.is_woken());
        assert_eq!(assert_ready!(call.poll()), "stopped");
    }

    #[test]
    fn the_outcome_of_an_import_that_was_dropped_is_not_that_of_the_next() {
        let store = Slot::default();
        let (answer, begin) = invocation(false);
        let (stop, stopped) = oneshot::channel();
        let mut call = task::spawn(async {
            let guest = pin!(fiber(async {
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    _ = run(&store, begin) => panic!("it is not asked any more"),
                }
                run(&store, ready(2)).await
            }));
            drive(&store, guest).await
        });
        assert_pending!(call.poll());
        answer.send(1).expect("it waits");
        stop.send(()).expect("it waits");
        assert_eq!(assert_ready!(call.poll()).expect("an answer"), [2][..]);
    }

    #[test]
    fn dropping_the_call_drops_what_was_left_to_its_driver() {
        let store = Slot::default();
        let (answer, begin) = invocation(false);
        let mut call = task::spawn(async {
            drive(&store, pin!(fiber(async { run(&store, begin).await }))).await
        });
        assert_pending!(call.poll());
        drop(call);
        assert!(answer.is_closed());
    }

    #[test]
    fn no_import_waits_for_a_driver_that_panicked() {
        let store = Slot::default();
        let mut call =
            task::spawn(async { drive(&store, pin!(async { panic!("on purpose") })).await });
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call.poll()));
        assert!(polled.is_err());

        let (answer, begin) = invocation(true);
        waits_for(answer, fiber(run(&store, begin)));
    }

    #[test]
    fn work_can_use_the_slot_when_it_is_dropped() {
        let store = Slot::default();
        struct OnDrop(Arc<AtomicBool>, Slot);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                let begin = give(&self.1, ready(1));
                self.0.store(begin.is_err(), Ordering::Relaxed);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let noted = OnDrop(Arc::clone(&dropped), store.clone());
        let begin: Begin = Box::new(move || {
            let noted = noted;
            Box::pin(async move {
                let _noted = noted;
                std::future::pending().await
            })
        });
        let mut call = task::spawn(async {
            // It never gets as far as to begin: who drives it goes in the poll in which it is given.
            drive(
                &store,
                pin!(async {
                    let mut given = pin!(run(&store, begin));
                    poll_fn(|cx| {
                        assert!(given.as_mut().poll(cx).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                }),
            )
            .await;
        });
        assert_ready!(call.poll());
        assert!(dropped.load(Ordering::Relaxed));
    }
}
