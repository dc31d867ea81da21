//! The host's control interface: JSON over NATS, without a client crate.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{bail, ensure, Context as _};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{json, Value};
use tokio::time::Instant;

use crate::wait::until;

mod types;

pub use types::{Component, Inventory, Link, Provider};

/// How long a request, and what follows from it, may take when nothing else is said. Starting a component
/// compiles it.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long answers to a ping are collected.
const PING: Duration = Duration::from_millis(200);

/// How many answers in a row have to show a link. Any host of the lattice may answer, and one may know of the
/// link a moment before another.
const AGREEING_ANSWERS: usize = 8;

/// The control interface of one lattice.
///
/// The methods wait until what they ask for has been done, not only until the host has accepted it.
#[derive(Clone, Debug)]
pub struct Control {
    nats: async_nats::Client,
    lattice: String,
    deadline: Duration,
}

/// An answer of the control interface.
#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    message: String,
    response: Option<Value>,
}

impl Control {
    /// The control interface of `lattice`. Each method may take 60 seconds.
    #[must_use]
    pub fn new(nats: async_nats::Client, lattice: &str) -> Self {
        Self {
            nats,
            lattice: lattice.to_owned(),
            deadline: DEADLINE,
        }
    }

    /// The same, with another limit for the duration of a method.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks which hosts there are and collects the answers for 200 milliseconds.
    ///
    /// # Errors
    ///
    /// When the connection is closed or an answer is not JSON.
    pub async fn ping(&self) -> anyhow::Result<Vec<Value>> {
        let inbox = self.nats.new_inbox();
        let mut answers = self.nats.subscribe(inbox.clone()).await?;
        let subject = self.subject("host.ping");
        self.nats
            .publish_with_reply(subject, inbox, Vec::new().into())
            .await?;
        let end = Instant::now() + PING;
        let mut hosts = Vec::new();
        while let Ok(Some(answer)) = tokio::time::timeout_at(end, answers.next()).await {
            // While no host listens the server itself answers, with a status.
            if answer.status.is_none() {
                let answer: Answer = serde_json::from_slice(&answer.payload)?;
                hosts.extend(answer.response);
            }
        }
        Ok(hosts)
    }

    /// Starts `component_ref` as `component_id` with at most `count` instances at once, or changes that number.
    /// Waits until the host has done so.
    ///
    /// # Errors
    ///
    /// When the host refuses or fails; the error carries its message.
    pub async fn scale(
        &self,
        host_id: &str,
        component_ref: &str,
        component_id: &str,
        count: u32,
    ) -> anyhow::Result<()> {
        self.scale_with_config(host_id, component_ref, component_id, count, &[])
            .await
    }

    /// As [`Control::scale`], with the names of configurations for the component.
    ///
    /// # Errors
    ///
    /// As for [`Control::scale`].
    pub async fn scale_with_config(
        &self,
        host_id: &str,
        component_ref: &str,
        component_id: &str,
        count: u32,
        config: &[&str],
    ) -> anyhow::Result<()> {
        let command = json!({
            "host_id": host_id,
            "component_ref": component_ref,
            "component_id": component_id,
            "count": count,
            "config": config,
        });
        let ours =
            |data: &Value| data["host_id"] == host_id && data["component_id"] == component_id;
        self.command_and_event(
            &format!("component.scale.{host_id}"),
            &command,
            "component_scaled",
            |data| ours(data) && data["max_instances"] == count,
            "component_scale_failed",
            ours,
        )
        .await
        .with_context(|| format!("cannot scale {component_id} ({component_ref}) to {count}"))
    }

    /// Stops `component_id` and waits until the host has done so.
    ///
    /// # Errors
    ///
    /// When the host refuses or fails; the error carries its message.
    pub async fn stop_component(&self, host_id: &str, component_id: &str) -> anyhow::Result<()> {
        let inventory = self.inventory(host_id).await?;
        let component = inventory
            .component(component_id)
            .with_context(|| format!("no component {component_id} runs on host {host_id}"))?;
        self.scale(host_id, &component.image_ref, component_id, 0)
            .await
    }

    /// Replaces the code of `component_id` by `component_ref` and waits until the host lists the new one.
    ///
    /// # Errors
    ///
    /// When the host refuses, or does not list the new reference in time: then it says why in its log only.
    pub async fn update(
        &self,
        host_id: &str,
        component_ref: &str,
        component_id: &str,
    ) -> anyhow::Result<()> {
        let command = json!({
            "host_id": host_id,
            "component_id": component_id,
            "new_component_ref": component_ref,
        });
        self.request(&format!("component.update.{host_id}"), &command)
            .await?;
        let what = format!(
            "{component_id} was not updated to {component_ref}: see the host's log for the reason"
        );
        until(&what, self.deadline, async || {
            let inventory = self.inventory(host_id).await?;
            let component = inventory.component(component_id);
            Ok(component.is_some_and(|component| component.image_ref == component_ref))
        })
        .await
    }

    /// Puts a link and waits until the hosts of the lattice know of it.
    ///
    /// # Errors
    ///
    /// When the host refuses; the error carries its message.
    pub async fn link_put(&self, link: &Link) -> anyhow::Result<()> {
        self.request("link.put", &serde_json::to_value(link)?)
            .await?;
        self.until_links("the link was put, but no host lists it", |links| {
            links.contains(link)
        })
        .await
    }

    /// Removes a link and waits until the hosts of the lattice have forgotten it.
    ///
    /// # Errors
    ///
    /// When the host refuses; the error carries its message.
    pub async fn link_del(&self, link: &Link) -> anyhow::Result<()> {
        let command = json!({
            "source_id": link.source_id,
            "name": link.name,
            "wit_namespace": link.wit_namespace,
            "wit_package": link.wit_package,
        });
        self.request("link.del", &command).await?;
        self.until_links("the link was removed, but a host still lists it", |links| {
            !links.contains(link)
        })
        .await
    }

    /// The links of the lattice.
    ///
    /// # Errors
    ///
    /// When no host answers.
    pub async fn links(&self) -> anyhow::Result<Vec<Link>> {
        let links = self.request("link.get", &Value::Null).await?;
        serde_json::from_value(links).context("cannot read the links")
    }

    /// Stores a configuration.
    ///
    /// # Errors
    ///
    /// When the host refuses; the error carries its message.
    pub async fn config_put(&self, name: &str, entries: &[(&str, &str)]) -> anyhow::Result<()> {
        let entries: BTreeMap<_, _> = entries.iter().copied().collect();
        self.request(&format!("config.put.{name}"), &json!(entries))
            .await
            .map(drop)
    }

    /// Starts a provider, with the names of configurations for it, and waits until it has started.
    ///
    /// The built-in HTTP server is `wasmcloud+builtin://http-server`; the host needs
    /// `--feature builtin-http-server` for it.
    ///
    /// # Errors
    ///
    /// When the host refuses or fails; the error carries its message.
    pub async fn provider_start(
        &self,
        host_id: &str,
        provider_ref: &str,
        provider_id: &str,
        config: &[&str],
    ) -> anyhow::Result<()> {
        let command = json!({
            "host_id": host_id,
            "provider_ref": provider_ref,
            "provider_id": provider_id,
            "config": config,
        });
        let ours = |data: &Value| data["host_id"] == host_id && data["provider_id"] == provider_id;
        self.command_and_event(
            &format!("provider.start.{host_id}"),
            &command,
            "provider_started",
            ours,
            "provider_start_failed",
            ours,
        )
        .await
        .with_context(|| format!("cannot start provider {provider_id} ({provider_ref})"))
    }

    /// Stops a provider.
    ///
    /// # Errors
    ///
    /// When the host refuses; the error carries its message.
    pub async fn provider_stop(&self, host_id: &str, provider_id: &str) -> anyhow::Result<()> {
        let command = json!({ "host_id": host_id, "provider_id": provider_id });
        self.request(&format!("provider.stop.{host_id}"), &command)
            .await
            .map(drop)
    }

    /// What runs on a host.
    ///
    /// # Errors
    ///
    /// When the host does not answer.
    pub async fn inventory(&self, host_id: &str) -> anyhow::Result<Inventory> {
        let inventory = self
            .request(&format!("host.get.{host_id}"), &Value::Null)
            .await?;
        serde_json::from_value(inventory).context("cannot read the host's inventory")
    }

    /// Sends a request and returns what the host answers.
    ///
    /// `operation` is what follows the lattice in the subject, such as `link.put`.
    ///
    /// # Errors
    ///
    /// When no host answers, or when it refuses; the error carries its message.
    pub async fn request(&self, operation: &str, command: &Value) -> anyhow::Result<Value> {
        let payload = match command {
            Value::Null => Vec::new(),
            command => serde_json::to_vec(command)?,
        };
        let request = async_nats::Request::new()
            .payload(payload.into())
            .timeout(Some(self.deadline));
        let answer = self
            .nats
            .send_request(self.subject(operation), request)
            .await
            .with_context(|| format!("no host of lattice {} answered {operation}", self.lattice))?;
        let answer: Answer = serde_json::from_slice(&answer.payload)
            .with_context(|| format!("the host's answer to {operation} is not as expected"))?;
        ensure!(
            answer.success,
            "the host refused {operation}: {}",
            answer.message
        );
        Ok(answer.response.unwrap_or_default())
    }

    fn subject(&self, operation: &str) -> String {
        format!("wasmbus.ctl.v1.{}.{operation}", self.lattice)
    }

    /// Sends a command and waits for the event by which the host says that it has been carried out, or that it
    /// has failed.
    async fn command_and_event(
        &self,
        operation: &str,
        command: &Value,
        done: &str,
        is_done: impl Fn(&Value) -> bool,
        failed: &str,
        is_failed: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        let events = format!("wasmbus.evt.{}", self.lattice);
        let mut done = self.nats.subscribe(format!("{events}.{done}")).await?;
        let mut failed = self.nats.subscribe(format!("{events}.{failed}")).await?;
        self.request(operation, command).await?;
        let outcome = tokio::time::timeout(self.deadline, async {
            loop {
                tokio::select! {
                    event = done.next() => if is_done(&event_data(event)?) {
                        return Ok(());
                    },
                    event = failed.next() => {
                        let data = event_data(event)?;
                        if is_failed(&data) {
                            bail!("the host says: {}", data["error"].as_str().unwrap_or("(no reason)"));
                        }
                    }
                }
            }
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) => bail!(
                "the host accepted {operation} but did not say within {:?} that it was done: see its log",
                self.deadline
            ),
        }
    }

    /// Asks for the links until several answers in a row are as wanted. `what` says what is wrong when that
    /// never happens.
    async fn until_links(
        &self,
        what: &str,
        wanted: impl Fn(&[Link]) -> bool,
    ) -> anyhow::Result<()> {
        until(what, self.deadline, async || {
            for _ in 0..AGREEING_ANSWERS {
                if !wanted(&self.links().await?) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }
}

/// The data of an event of the host.
fn event_data(event: Option<async_nats::Message>) -> anyhow::Result<Value> {
    let event = event.context("the connection to NATS was closed")?;
    let mut event: Value =
        serde_json::from_slice(&event.payload).context("an event is not JSON")?;
    Ok(event["data"].take())
}
