//! A call over NATS whose parameters come as its caller likes: in parts, late, or never all of them.

use std::time::Duration;

use anyhow::{bail, Context as _};
use async_nats::{Client, Subject, Subscriber};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::{timeout, timeout_at, Instant};

/// How long a callee may take to say where parameters are to be sent.
const ANSWER: Duration = Duration::from_secs(10);

/// A call that was taken, and whose parameters are not complete. The callee is told nothing when it is dropped, as by a
/// caller that dies.
#[derive(Debug)]
pub struct SlowCall {
    nats: Client,
    messages: Subscriber,
    params: Subject,
}

/// A connection to the NATS server at `address` of its own, to be dropped.
///
/// # Errors
///
/// When there is none to be had.
pub async fn connect(address: &str) -> anyhow::Result<Client> {
    let connected = async_nats::connect(address).await;
    connected.with_context(|| format!("cannot connect to {address}"))
}

impl SlowCall {
    /// Calls `function` of `instance` of the component `id`, with the first part of its parameters.
    ///
    /// # Errors
    ///
    /// When no one serves the function, or takes the call within ten seconds.
    pub async fn begin(
        nats: &Client,
        (lattice, id): (&str, &str),
        (instance, function): (&str, &str),
        first: Bytes,
    ) -> anyhow::Result<Self> {
        let inbox = nats.new_inbox();
        // One subscription, so that the answer is heard before the results.
        let mut messages = nats.subscribe(format!("{inbox}.>")).await?;
        let subject = format!("{lattice}.{id}.wrpc.0.0.1.{instance}.{function}");
        let reply = format!("{inbox}.call");
        nats.publish_with_reply(subject, reply, first).await?;
        let answer = timeout(ANSWER, messages.next()).await;
        let answer = answer.context("no one has taken the call")?;
        let answer = answer.context("the connection was closed")?;
        let Some(params) = answer.reply else {
            bail!("no one serves the function");
        };
        Ok(Self {
            nats: nats.clone(),
            messages,
            params: format!("{params}.params").into(),
        })
    }

    /// Sends a part of the parameters.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn send(&self, part: Bytes) -> anyhow::Result<()> {
        self.nats.publish(self.params.clone(), part).await?;
        Ok(self.nats.flush().await?)
    }

    /// Sends a part of what is at `path` within the parameters. An empty one is its end, as of a caller that goes.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn send_at(&self, path: &[usize], part: Bytes) -> anyhow::Result<()> {
        let path: String = path.iter().map(|at| format!(".{at}")).collect();
        let subject = format!("{}{path}", self.params);
        self.nats.publish(subject, part).await?;
        Ok(self.nats.flush().await?)
    }

    /// All results, up to their end. They are empty when the call failed.
    ///
    /// # Errors
    ///
    /// When they do not end within `deadline`.
    pub async fn results(mut self, deadline: Duration) -> anyhow::Result<Vec<u8>> {
        let deadline = Instant::now() + deadline;
        let mut results = Vec::new();
        loop {
            let message = timeout_at(deadline, self.messages.next()).await;
            let message = message.context("the results have not ended")?;
            let message = message.context("the connection was closed")?;
            if message.payload.is_empty() {
                return Ok(results);
            }
            results.extend(message.payload);
        }
    }
}
