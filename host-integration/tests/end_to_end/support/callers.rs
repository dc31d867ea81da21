//! Callers that ask in a loop which version of a component answers, while a test does something to it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inhost_testbed::{Driver, Peer, ECHO};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a call may take at most while something is done to the callee.
const LIMIT: Duration = Duration::from_secs(2);

/// How long the callers may take to make progress.
const PROGRESS: Duration = Duration::from_secs(30);

/// A call that was answered.
pub(crate) struct Answered {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) version: u32,
}

/// Callers in tasks of their own. None of their calls may fail.
pub(crate) struct Callers {
    tasks: JoinSet<Vec<Answered>>,
    over: Arc<AtomicBool>,
    /// How many calls each version has answered.
    seen: watch::Sender<HashMap<u32, usize>>,
}

impl Callers {
    /// Callers that have a component ask, `number` of them.
    pub(crate) fn start(driver: &Driver, number: usize) -> Self {
        let mut callers = Self {
            tasks: JoinSet::new(),
            over: Arc::default(),
            seen: watch::Sender::default(),
        };
        for _ in 0..number {
            let driver = driver.clone();
            callers.add(move || {
                let driver = driver.clone();
                async move { driver.call_version().await }
            });
        }
        callers
    }

    /// One more caller, which asks over NATS.
    pub(crate) fn and_over_nats(mut self, peer: &Peer) -> Self {
        let peer = peer.clone();
        self.add(move || {
            let peer = peer.clone();
            async move { version_over_nats(&peer).await }
        });
        self
    }

    fn add<F>(&mut self, ask: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<u32>> + Send,
    {
        let (over, seen) = (Arc::clone(&self.over), self.seen.clone());
        self.tasks.spawn(async move {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let version = ask().await.expect("no call fails");
                let ended = Instant::now();
                seen.send_modify(|seen| *seen.entry(version).or_default() += 1);
                answers.push(Answered {
                    began,
                    ended,
                    version,
                });
            }
            answers
        });
    }

    /// Waits until so many more calls have been answered.
    pub(crate) async fn answers(&self, more: usize) {
        let count = |seen: &HashMap<u32, usize>| seen.values().sum::<usize>();
        let before = count(&self.seen.borrow());
        self.until(|seen| count(seen) >= before + more).await;
    }

    /// Waits until a version has answered.
    pub(crate) async fn answered_by(&self, version: u32) {
        self.until(|seen| seen.contains_key(&version)).await;
    }

    async fn until(&self, condition: impl Fn(&HashMap<u32, usize>) -> bool) {
        let mut seen = self.seen.subscribe();
        let reached = seen.wait_for(|seen| condition(seen));
        let reached = tokio::time::timeout(PROGRESS, reached).await.map(drop);
        assert!(reached.is_ok(), "{:?}", self.seen.borrow());
    }

    /// Lets each end the call that it makes, checks that none took long, and returns all of them.
    pub(crate) async fn end(self) -> Answers {
        self.over.store(true, Ordering::Relaxed);
        let answers = self.tasks.join_all().await;
        assert!(
            answers.iter().all(|it| !it.is_empty()),
            "someone made no call"
        );
        let answers = Answers(answers.into_iter().flatten().collect());
        assert!(answers.longest() < LIMIT, "{:?}", answers.longest());
        answers
    }
}

/// What [`Callers`] were answered.
pub(crate) struct Answers(pub(crate) Vec<Answered>);

impl Answers {
    /// The longest of the calls.
    pub(crate) fn longest(&self) -> Duration {
        let took = self.0.iter().map(|it| it.ended - it.began);
        took.max().expect("there are some")
    }

    /// Checks that one version has answered all calls.
    pub(crate) fn assert_all_of(&self, version: u32, what: &str) {
        let other = self.0.iter().filter(|it| it.version != version);
        let other: Vec<_> = other.map(|it| it.version).collect();
        assert_eq!(other, [0; 0], "{what}: answered by another version");
    }

    /// Checks that the version `old` has answered no call that was begun after an answer of `new`, and that both have
    /// answered some.
    pub(crate) fn assert_changed(&self, old: u32, new: u32, what: &str) {
        let of = |version| self.0.iter().filter(move |it| it.version == version);
        assert_eq!(of(old).count() + of(new).count(), self.0.len(), "{what}");
        let changed = of(new).map(|it| it.ended).min();
        let changed = changed.unwrap_or_else(|| panic!("{what}: the new version does not serve"));
        let late = of(old).filter(|it| it.began > changed);
        let late: Vec<_> = late.map(|it| it.began - changed).collect();
        assert_eq!(
            late,
            [Duration::ZERO; 0],
            "{what}: the old version, after the new one"
        );
        assert!(of(old).count() > 0, "{what}: the old version never served");
    }
}

/// Which version of a component answers who calls it from elsewhere.
pub(crate) async fn version_over_nats(peer: &Peer) -> anyhow::Result<u32> {
    let (version,): (u32,) = peer.call(ECHO, "version", ()).await?;
    Ok(version)
}
