//! The threads that a host runs on.
//!
//! tokio wakes an idle worker as soon as another one has more than one thing to do. A call in
//! memory has that for a moment each time: the callee's task wakes its caller, and the task that
//! counts the call. While calls come one by one, there is nothing to share. The worker that wakes
//! up takes the caller over to a processor that knows nothing of it, and for the next call the
//! first worker does the same: most of a short call is then the way between the two. So an idle
//! worker waits a little before it parks while it sees such calls. tokio takes it for one that
//! looks for work, and wakes none.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use wrpc_transport_nats::local::Pace;

/// How often an idle worker waits at most before it parks, in a row. What only it could do is
/// delayed by no more than that.
const MOST: u32 = 10;

/// A builder of the multi-thread tokio runtime that the `wasmcloud` program runs on, with all
/// drivers enabled. For programs that start a [`Host`](crate::Host) by themselves: on it, calls
/// that come one by one stay on one worker, and short ones take little more than half the time.
///
/// `linger` is how long an idle worker waits for the next call before it looks again whether there
/// were any, and parks if not; zero turns that off. The program has 200 microseconds: calls that
/// are more than that apart do not count as coming one by one. At most 10 waits follow each other,
/// and only one worker waits at a time. None begins to while all others are parked, and none goes
/// on after it has seen a function with several calls in flight.
///
/// It sets [`Builder::on_thread_park`] and [`Builder::on_thread_unpark`].
pub fn runtime_builder(linger: Duration) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    if !linger.is_zero() {
        let parking = Arc::new(Parking::default());
        let unparking = Arc::clone(&parking);
        builder.on_thread_park(move || {
            let workers = Handle::try_current().map_or(1, |handle| handle.metrics().num_workers());
            parking.park(workers, Pace::take, || thread::sleep(linger));
        });
        builder.on_thread_unpark(move || unparking.unpark());
    }
    builder
}

/// What the workers of a runtime know of each other.
#[derive(Default)]
struct Parking {
    /// How many are parked, or are about to be.
    parked: AtomicUsize,
    /// Whether one waits before it parks.
    lingering: AtomicBool,
}

impl Parking {
    /// To be called by one of `workers` workers that is about to park: returns when it is to do so.
    fn park(&self, workers: usize, pace: impl Fn() -> Pace, wait: impl Fn()) {
        // Someone has to listen to the network and to the timers: whoever is awake does, or parks on them next.
        let another_is_awake = self.parked.load(Ordering::Relaxed) + 1 < workers;
        if another_is_awake && !self.lingering.swap(true, Ordering::Relaxed) {
            for _ in 0..MOST {
                if pace() != Pace::OneByOne {
                    break;
                }
                wait();
            }
            self.lingering.store(false, Ordering::Relaxed);
        }
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    /// To be called by a worker that was parked.
    fn unpark(&self) {
        self.parked.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often a worker of `workers` waits before it parks, when the pace is `paces` and then still.
    fn waits(parking: &Parking, workers: usize, paces: &[Pace]) -> u32 {
        let (asked, waits) = (Cell::new(0), Cell::new(0));
        let pace = || {
            let pace = paces.get(asked.get()).copied().unwrap_or(Pace::Still);
            asked.set(asked.get() + 1);
            pace
        };
        parking.park(workers, pace, || waits.set(waits.get() + 1));
        waits.get()
    }

    const CALLS: [Pace; 3] = [Pace::OneByOne; 3];

    #[test]
    fn an_idle_worker_waits_for_as_long_as_calls_come_one_by_one() {
        assert_eq!(waits(&Parking::default(), 2, &CALLS), 3);
        assert_eq!(waits(&Parking::default(), 2, &[]), 0);
        assert_eq!(waits(&Parking::default(), 2, &[Pace::Together]), 0);
        let then_more = [Pace::OneByOne, Pace::Together, Pace::OneByOne];
        assert_eq!(waits(&Parking::default(), 2, &then_more), 1);
    }

    #[test]
    fn it_parks_some_time_even_if_the_calls_do_not_end() {
        let calls = [Pace::OneByOne; 1000];
        assert_eq!(waits(&Parking::default(), 2, &calls), MOST);
    }

    #[test]
    fn the_last_one_that_is_awake_never_waits() {
        assert_eq!(waits(&Parking::default(), 1, &CALLS), 0);
        let parking = Parking::default();
        assert_eq!(waits(&parking, 2, &CALLS), 3);
        assert_eq!(waits(&parking, 2, &CALLS), 0, "the first one is parked");
        parking.unpark();
        parking.unpark();
        assert_eq!(waits(&parking, 2, &CALLS), 3);
    }

    #[test]
    fn one_waits_at_a_time() {
        let parking = Parking::default();
        let others = Cell::new(0);
        let another = || others.set(others.get() + waits(&parking, 4, &CALLS));
        let paces = Cell::new(2);
        let pace = || match paces.replace(paces.get() - 1) {
            0 => Pace::Still,
            _ => Pace::OneByOne,
        };
        parking.park(4, pace, another);
        assert_eq!(others.get(), 0);
        parking.unpark();
        assert_eq!(waits(&parking, 4, &CALLS), 3, "it has ended");
    }

    #[test]
    fn a_runtime_that_lingers_runs_timers_and_tasks() {
        let runtime = runtime_builder(Duration::from_micros(50)).build().unwrap();
        let sum = runtime.block_on(async {
            let tasks = (0..100u64).map(|n| {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_micros(n)).await;
                    n
                })
            });
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 4950);
    }
}
