//! A policy service: it answers what a host asks before it starts a component or lets one be called.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::{json, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wrpc::settle;

/// What a [`PolicyService`] does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allows it.
    Permit,
    /// Refuses it.
    Deny,
    /// Does not answer, so that the host has to give up.
    Silence,
}

/// A policy service on one subject. It records what it is asked.
///
/// Serving ends when it is dropped.
#[derive(Debug)]
pub struct PolicyService {
    requests: watch::Receiver<Vec<Value>>,
    task: JoinHandle<()>,
}

impl PolicyService {
    /// Answers requests on `topic`: what the host's `--policy-topic` is to name. `decide` is given each request as
    /// the JSON that came.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn serve(
        nats: &async_nats::Client,
        topic: &str,
        mut decide: impl FnMut(&Value) -> Decision + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (recorded, requests) = watch::channel(Vec::new());
        let mut incoming = nats.subscribe(topic.to_owned()).await?;
        settle(nats).await?;
        let nats = nats.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = incoming.next().await {
                let request: Value = match serde_json::from_slice(&message.payload) {
                    Ok(request) => request,
                    Err(err) => {
                        tracing::warn!(?err, "a policy request is not JSON");
                        continue;
                    }
                };
                let answer = match decide(&request) {
                    Decision::Permit => Some(true),
                    Decision::Deny => Some(false),
                    Decision::Silence => None,
                }
                .map(|permitted| decision(&request["requestId"], permitted));
                recorded.send_modify(|requests| requests.push(request));
                if let (Some(answer), Some(reply)) = (answer, message.reply) {
                    if let Err(err) = nats.publish(reply, answer.into()).await {
                        tracing::warn!(?err, "a policy request could not be answered");
                    }
                }
            }
        });
        Ok(Self { requests, task })
    }

    /// The requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.requests.borrow().clone()
    }

    /// The requests of that `kind` so far, oldest first: `startComponent`, `startProvider` or `performInvocation`.
    #[must_use]
    pub fn requests_of(&self, kind: &str) -> Vec<Value> {
        let mut requests = self.requests();
        requests.retain(|request| request["kind"] == kind);
        requests
    }

    /// Announces another decision about an earlier request on `topic`: what the host's `--policy-changes-topic` is
    /// to name. The server has the message when this returns.
    ///
    /// # Errors
    ///
    /// When the request has no id, or the connection is closed.
    pub async fn change(
        nats: &async_nats::Client,
        topic: &str,
        request: &Value,
        permitted: bool,
    ) -> anyhow::Result<()> {
        let id = &request["requestId"];
        id.as_str().context("the request has no id")?;
        nats.publish(topic.to_owned(), decision(id, permitted).into())
            .await?;
        settle(nats).await
    }

    /// Waits until there have been `count` requests of that `kind`, or more.
    ///
    /// # Errors
    ///
    /// When that takes longer than `deadline`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for(
        &self,
        kind: &str,
        count: usize,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        let mut requests = self.requests.clone();
        let enough = async {
            let enough = requests.wait_for(|requests| {
                let ours = requests.iter().filter(|request| request["kind"] == kind);
                ours.count() >= count
            });
            enough.await.map(drop)
        };
        let enough = tokio::time::timeout(deadline, enough).await;
        let in_time = enough.with_context(|| {
            let came = self.requests_of(kind).len();
            format!("{came} of {count} requests {kind} came within {deadline:?}")
        })?;
        in_time.context("the policy service has ended")
    }
}

impl Drop for PolicyService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer as the host reads it.
fn decision(request_id: &Value, permitted: bool) -> Vec<u8> {
    let message = (!permitted).then_some("the policy service of the test says no");
    json!({ "requestId": request_id, "permitted": permitted, "message": message })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsServer;

    const TOPIC: &str = "policy";

    async fn ask(nats: &async_nats::Client, kind: &str) -> Option<Value> {
        let payload = json!({ "requestId": "r1", "kind": kind }).to_string();
        let request = async_nats::Request::new()
            .payload(payload.into())
            .timeout(Some(Duration::from_millis(300)));
        let answer = nats.send_request(TOPIC, request).await.ok()?;
        Some(serde_json::from_slice(&answer.payload).unwrap())
    }

    #[tokio::test]
    async fn requests_are_answered_as_decided_and_recorded() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let decide = |request: &Value| match request["kind"].as_str() {
            Some("a") => Decision::Permit,
            Some("b") => Decision::Deny,
            _ => Decision::Silence,
        };
        let service = PolicyService::serve(&nats, TOPIC, decide).await.unwrap();
        let answer = ask(&nats, "a").await.unwrap();
        assert_eq!(
            (&answer["permitted"], &answer["requestId"]),
            (&json!(true), &json!("r1"))
        );
        assert_eq!(ask(&nats, "b").await.unwrap()["permitted"], false);
        assert_eq!(ask(&nats, "c").await, None);
        assert_eq!(service.requests().len(), 3);
        assert_eq!(service.requests_of("b").len(), 1);
        let deadline = Duration::from_millis(50);
        service.wait_for("c", 1, deadline).await.unwrap();
        service.wait_for("c", 2, deadline).await.unwrap_err();
    }
}
