//! Callers that make one call after another, while something is done to what they call.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the callers may take to make progress.
const PROGRESS: Duration = Duration::from_secs(30);

/// How long a caller waits after a call that failed. Without it, calls that fail at once keep the machine busy.
const PAUSE: Duration = Duration::from_millis(5);

/// A call, and how it ended.
#[derive(Debug)]
pub struct Ended<T> {
    /// What the call was given: it has a number of its own.
    pub id: u64,
    /// When it was begun.
    pub start: Instant,
    /// How long it took, however it ended.
    pub took: Duration,
    /// Its answer, or its error with all reasons.
    pub result: Result<T, String>,
}

/// What has been seen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    answered: u64,
    failed: u64,
}

/// Callers in tasks of their own, each of which makes one call after another until [`Load::finish`], or until this is
/// dropped, which leaves calls where they are.
#[derive(Debug)]
pub struct Load<T> {
    callers: JoinSet<Vec<Ended<T>>>,
    ids: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    seen: watch::Sender<Seen>,
}

impl<T: Send + 'static> Load<T> {
    /// Starts `callers` callers. Each call has a number of its own, with which `call` makes it.
    pub fn start<F>(callers: usize, call: impl Fn(u64) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<T>> + Send,
    {
        let load = Self {
            callers: JoinSet::new(),
            ids: Arc::default(),
            over: Arc::default(),
            seen: watch::Sender::default(),
        };
        load.and(callers, call)
    }

    /// Starts some more, which make another `call`.
    #[must_use]
    pub fn and<F>(
        mut self,
        callers: usize,
        call: impl Fn(u64) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<T>> + Send,
    {
        for _ in 0..callers {
            let (ids, over) = (Arc::clone(&self.ids), Arc::clone(&self.over));
            let (seen, call) = (self.seen.clone(), call.clone());
            self.callers.spawn(async move {
                let mut calls = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let id = ids.fetch_add(1, Ordering::Relaxed);
                    let start = Instant::now();
                    let result = call(id).await;
                    let took = start.elapsed();
                    let failed = result.is_err();
                    seen.send_modify(|seen| match failed {
                        true => seen.failed += 1,
                        false => seen.answered += 1,
                    });
                    let result = result.map_err(|error| format!("{error:#}"));
                    calls.push(Ended {
                        id,
                        start,
                        took,
                        result,
                    });
                    if failed {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                calls
            });
        }
        self
    }

    /// How many calls have been answered up to now.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.seen.borrow().answered
    }

    /// How many calls have failed up to now.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.seen.borrow().failed
    }

    /// Waits until so many more calls have been answered.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 seconds.
    pub async fn answers(&self, more: u64) {
        self.more("answers", more, |seen| seen.answered).await;
    }

    /// Waits until so many more calls have failed.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 seconds.
    pub async fn failures(&self, more: u64) {
        self.more("failures", more, |seen| seen.failed).await;
    }

    async fn more(&self, what: &str, more: u64, number: fn(&Seen) -> u64) {
        let mut seen = self.seen.subscribe();
        let before = *seen.borrow_and_update();
        let reached = seen.wait_for(|seen| number(seen) >= number(&before) + more);
        let reached = tokio::time::timeout(PROGRESS, reached).await.map(drop);
        assert!(
            reached.is_ok(),
            "no {more} {what} within {PROGRESS:?}: {before:?}, then {:?}",
            self.seen.borrow()
        );
    }

    /// Lets each caller end the call that it makes, and returns the calls of each.
    ///
    /// # Panics
    ///
    /// When a call has panicked.
    pub async fn finish(self) -> Vec<Vec<Ended<T>>> {
        self.over.store(true, Ordering::Relaxed);
        self.callers.join_all().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_call_has_a_number_of_its_own_and_is_accounted_for() {
        let call = |id: u64| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            anyhow::ensure!(id % 3 > 0, "no {id}");
            Ok(id)
        };
        let load = Load::start(2, call).and(1, call);
        load.failures(2).await;
        load.answers(5).await;
        let (answered, failed) = (load.answered(), load.failed());
        let calls = load.finish().await;
        assert_eq!(calls.len(), 3);
        let mut calls: Vec<_> = calls.into_iter().flatten().collect();
        calls.sort_unstable_by_key(|it| it.id);
        for (number, ended) in (0..).zip(&calls) {
            assert_eq!(ended.id, number);
            let expected = match number % 3 {
                0 => Err(format!("no {number}")),
                _ => Ok(number),
            };
            assert_eq!(ended.result, expected);
        }
        assert!(calls.len() as u64 >= answered + failed);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "no 1 failures within 30s")]
    async fn a_load_without_progress_is_not_waited_for_for_ever() {
        let load = Load::start(1, |_| std::future::pending::<anyhow::Result<()>>());
        load.failures(1).await;
    }
}
