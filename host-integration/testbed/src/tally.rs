//! A counter that components call: how often has which call been carried out?
//!
//! The callee's `count(id)` calls `inhost:demo/tally.add(id)`, which this serves. A test that gives each of its
//! calls an id of its own can tell afterwards that none was carried out twice.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::wrpc::{Peer, Served};

mod held;

pub use held::HeldTally;

/// The interface that [`Tally`] serves.
pub const TALLY: &str = "inhost:demo/tally@0.1.0";

/// A served `inhost:demo/tally` interface and its counts.
///
/// Serving ends when it is dropped.
#[derive(Debug)]
pub struct Tally {
    counts: watch::Receiver<HashMap<u64, u64>>,
    _served: Served,
}

impl Tally {
    /// Serves the interface as component `component_id` of `lattice`: what a component's link to
    /// `inhost:demo/tally` should have as its target.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn serve(
        nats: &async_nats::Client,
        lattice: &str,
        component_id: &str,
    ) -> anyhow::Result<Self> {
        let (counted, counts) = watch::channel(HashMap::<u64, u64>::new());
        let peer = Peer::new(nats, lattice, component_id).await?;
        let served = peer.serve(TALLY, "add", move |(id,): (u64,)| {
            let mut count = 0;
            counted.send_modify(|counts| {
                let entry = counts.entry(id).or_default();
                *entry += 1;
                count = *entry;
            });
            std::future::ready((count,))
        });
        let served = served.await?;
        Ok(Self {
            counts,
            _served: served,
        })
    }

    /// Waits until calls have been counted `total` times in all, or more.
    ///
    /// # Errors
    ///
    /// When that takes longer than `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for_total(&self, total: u64, deadline: Duration) -> anyhow::Result<()> {
        let mut counts = self.counts.clone();
        let reached = async {
            let reached = counts.wait_for(|counts| counts.values().sum::<u64>() >= total);
            reached.await.map(drop)
        };
        let reached = tokio::time::timeout(deadline, reached).await;
        let in_time = reached.with_context(|| {
            let counted = self.total();
            format!("{counted} of {total} calls were counted within {deadline:?}")
        })?;
        in_time.context("the tally is not served any more")
    }

    /// How often `id` was counted.
    #[must_use]
    pub fn count(&self, id: u64) -> u64 {
        self.with(|counts| counts.get(&id).copied().unwrap_or_default())
    }

    /// How many calls were counted in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.with(|counts| counts.values().sum())
    }

    /// The ids that were counted more than once, in order.
    #[must_use]
    pub fn repeated(&self) -> Vec<u64> {
        let mut ids = self.with(|counts| {
            let repeated = counts.iter().filter(|(_, count)| **count > 1);
            repeated.map(|(id, _)| *id).collect::<Vec<_>>()
        });
        ids.sort_unstable();
        ids
    }

    fn with<T>(&self, read: impl FnOnce(&HashMap<u64, u64>) -> T) -> T {
        read(&self.counts.borrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsServer;

    #[tokio::test]
    async fn calls_are_counted_by_id() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let tally = Tally::serve(&nats, "lattice", "tally").await.unwrap();
        let peer = Peer::new(&nats, "lattice", "tally").await.unwrap();
        for (id, expected) in [(7, 1), (9, 1), (7, 2)] {
            let (count,): (u64,) = peer.call(TALLY, "add", (id as u64,)).await.unwrap();
            assert_eq!(count, expected);
        }
        assert_eq!((tally.count(7), tally.count(8), tally.total()), (2, 0, 3));
        assert_eq!(tally.repeated(), [7]);
        let deadline = Duration::from_millis(50);
        tally.wait_for_total(3, deadline).await.unwrap();
        let error = tally.wait_for_total(4, deadline).await.unwrap_err();
        assert!(error.to_string().starts_with("3 of 4 calls"), "{error}");
    }
}
