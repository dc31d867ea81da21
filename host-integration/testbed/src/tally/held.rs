//! A counter that answers only when it is told to: its callers can be counted while they wait.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use wrpc_transport::ServeExt as _;
use wrpc_transport_nats_upstream::Client;

use super::TALLY;
use crate::thread;

/// How often [`HeldTally::release_until`] answers one, which leaves time for what a test does meanwhile.
const RELEASE_EVERY: Duration = Duration::from_millis(1);

/// A served `inhost:demo/tally` interface whose `add` answers when [`HeldTally::release`] says so, with the `id` that
/// it was given.
///
/// Callers that still wait when it is dropped get no answer.
#[derive(Debug)]
pub struct HeldTally {
    calls: watch::Receiver<Calls>,
    waiting: watch::Sender<Calls>,
    task: JoinHandle<()>,
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
        let server = nats.server_info();
        let address = format!("nats://{}:{}", server.host, server.port);
        let prefix = format!("{lattice}.{component_id}");
        let (waiting, calls) = watch::channel(Calls::default());
        let arrivals = waiting.clone();
        let task = thread::run(async move {
            let nats = async_nats::connect(address)
                .await
                .context("cannot connect to NATS once more")?;
            let client = Client::new(nats.clone(), prefix, None).await?;
            let no_paths: [Box<[Option<usize>]>; 0] = [];
            let incoming = client
                .serve_values::<(u64,), (u64,)>(TALLY, "add", no_paths)
                .await
                .context("cannot serve the tally")?;
            crate::wrpc::settle(&nats).await?;
            Ok(tokio::spawn(async move {
                let mut incoming = std::pin::pin!(incoming);
                // They end with this task.
                let mut answers = JoinSet::new();
                while let Some(call) = incoming.next().await {
                    let (_headers, (id,), _deferred, respond) = match call {
                        Ok(call) => call,
                        Err(err) => {
                            tracing::warn!(?err, "the held tally could not read a call");
                            continue;
                        }
                    };
                    let (release, released) = oneshot::channel();
                    arrivals.send_modify(|calls| {
                        calls.arrived.push(id);
                        calls.held.push((id, release));
                        calls.peak = calls.peak.max(calls.held.len());
                    });
                    answers.spawn(async move {
                        if released.await.is_ok() {
                            if let Err(err) = respond((id,)).await {
                                tracing::warn!(?err, "the held tally could not answer");
                            }
                        }
                    });
                }
            }))
        })
        .await?;
        Ok(Self {
            calls,
            waiting,
            task,
        })
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
        self.waiting.send_modify(|calls| {
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
        let mut calls = self.calls.clone();
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

impl Drop for HeldTally {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsServer;
    use crate::wrpc::Peer;

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
