use super::numbered::{push, Numbered};
use super::*;
use std::sync::Arc;

use tokio_test::{assert_pending, assert_ready, assert_ready_eq, task};

/// One that reader 1 reads.
fn queue(max_items: usize, max_weight: usize) -> Queue<Numbered, &'static str> {
    let max_items = NonZeroUsize::new(max_items).expect("not zero");
    let queue = Queue::new(max_items, max_weight);
    assert!(queue.give(1).is_none());
    queue
}

fn pop(queue: &Queue<Numbered, &'static str>) -> Poll<u32> {
    let popped = task::spawn(()).enter(|cx, _| queue.poll_pop(1, cx));
    popped.map(|item| item.number)
}

fn borrow(queue: &Queue<Numbered, &'static str>, reader: u64) -> Loan<&'static str> {
    task::spawn(()).enter(|cx, _| queue.borrow(reader, cx))
}

#[test]
fn hands_items_out_in_order() {
    let queue = queue(8, 8);
    for item in 0..4 {
        assert_eq!(push(&queue, item, 1), Ok(()));
    }
    for item in 0..4 {
        assert_ready_eq!(pop(&queue), item);
    }
    assert_pending!(pop(&queue));
}

#[test]
fn refuses_more_items_than_its_limit() {
    let queue = queue(2, 100);
    assert_eq!(push(&queue, 1, 0), Ok(()));
    assert_eq!(push(&queue, 2, 0), Ok(()));
    assert_eq!(push(&queue, 3, 0), Err(Refused::Full(3)));
    assert_ready_eq!(pop(&queue), 1);
    assert_eq!(push(&queue, 3, 0), Ok(()));
}

#[test]
fn refuses_more_weight_than_its_limit_and_gets_it_back() {
    let queue = queue(100, 10);
    assert_eq!(push(&queue, 1, 6), Ok(()));
    assert_eq!(push(&queue, 2, 5), Err(Refused::Full(2)));
    assert_eq!(push(&queue, 2, 4), Ok(()));
    assert_ready_eq!(pop(&queue), 1);
    assert_eq!(push(&queue, 3, 6), Ok(()));
    assert_eq!(push(&queue, 4, 1), Err(Refused::Full(4)));
}

#[test]
fn takes_an_item_heavier_than_the_limit_when_it_is_empty() {
    let queue = queue(100, 10);
    assert_eq!(push(&queue, 1, usize::MAX), Ok(()));
    assert_eq!(push(&queue, 2, usize::MAX), Err(Refused::Full(2)));
    assert_ready_eq!(pop(&queue), 1);
    assert_eq!(push(&queue, 2, 11), Ok(()));
}

#[test]
fn wakes_a_reader_that_waits() {
    let queue = queue(8, 8);
    let mut reader = task::spawn(());
    assert_pending!(reader.enter(|cx, _| queue.poll_pop(1, cx)));
    assert!(!reader.is_woken());
    assert_eq!(push(&queue, 1, 1), Ok(()));
    assert!(reader.is_woken());
    assert_ready_eq!(reader.enter(|cx, _| queue.poll_pop(1, cx)), 1);
}

#[test]
fn an_item_is_refused_or_handed_back_when_it_closes_meanwhile() {
    for _ in 0..200 {
        let queue = queue(1000, 1000);
        let (taken, left) = std::thread::scope(|threads| {
            let push = threads.spawn(|| (0..100).filter(|i| push(&queue, *i, 1).is_ok()).count());
            let close = threads.spawn(|| queue.close().1.len());
            (push.join().expect("push"), close.join().expect("close"))
        });
        assert_eq!(taken, left);
        assert_eq!(push(&queue, 1, 1), Err(Refused::Closed(1)));
        assert_eq!(queue.len(), 0);
    }
}

#[test]
fn what_waits_and_the_source_pass_to_the_next_reader() {
    let queue = queue(8, 8);
    queue.give_back(1, Some("source"));
    assert_eq!(push(&queue, 1, 1), Ok(()));
    let mut next = task::spawn(());
    assert_pending!(next.enter(|cx, _| queue.poll_pop(2, cx)));
    assert_eq!(borrow(&queue, 2), Loan::Wait);
    drop(queue.pause());
    assert_pending!(pop(&queue));
    assert_eq!(push(&queue, 2, 1), Ok(()));
    queue.give(2).expect("it waits").wake();
    assert_pending!(pop(&queue));
    assert_ready_eq!(next.enter(|cx, _| queue.poll_pop(2, cx)), 1);
    assert_ready_eq!(next.enter(|cx, _| queue.poll_pop(2, cx)), 2);
    assert_eq!(borrow(&queue, 2), Loan::Source("source"));
}

#[test]
fn a_source_that_is_given_back_late_wakes_the_next_reader() {
    let queue = queue(8, 8);
    assert_eq!(borrow(&queue, 1), Loan::Absent);
    queue.give_back(1, Some("source"));
    assert_eq!(borrow(&queue, 1), Loan::Source("source"));
    drop(queue.pause());
    assert_eq!(queue.take_source(), None);
    let _ = queue.give(2);
    let mut next = task::spawn(());
    let waits = next.enter(|cx, _| queue.borrow(2, cx));
    assert_eq!(waits, Loan::Wait);
    queue.give_back(1, Some("source"));
    assert!(next.is_woken());
    assert_eq!(borrow(&queue, 2), Loan::Source("source"));
    // One that has ended is not there any more.
    queue.give_back(2, None);
    assert_eq!(borrow(&queue, 2), Loan::Absent);
}

#[test]
fn the_source_does_not_stay_in_a_queue_that_no_one_reads() {
    let queue = queue(8, 8);
    queue.give_back(1, Some("source"));
    assert_eq!(queue.take_source(), None, "it is read");
    drop(queue.pause());
    assert_eq!(queue.take_source(), Some("source"));
    let _ = queue.give(1);
    queue.give_back(1, Some("source"));
    assert_eq!(borrow(&queue, 1), Loan::Source("source"));
    assert!(queue.close().0.is_none());
    queue.give_back(1, Some("source"));
    let _ = queue.give(2);
    assert_eq!(borrow(&queue, 2), Loan::Absent);
}

#[test]
fn a_reader_that_leaves_is_forgotten() {
    let queue = queue(8, 8);
    queue.give_back(1, Some("source"));
    let mut reader = task::spawn(());
    assert_pending!(reader.enter(|cx, _| queue.poll_pop(1, cx)));
    assert_eq!(borrow(&queue, 1), Loan::Source("source"));
    queue.leave(1);
    assert_eq!(push(&queue, 1, 1), Ok(()));
    assert!(!reader.is_woken());
    let _ = queue.give(2);
    assert_eq!(borrow(&queue, 2), Loan::Absent, "the source is lost");
}

/// An item whose room someone else holds, too, as a call does.
struct Held(Arc<Numbered>);

impl Item for Held {
    fn room(&self) -> &Room {
        &self.0.room
    }
}

type Rooms = Queue<Held, ()>;

/// The stream of who looks once, and does not wait.
const LOOKS: usize = 7;

fn rooms(max_items: usize, max_weight: usize) -> Rooms {
    let queue = Queue::new(NonZeroUsize::new(max_items).expect("not zero"), max_weight);
    assert!(queue.give(1).is_none());
    queue
}

/// Pushes an item that waits if there is no room.
fn wait(queue: &Rooms, number: u32, weight: usize) -> Arc<Numbered> {
    let room = Room::new();
    let item = Arc::new(Numbered { number, room });
    let pushed = queue.push(Held(Arc::clone(&item)), weight, IfFull::Wait);
    assert!(pushed.is_ok());
    item
}

fn take(queue: &Rooms) -> u32 {
    let mut reader = task::spawn(());
    assert_ready!(reader.enter(|cx, _| queue.poll_pop(1, cx)))
        .0
        .number
}

fn within(queue: &Rooms, item: &Numbered) -> bool {
    task::spawn(())
        .enter(|cx, _| queue.poll_within(&item.room, LOOKS, cx))
        .is_ready()
}

fn grow(queue: &Rooms, item: &Numbered, bytes: usize) -> Poll<usize> {
    task::spawn(()).enter(|cx, _| queue.poll_grow(&item.room, LOOKS, bytes, cx))
}

#[test]
fn what_comes_when_it_is_full_waits_and_is_read_in_its_turn() {
    let queue = rooms(1, 100);
    let items: Vec<_> = (0..5).map(|number| wait(&queue, number, 1)).collect();
    for taken in 0..5 {
        for (number, item) in items.iter().enumerate() {
            assert_eq!(within(&queue, item), number <= taken, "{number}, {taken}");
        }
        assert_eq!(take(&queue), taken as u32);
        // Whoever comes last does not overtake those that wait.
        if taken == 0 {
            assert_eq!(push_refused(&queue), 9);
        }
    }
    assert!(!queue.seems_full());
}

fn push_refused(queue: &Rooms) -> u32 {
    let room = Room::new();
    let item = Held(Arc::new(Numbered { number: 9, room }));
    match queue.push(item, 0, IfFull::Refuse) {
        Err(Refused::Full(item)) => item.0.number,
        _ => panic!("it is full"),
    }
}

#[test]
fn what_is_given_up_leaves_its_room_to_others_and_their_order_as_it_is() {
    // Two are within, the others wait.
    for given_up in 0..5 {
        let queue = rooms(2, 100);
        let items: Vec<_> = (0..5).map(|number| wait(&queue, number, 1)).collect();
        let removed = queue
            .remove(&items[given_up].room)
            .map(|item| item.0.number);
        assert_eq!(removed, Some(given_up as u32));
        assert!(queue.remove(&items[given_up].room).is_none(), "it is gone");
        let left: Vec<_> = (0..5).filter(|number| *number != given_up).collect();
        for (place, number) in left.iter().enumerate() {
            assert_eq!(
                within(&queue, &items[*number]),
                place < 2,
                "{given_up}, {number}"
            );
        }
        let taken: Vec<_> = left.iter().map(|_| take(&queue) as usize).collect();
        assert_eq!(taken, left);
        assert!(queue.remove(&items[0].room).is_none(), "it was taken");
        assert!(!queue.seems_full());
    }
}

#[test]
fn the_bytes_of_what_is_given_up_are_there_for_others() {
    let queue = rooms(100, 10);
    let item = wait(&queue, 0, 4);
    assert_ready_eq!(grow(&queue, &item, 6), 6);
    let other = wait(&queue, 1, 10);
    assert!(!within(&queue, &other));
    assert!(queue.remove(&item.room).is_some());
    assert!(within(&queue, &other));
}

#[test]
fn a_queue_that_was_long_gives_its_memory_back() {
    let queue = queue(1000, 1000);
    for item in 0..1000 {
        assert_eq!(push(&queue, item, 1), Ok(()));
    }
    for item in 0..1000 {
        assert_ready_eq!(pop(&queue), item);
    }
    assert!(queue.lock().items.capacity() <= KEPT);
}

#[test]
fn who_waits_for_room_is_woken_when_there_is_some() {
    let queue = rooms(2, 10);
    let [_a, _b] = [wait(&queue, 0, 5), wait(&queue, 1, 5)];
    let (heavy, light) = (wait(&queue, 2, 10), wait(&queue, 3, 1));
    let mut waits = [task::spawn(()), task::spawn(())];
    for (task, item) in waits.iter_mut().zip([&heavy, &light]) {
        assert_pending!(task.enter(|cx, _| queue.poll_within(&item.room, 0, cx)));
    }
    assert_eq!(take(&queue), 0);
    assert!(
        !waits[0].is_woken() && waits[1].is_woken(),
        "there is room for the light one, and for no other"
    );
    assert!(within(&queue, &light) && !within(&queue, &heavy));
    // It was let in, and has not overtaken.
    assert_eq!(take(&queue), 1);
    assert_eq!(take(&queue), 2);
    assert!(waits[0].is_woken(), "it was taken");
    assert_eq!(take(&queue), 3);
    assert!(!wait(&queue, 4, 10).room.is_beyond());
}

#[test]
fn an_item_grows_as_far_as_there_is_room_and_takes_all_of_it_along() {
    let queue = rooms(10, 10);
    let item = wait(&queue, 0, 4);
    assert_eq!(grow(&queue, &item, 4), Poll::Ready(4));
    assert_eq!(grow(&queue, &item, 4), Poll::Ready(2));
    assert!(queue.seems_full());
    let mut parked = task::spawn(());
    assert_pending!(parked.enter(|cx, _| queue.poll_grow(&item.room, 0, 1, cx)));
    let other = wait(&queue, 1, 1);
    assert!(!within(&queue, &other));
    queue.shrink(&item.room, 1);
    assert!(within(&queue, &other));
    assert_eq!(take(&queue), 0);
    assert!(parked.is_woken());
    assert_eq!(grow(&queue, &item, 1000), Poll::Ready(1000), "it has left");
    queue.shrink(&item.room, 1000);
    assert_eq!(
        grow(&queue, &other, 1000),
        Poll::Ready(9),
        "all of it is back"
    );
}

#[test]
fn what_is_put_back_comes_first_and_whoever_waits_does_so_still() {
    let queue = rooms(1, 100);
    let items = [0, 1, 2].map(|number| wait(&queue, number, 1));
    assert_eq!(take(&queue), 0);
    assert!(queue.put_back(Held(Arc::clone(&items[0])), 1).is_ok());
    assert_eq!(
        items.each_ref().map(|it| within(&queue, it)),
        [true, true, false]
    );
    for expected in 0..3 {
        assert_eq!(take(&queue), expected);
    }
    drop(queue.close());
    assert!(matches!(
        queue.put_back(Held(Arc::clone(&items[0])), 1),
        Err(Refused::Closed(_))
    ));
}

#[test]
fn no_one_waits_for_room_in_a_queue_that_is_closed() {
    let queue = rooms(1, 100);
    let [_first, second] = [wait(&queue, 0, 1), wait(&queue, 1, 1)];
    let mut parked = task::spawn(());
    assert_pending!(parked.enter(|cx, _| queue.poll_within(&second.room, 0, cx)));
    let (_, left, woken) = queue.close();
    assert_eq!((left.len(), woken.len()), (2, 1));
    assert!(within(&queue, &second));
    assert_eq!(grow(&queue, &second, 5), Poll::Ready(5));
}

#[test]
fn the_bounds_hold_whatever_happens() {
    // A simple generator: the same each time.
    let mut random = 7_u64;
    let mut random = move |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % below
    };
    let (max_items, max_weight) = (4, 20);
    let queue = rooms(max_items, max_weight);
    let mut queued: VecDeque<(Arc<Numbered>, usize)> = VecDeque::new();
    for number in 0..20_000_u32 {
        match random(5) {
            0 | 1 => {
                let weight = random(30);
                queued.push_back((wait(&queue, number, weight), weight));
            }
            2 => {
                if let Some((item, weight)) = queued.pop_front() {
                    assert_eq!(take(&queue), item.number);
                    if random(8) == 0 {
                        assert!(queue.put_back(Held(Arc::clone(&item)), weight).is_ok());
                        assert_eq!(take(&queue), item.number);
                    }
                }
            }
            _ if queued.is_empty() => {}
            _ => {
                let at = random(queued.len());
                let (item, weight) = &mut queued[at];
                if let Poll::Ready(grown) = grow(&queue, item, random(6) + 1) {
                    let back = random(grown + 1);
                    queue.shrink(&item.room, back);
                    *weight += grown - back;
                }
            }
        }
        let inside: Vec<_> = queued.iter().filter(|it| !it.0.room.is_beyond()).collect();
        let weight: usize = inside.iter().map(|it| it.1).sum();
        assert!(inside.len() <= max_items);
        assert!(weight <= max_weight || inside.len() == 1, "{weight}");
        // The first one that waits does so for a reason.
        if let Some((_, first)) = queued.iter().find(|it| it.0.room.is_beyond()) {
            assert!(inside.len() == max_items || weight + first > max_weight);
        }
        assert_eq!(queue.len(), queued.len());
    }
}
