use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::Context;

use ::loom::future::block_on;
use ::loom::{model, thread};
use futures::task::noop_waker_ref;

use super::numbered::{push, Numbered};
use super::*;

/// One that reader 1 reads.
fn queue() -> Arc<Queue<Numbered, ()>> {
    bounded(NonZeroUsize::MAX)
}

fn bounded(max_items: NonZeroUsize) -> Arc<Queue<Numbered, ()>> {
    let queue = Queue::new(max_items, usize::MAX);
    let _ = queue.give(1);
    Arc::new(queue)
}

/// Waits for an item. loom finds a wake-up that is lost: then no thread can go on.
fn pop(queue: &Queue<Numbered, ()>) -> u32 {
    block_on(poll_fn(|cx| queue.poll_pop(1, cx))).number
}

/// Looks once, as a reader does that is dropped after it.
fn look(queue: &Queue<Numbered, ()>) -> Option<u32> {
    match queue.poll_pop(1, &mut Context::from_waker(noop_waker_ref())) {
        Poll::Ready(item) => Some(item.number),
        Poll::Pending => None,
    }
}

#[test]
fn a_reader_gets_what_is_pushed_meanwhile_in_order() {
    model(|| {
        let queue = queue();
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                assert_eq!(push(&queue, 1, 1), Ok(()));
                assert_eq!(push(&queue, 2, 1), Ok(()));
            }
        });
        assert_eq!((pop(&queue), pop(&queue)), (1, 2));
        pusher.join().expect("the pusher");
    });
}

#[test]
fn a_reader_gets_what_two_push_at_once() {
    model(|| {
        let queue = queue();
        let pushers = [1, 2].map(|item| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || assert_eq!(push(&queue, item, 1), Ok(())))
        });
        let (one, other) = (pop(&queue), pop(&queue));
        assert_eq!(one + other, 3);
        for pusher in pushers {
            pusher.join().expect("a pusher");
        }
    });
}

#[test]
fn a_reader_that_takes_over_from_one_that_was_dropped_is_woken() {
    model(|| {
        let queue = queue();
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || assert_eq!(push(&queue, 1, 1), Ok(()))
        });
        let item = look(&queue).unwrap_or_else(|| pop(&queue));
        assert_eq!(item, 1);
        pusher.join().expect("the pusher");
    });
}

#[test]
fn an_item_is_popped_refused_or_handed_back_and_nothing_else() {
    model(|| {
        let queue = queue();
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let refused = [1, 2].map(|item| push(&queue, item, 1).is_err());
                assert!(refused[1] || !refused[0], "once closed, it stays closed");
                refused.iter().filter(|refused| **refused).count()
            }
        });
        let popped = look(&queue).into_iter().count();
        let left = queue.close().1.len();
        let refused = pusher.join().expect("the pusher");
        assert_eq!(popped + left + refused, 2);
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn a_limit_holds_when_two_push_at_once() {
    model(|| {
        let queue = bounded(NonZeroUsize::MIN);
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || push(&queue, 1, 1).is_ok()
        });
        let one = push(&queue, 2, 1).is_ok();
        let other = other.join().expect("the other pusher");
        assert!(one != other, "one of the two has room");
    });
}

/// One reader's turn ends while an item comes and the next reader waits for its turn.
#[test]
fn an_item_that_comes_at_a_change_over_is_read_once() {
    model(|| {
        let queue = queue();
        let pusher = thread::spawn({
            let queue = Arc::clone(&queue);
            move || assert_eq!(push(&queue, 1, 1), Ok(()))
        });
        let next = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                drop(queue.pause());
                if let Some(next) = queue.give(2) {
                    next.wake();
                }
            }
        });
        let old = look(&queue);
        pusher.join().expect("the pusher");
        let new = match old {
            Some(_) => None,
            None => Some(block_on(poll_fn(|cx| queue.poll_pop(2, cx))).number),
        };
        next.join().expect("the change-over");
        assert_eq!((old.or(new), queue.len()), (Some(1), 0));
    });
}

/// The next reader waits for the source, which the one before is looking at.
#[test]
fn the_source_reaches_the_next_reader() {
    model(|| {
        let queue = queue();
        queue.give_back(1, Some(()));
        let old = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut cx = Context::from_waker(noop_waker_ref());
                if let Loan::Source(()) = queue.borrow(1, &mut cx) {
                    queue.give_back(1, Some(()));
                }
            }
        });
        let change = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                drop(queue.pause());
                if let Some(next) = queue.give(2) {
                    next.wake();
                }
            }
        });
        let loan = block_on(poll_fn(|cx| match queue.borrow(2, cx) {
            Loan::Wait => Poll::Pending,
            loan => Poll::Ready(loan),
        }));
        assert_eq!(loan, Loan::Source(()));
        old.join().expect("the old one");
        change.join().expect("the change-over");
    });
}

/// One that waits for room, and whoever put it there.
struct Waits(Arc<Room>);

impl Item for Waits {
    fn room(&self) -> &Room {
        &self.0
    }
}

/// Full of one item, with another one beyond the bounds.
fn full() -> (Arc<Queue<Waits, ()>>, Arc<Room>) {
    let queue = Queue::new(NonZeroUsize::MIN, 10);
    let _ = queue.give(1);
    let rooms = [0, 1].map(|_| Arc::new(Room::new()));
    for room in &rooms {
        assert!(queue.push(Waits(Arc::clone(room)), 1, IfFull::Wait).is_ok());
    }
    let [_, second] = rooms;
    (Arc::new(queue), second)
}

/// As a writer does: it looks without the lock first.
fn wait_for_room(queue: &Queue<Waits, ()>, room: &Room) {
    block_on(poll_fn(|cx| match room.is_beyond() {
        true => queue.poll_within(room, 0, cx),
        false => Poll::Ready(()),
    }));
}

#[test]
fn who_waits_for_room_while_an_item_is_taken_gets_it() {
    model(|| {
        let (queue, second) = full();
        let reader = thread::spawn({
            let queue = Arc::clone(&queue);
            move || block_on(poll_fn(|cx| queue.poll_pop(1, cx)))
        });
        wait_for_room(&queue, &second);
        assert!(!second.has_left());
        drop(reader.join().expect("the reader"));
    });
}

#[test]
fn who_waits_for_room_while_the_queue_closes_waits_no_more() {
    model(|| {
        let (queue, second) = full();
        let closer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let (_, left, woken) = queue.close();
                drop(left);
                woken.into_iter().for_each(Waker::wake);
            }
        });
        wait_for_room(&queue, &second);
        let grown = block_on(poll_fn(|cx| queue.poll_grow(&second, 0, 5, cx)));
        assert_eq!(grown, 5);
        closer.join().expect("the closer");
    });
}

/// Whoever gives an item up and the reader do not both get it, and who waits behind it is let in by either.
#[test]
fn an_item_that_is_given_up_is_not_taken_as_well() {
    model(|| {
        let (queue, second) = full();
        let third = Arc::new(Room::new());
        let pushed = queue.push(Waits(Arc::clone(&third)), 1, IfFull::Wait);
        assert!(pushed.is_ok());
        let caller = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.remove(&second).is_some()
        });
        let mut taken = 0;
        while !third.has_left() {
            drop(block_on(poll_fn(|cx| queue.poll_pop(1, cx))));
            taken += 1;
        }
        let given_up = caller.join().expect("the caller");
        assert_eq!(taken + usize::from(given_up), 3);
        assert!(!queue.seems_full());
    });
}

/// A write that was let through counts until its item is taken, and never after.
#[test]
fn what_is_written_while_an_item_is_taken_counts_no_more_when_it_has_left() {
    model(|| {
        let queue = Arc::new(Queue::<Waits, ()>::new(NonZeroUsize::MAX, 10));
        let _ = queue.give(1);
        let room = Arc::new(Room::new());
        assert!(queue
            .push(Waits(Arc::clone(&room)), 1, IfFull::Refuse)
            .is_ok());
        let reader = thread::spawn({
            let queue = Arc::clone(&queue);
            move || drop(block_on(poll_fn(|cx| queue.poll_pop(1, cx))))
        });
        let grown = block_on(poll_fn(|cx| queue.poll_grow(&room, 0, 9, cx)));
        assert_eq!(grown, 9);
        queue.shrink(&room, 4);
        reader.join().expect("the reader");
        assert!(room.has_left() && !queue.seems_full());
        let next = Arc::new(Room::new());
        let pushed = queue.push(Waits(next), 10, IfFull::Refuse);
        assert!(pushed.is_ok(), "all of the room is there again");
    });
}
