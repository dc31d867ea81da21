//! Ends the calls of a process in order.

use std::time::Duration;

use inhost_dispatch::{Drain, Drained};
use tokio::time::{sleep, timeout};

use super::Local;
use crate::{nats, subscriptions};

/// How long calls that are ended may take to tell their callers, and those callers theirs.
const LAST: Duration = Duration::from_secs(1);

/// How often it is looked whether there are calls left.
const LOOK: Duration = Duration::from_millis(5);

/// What is counted of local calls.
struct Counted {
    called: u64,
    queued: usize,
}

impl Local {
    /// Ends the calls of this process in order, before it ends.
    ///
    /// From here on no call is taken that comes over NATS, for good: other hosts that serve the
    /// function get them. Calls in flight, those that wait, and those that are made by any of them
    /// in memory, run for up to `within`. What has not come to its end then is ended: its caller
    /// gets an error that says so, and a one-way call, which has no one to tell, is counted. That
    /// takes a second at most.
    ///
    /// It is about all that this process serves over this crate, whatever connection and `Local` it
    /// is served with. A request of HTTP that a host gets is none of that, only the calls that are
    /// made for it. Functions that the runtime drop-in serves do not run in this process
    /// afterwards.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, no call is ended by it, and none is taken that comes over NATS.
    pub async fn drain(&self, within: Duration) -> Drained {
        let drain = Drain::of_process();
        drain.begin();
        let before = self.counted();
        let open = || {
            // Again, if a connection had no room for it before.
            subscriptions::leave();
            self.open()
        };
        let refuse = || {
            // Before they would be taken to be ended: that is all that the caller of a function
            // without results hears.
            subscriptions::refuse();
        };
        let after = end(drain, within, open, || self.counted(), refuse).await;
        let mut drained = drain.drained();
        drained.ended += subscriptions::refuse();
        let called = usize::try_from(after.called - before.called).unwrap_or(usize::MAX);
        drained.begun += (before.queued + called).saturating_sub(after.queued);
        drained.lost += self.shared.in_flight() + drain.arrived();
        drained
    }

    /// How many calls there are, in whatever state.
    fn open(&self) -> usize {
        self.shared.in_flight() + nats::open_calls_of_process() + subscriptions::arriving()
    }

    fn counted(&self) -> Counted {
        Counted {
            called: self.shared.calls().local,
            queued: self.shared.served().iter().map(|it| it.queued).sum(),
        }
    }
}

/// Waits until no calls are `open`, for up to `within`, and ends what is left then, after those are
/// refused that have arrived and were not taken. Returns what was counted in between.
async fn end<T>(
    drain: &Drain,
    within: Duration,
    open: impl Fn() -> usize,
    counted: impl FnOnce() -> T,
    refuse: impl FnOnce(),
) -> T {
    let _ = timeout(within, until(|| open() == 0)).await;
    let counted = counted();
    refuse();
    drain.end();
    let _ = timeout(LAST, until(|| open() == 0)).await;
    counted
}

/// Waits until `idle` is true.
async fn until(idle: impl Fn() -> bool) {
    while !idle() {
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use inhost_dispatch::Route;
    use tokio::time::Instant;

    use super::*;

    const TIME: Duration = Duration::from_secs(15);

    /// How long it takes to end calls, of which `open` tells how many there are after some time.
    async fn takes(drain: &Drain, within: Duration, open: impl Fn(Duration) -> usize) -> Duration {
        let start = Instant::now();
        end(drain, within, || open(start.elapsed()), || (), || ()).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn without_calls_nothing_is_waited_for() {
        let drain = Drain::new();
        assert_eq!(takes(&drain, TIME, |_| 0).await, Duration::ZERO);
        assert!(drain.run(Route::Local).is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_waited_for_and_not_ended_while_there_is_time() {
        let drain = Drain::new();
        let run = drain.run(Route::Local);
        let open = |elapsed: Duration| match elapsed.as_secs() {
            0..14 => {
                assert!(!run.is_over());
                1
            }
            _ => 0,
        };
        let took = takes(&drain, TIME, open).await;
        assert_eq!(took.as_secs(), 14);
        assert!(run.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_ended_and_has_a_second_to_say_so() {
        for within in [Duration::ZERO, TIME] {
            let drain = Drain::new();
            let run = drain.run(Route::Local);
            let told = Cell::new(false);
            let open = |_| {
                told.set(run.is_over());
                usize::from(!told.get())
            };
            assert_eq!(takes(&drain, within, open).await, within);
            let drain = Drain::new();
            assert_eq!(takes(&drain, within, |_| 1).await, within + LAST);
        }
    }
}
