//! A counter that components call: how often has which call been carried out?
//!
//! The callee's `count(id)` calls `inhost:demo/tally.add(id)`, which this serves. A test that gives each of its
//! calls an id of its own can tell afterwards that none was carried out twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::wrpc::{Peer, Served};

/// The interface that [`Tally`] serves.
pub const TALLY: &str = "inhost:demo/tally@0.1.0";

/// A served `inhost:demo/tally` interface and its counts.
///
/// Serving ends when it is dropped.
#[derive(Debug)]
pub struct Tally {
    counts: Arc<Mutex<HashMap<u64, u64>>>,
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
        let counts = Arc::<Mutex<HashMap<u64, u64>>>::default();
        let peer = Peer::new(nats, lattice, component_id).await?;
        let served = peer.serve(TALLY, "add", {
            let counts = Arc::clone(&counts);
            move |(id,): (u64,)| {
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.entry(id).or_default();
                *count += 1;
                std::future::ready((*count,))
            }
        });
        let served = served.await?;
        Ok(Self {
            counts,
            _served: served,
        })
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
        read(&self.counts.lock().unwrap_or_else(PoisonError::into_inner))
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
    }
}
