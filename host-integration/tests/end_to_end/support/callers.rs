//! Callers that ask in a loop which version of a component answers, while a test does something to it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use inhost_testbed::{Driver, Load, Peer, ECHO};
use tokio::sync::watch;

/// What a call may take at most while something is done to the callee.
const LIMIT: Duration = Duration::from_secs(2);

/// How long the callers may take to make progress.
const PROGRESS: Duration = Duration::from_secs(30);

/// Callers in tasks of their own. None of their calls may fail.
pub(crate) struct Callers {
    load: Load<u32>,
    /// The versions that have answered.
    seen: watch::Sender<BTreeSet<u32>>,
}

impl Callers {
    /// Callers that have a component ask, `number` of them.
    pub(crate) fn start(driver: &Driver, number: usize) -> Self {
        let (driver, seen) = (driver.clone(), watch::Sender::new(BTreeSet::new()));
        let versions = seen.clone();
        let load = Load::start(number, move |_| {
            let (driver, versions) = (driver.clone(), versions.clone());
            async move { Ok(noted(driver.call_version().await?, &versions)) }
        });
        Self { load, seen }
    }

    /// One more caller, which asks over NATS.
    pub(crate) fn and_over_nats(self, peer: &Peer) -> Self {
        let (peer, versions) = (peer.clone(), self.seen.clone());
        let load = self.load.and(1, move |_| {
            let (peer, versions) = (peer.clone(), versions.clone());
            async move { Ok(noted(version_over_nats(&peer).await?, &versions)) }
        });
        Self { load, ..self }
    }

    /// Waits until so many more calls have been answered.
    pub(crate) async fn answers(&self, more: u64) {
        self.load.answers(more).await;
    }

    /// Waits until a version has answered.
    pub(crate) async fn answered_by(&self, version: u32) {
        let mut seen = self.seen.subscribe();
        let reached = seen.wait_for(|seen| seen.contains(&version));
        let reached = tokio::time::timeout(PROGRESS, reached).await.map(drop);
        assert!(reached.is_ok(), "{:?}", self.seen.borrow());
    }

    /// Lets each end the call that it makes, checks that none failed or took long, and returns all of them.
    pub(crate) async fn end(self) -> Answers {
        let answers = self.load.finish().await;
        assert!(
            answers.iter().all(|it| !it.is_empty()),
            "someone made no call"
        );
        let answers = answers.into_iter().flatten().map(|call| Answered {
            began: call.start,
            ended: call.start + call.took,
            version: call.result.expect("no call fails"),
        });
        let answers = Answers(answers.collect());
        assert!(answers.longest() < LIMIT, "{:?}", answers.longest());
        answers
    }
}

fn noted(version: u32, seen: &watch::Sender<BTreeSet<u32>>) -> u32 {
    seen.send_if_modified(|seen| seen.insert(version));
    version
}

/// A call that was answered.
pub(crate) struct Answered {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) version: u32,
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
