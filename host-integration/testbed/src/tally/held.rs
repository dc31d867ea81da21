//! A counter that answers only when it is told to: its callers can be counted while they wait.

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{oneshot, watch};

use super::TALLY;
use crate::wrpc::{Peer, Served};

/// How often [`HeldTally::release_until`] answers one, which leaves time for what a test does meanwhile.
const RELEASE_EVERY: Duration = Duration::from_millis(1);

/// A served `inhost:demo/tally` interface whose `add` answers when [`HeldTally::release`] says so, with the `id` that
/// it was given.
///
/// Callers that still wait when it is dropped get no answer.
#[derive(Debug)]
pub struct HeldTally {
    calls: watch::Sender<Calls>,
    _served: Served,
}

#[derive(Debug, Default)]
struct Calls {
    /// The ids in the order in which their calls arrived.
    arrived: Vec<u64>,
    /// Those that wait for an answer, oldest first.
    held: Vec<(u64, oneshot::Sender<()>)>,
    /// The most that have waited at once.
    peak: usize,
}

impl HeldTally {
    /// Serves the interface as component `component_id` of `lattice`, over a connection of its own.
    ///
    /// # Errors
    ///
    /// When there is no connection to be had.
    pub async fn serve(
        nats: &async_nats::Client,
        lattice: &str,
        component_id: &str,
    ) -> anyhow::Result<Self> {
        let calls = watch::Sender::new(Calls::default());
        let arrivals = calls.clone();
        let peer = Peer::new(nats, lattice, component_id).await?;
        let served = peer.serve(TALLY, "add", move |(id,): (u64,)| {
            let (release, released) = oneshot::channel();
            arrivals.send_modify(|calls| {
                calls.arrived.push(id);
                calls.held.push((id, release));
                calls.peak = calls.peak.max(calls.held.len());
            });
            async move {
                match released.await {
                    Ok(()) => (id,),
                    Err(_) => std::future::pending().await,
                }
            }
        });
        let _served = served.await?;
        Ok(Self { calls, _served })
    }

    /// The ids in the order in which their calls arrived, answered or not.
    #[must_use]
    pub fn arrived(&self) -> Vec<u64> {
        self.calls.borrow().arrived.clone()
    }

    /// The most calls that have waited for an answer at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.calls.borrow().peak
    }

    /// How many calls wait for an answer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.calls.borrow().held.len()
    }

    /// Answers the call that has waited longest. Returns its id, or `None` when none waits.
    pub fn release(&self) -> Option<u64> {
        let mut released = None;
        self.calls.send_modify(|calls| {
            if !calls.held.is_empty() {
                released = Some(calls.held.remove(0));
            }
        });
        let (id, release) = released?;
        // A caller's task that has ended needs no answer.
        let _ = release.send(());
        Some(id)
    }

    /// Answers the call that has waited longest, again and again, until `count` calls have arrived in all.
    ///
    /// # Errors
    ///
    /// When that takes longer than `within`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves those waiting that have not been answered.
    pub async fn release_until(&self, count: usize, within: Duration) -> anyhow::Result<()> {
        let released = async {
            while self.arrived().len() < count {
                self.release();
                tokio::time::sleep(RELEASE_EVERY).await;
            }
        };
        let released = tokio::time::timeout(within, released).await;
        released.with_context(|| {
            let arrived = self.arrived().len();
            format!("{arrived} of {count} calls were begun within {within:?}")
        })
    }

    /// Waits until `count` calls have arrived in all, or more.
    ///
    /// # Errors
    ///
    /// When that takes longer than `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> anyhow::Result<()> {
        let mut calls = self.calls.subscribe();
        let enough = async {
            let enough = calls.wait_for(|calls| calls.arrived.len() >= count);
            enough.await.map(drop)
        };
        let enough = tokio::time::timeout(deadline, enough).await;
        let in_time = enough.with_context(|| {
            let arrived = self.arrived().len();
            format!("{arrived} of {count} calls arrived within {deadline:?}")
        })?;
        in_time.context("the tally is not served any more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsServer;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn calls_wait_until_they_are_released() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let tally = HeldTally::serve(&nats, "lattice", "tally").await.unwrap();
        let peer = Peer::new(&nats, "lattice", "tally").await.unwrap();
        let call = |id: u64| {
            let peer = peer.clone();
            tokio::spawn(async move { peer.call::<_, (u64,)>(TALLY, "add", (id,)).await })
        };
        let first = call(7);
        tally.wait_for(1, DEADLINE).await.unwrap();
        let second = call(8);
        tally.wait_for(2, DEADLINE).await.unwrap();
        assert_eq!((tally.arrived(), tally.peak()), (vec![7, 8], 2));
        assert!(!first.is_finished());
        assert_eq!(tally.release(), Some(7));
        assert_eq!(first.await.unwrap().unwrap(), (7,));
        let third = call(9);
        tally.release_until(3, DEADLINE).await.unwrap();
        assert_eq!(tally.arrived(), [7, 8, 9]);
        while tally.release().is_some() {}
        assert_eq!(third.await.unwrap().unwrap(), (9,));
        assert_eq!(second.await.unwrap().unwrap(), (8,));
        assert_eq!((tally.release(), tally.peak()), (None, 2));
        let error = tally
            .wait_for(4, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("3 of 4 calls"), "{error}");
    }
}
