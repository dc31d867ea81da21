//! For how long what comes to a queue now would wait there.

use std::time::Duration;

use tokio::time::Instant;

/// A call over NATS takes less than a third of this, if who serves it is idle and near: see
/// `host-integration/docs/figures.md`.
const LATE: Duration = Duration::from_millis(1);

/// Chosen, and on the safe side: where calls take less than this, or are run by so many instances
/// at once that one is taken more often, sending them away is taken to be more work than doing
/// them.
const SLOW: Duration = Duration::from_micros(300);

/// How many items the mean is over, more or less.
const WINDOW: f64 = 32.0;

/// When the queue is late and empty, one item comes in after so many times as long as items wait,
/// and after [`AT_LEAST`] at the latest, to see whether it still is.
const TRIES: f64 = 4.0;
const AT_LEAST: Duration = Duration::from_millis(250);

/// What is assumed of a queue of which nothing is known yet: so many items were taken, each after
/// so long. A few calls more stay here, and not all of a thousand that come at once.
const ASSUMED: (f64, Duration) = (8.0, Duration::from_micros(750));

/// A reader that is woken has so much time to come, that does not count. It waits for a processor
/// then, as everything does on a host that has much to do, and to send the item elsewhere would be
/// more to do.
const WAKES: Duration = Duration::from_millis(10);

/// How fast a queue is emptied while there is something in it and its reader does not come, which
/// has no instance that is free.
pub(super) struct Backlog {
    /// How many items were taken, the older ones counting less.
    taken: f64,
    /// For how long they waited for the reader, with the same weights.
    seconds: f64,
    /// From when on the reader is waited for. `None` while the queue is empty.
    since: Option<Instant>,
    /// Whether that is because it was woken.
    is_woken: bool,
    /// When an item was last taken.
    last: Instant,
}

impl Backlog {
    pub(super) fn new(items: usize) -> Self {
        let (taken, each) = ASSUMED;
        Self {
            taken,
            seconds: taken * each.as_secs_f64(),
            since: (items > 0).then(Instant::now),
            is_woken: false,
            last: Instant::now(),
        }
    }

    /// An item was put into the queue. The reader either waits for it, and `is_woken`, or is at work.
    pub(super) fn comes(&mut self, is_woken: bool) {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(if is_woken { now + WAKES } else { now });
            self.is_woken = is_woken;
        }
    }

    /// An item was taken, and `left` are left.
    pub(super) fn goes(&mut self, left: usize) {
        let now = Instant::now();
        let waited = self.waited(now);
        let fade = 1.0 - 1.0 / WINDOW;
        self.taken = self.taken * fade + 1.0;
        self.seconds = self.seconds * fade + waited;
        if self.is_woken && waited == 0.0 && left == 0 {
            // The reader has come at once, and there is nothing else to do: how slow it was before
            // says nothing any more.
            self.seconds = self.seconds.min(self.taken * seconds(ASSUMED.1));
        }
        self.is_woken = false;
        self.since = (left > 0).then_some(now);
        self.last = now;
    }

    /// Whether an item that comes now, behind `others`, would wait longer than it would take to send it elsewhere.
    pub(super) fn is_late(&self, others: usize) -> bool {
        let now = Instant::now();
        let each = (self.seconds + self.waited(now)) / self.taken;
        // The reader of an empty queue may be at work all the same, for another queue or with what
        // comes from elsewhere.
        let quiet = seconds(now.saturating_duration_since(self.last));
        let is_tried = quiet >= (TRIES * each).min(seconds(AT_LEAST));
        let before = if is_tried { others } else { others.max(1) };
        each >= seconds(SLOW) && before as f64 * each >= seconds(LATE)
    }

    fn waited(&self, now: Instant) -> f64 {
        let waited = self.since.map(|since| now.saturating_duration_since(since));
        seconds(waited.unwrap_or_default())
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;

    /// A queue of `items`, of which each is taken after `each`, and another comes then.
    async fn emptied(items: usize, each: Duration) -> Backlog {
        let mut backlog = Backlog::new(items);
        for _ in 0..500 {
            tokio::time::advance(each).await;
            backlog.goes(items - 1);
            backlog.comes(false);
        }
        backlog
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_emptied_slowly_is_late_with_few_items_and_a_fast_one_with_none() {
        let slow = emptied(4, Duration::from_millis(5)).await;
        assert!(slow.is_late(1) && slow.is_late(0));
        let middling = emptied(4, Duration::from_micros(400)).await;
        assert!(middling.is_late(3) && !middling.is_late(2));
        let fast = emptied(4, Duration::from_micros(20)).await;
        assert!(!fast.is_late(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_come_at_once_do_not_all_wait_in_a_queue_of_which_nothing_is_known() {
        let mut backlog = Backlog::new(0);
        backlog.comes(false);
        // Instances are free for the first ones.
        for left in (0..6).rev() {
            backlog.goes(left);
        }
        backlog.comes(false);
        assert!(backlog.is_late(16) && !backlog.is_late(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_emptied_any_more_is_late_soon() {
        let fast = emptied(64, Duration::from_micros(20)).await;
        assert!(!fast.is_late(64));
        tokio::time::advance(Duration::from_millis(50)).await;
        assert!(fast.is_late(64));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_queue_that_was_late_is_tried_now_and_then_and_no_more_when_it_is_fast_again()
    {
        let mut backlog = emptied(2, Duration::from_millis(5)).await;
        backlog.goes(0);
        assert!(backlog.is_late(0));
        // It still is: the one that is let in waits.
        tokio::time::advance(AT_LEAST).await;
        assert!(!backlog.is_late(0));
        backlog.comes(true);
        tokio::time::advance(WAKES + Duration::from_millis(5)).await;
        backlog.goes(0);
        assert!(backlog.is_late(0));
        // And now it is not: the one that is let in is taken at once.
        tokio::time::advance(AT_LEAST).await;
        backlog.comes(true);
        backlog.goes(0);
        assert!(!backlog.is_late(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_for_a_processor_and_then_takes_all_is_not_late() {
        let mut backlog = Backlog::new(0);
        for _ in 0..100 {
            for n in 0..64 {
                backlog.comes(n == 0);
                assert!(n < 2 || !backlog.is_late(n) || backlog.taken < 64.0);
            }
            tokio::time::advance(Duration::from_millis(9)).await;
            for left in (0..64).rev() {
                backlog.goes(left);
            }
        }
        assert!(!backlog.is_late(64));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_it_is_empty_does_not_count() {
        let mut backlog = emptied(4, Duration::from_micros(20)).await;
        for left in (0..4).rev() {
            backlog.goes(left);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        backlog.comes(false);
        assert!(!backlog.is_late(1_000));
    }
}
