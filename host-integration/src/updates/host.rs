//! The host whose updates are watched: what it is asked, and what is heard of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{ensure, Context as _};
use async_nats::{Client, Event};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use wasmcloud_control_interface::{ScaleComponentCommand, UpdateComponentCommand};
use wrpc_transport_nats::local::{Generations, Local, ScopeId};

use super::components::Components;
use super::known::{Asked, Known, Scaling};
use super::policy::{Policy, Start};

/// How long a command or an event may be of which something is kept, in bytes.
const LONGEST: usize = 64 * 1024;

/// How long the ID of a component may be, in bytes. Longer ones are not followed.
const LONGEST_ID: usize = 1024;

/// Where a host is in a lattice.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) host_id: String,
    /// What the subjects of the control interface begin with.
    pub(crate) topic: String,
    pub(crate) lattice: Arc<str>,
}

impl Place {
    pub(crate) fn command(&self, operation: &str) -> String {
        format!("{}.{operation}.{}", self.topic, self.host_id)
    }

    pub(crate) fn event(&self, name: &str) -> String {
        format!("wasmbus.evt.{}.{name}", self.lattice)
    }

    pub(crate) fn prefix(&self, id: &str) -> String {
        format!("{}.{id}", self.lattice)
    }
}

/// What has gone wrong on a connection.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Troubles>);

#[derive(Default)]
struct Troubles {
    /// What the NATS server last refused: a permission, most likely.
    refused: Mutex<Option<String>>,
    /// Told when the connection is there again.
    again: Notify,
}

impl Trouble {
    pub(super) fn note(&self, event: Event) {
        match event {
            Event::ServerError(error) => *self.refused() = Some(error.to_string()),
            // Messages were lost before it.
            Event::Connected | Event::SlowConsumer(_) => self.0.again.notify_one(),
            _ => {}
        }
    }

    /// Waits until messages have been lost, and more can come. The first connection counts as well.
    pub(super) async fn missed(&self) {
        self.0.again.notified().await;
    }

    fn refused(&self) -> MutexGuard<'_, Option<String>> {
        let refused = self.0.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host, and what is known of its components.
pub(super) struct Host {
    client: Client,
    place: Place,
    local: Local,
    trouble: Trouble,
    /// Whom the host asks before it makes a component.
    policy: Option<Policy>,
    components: Mutex<Components>,
    /// The connection that its components are served over, once that is known.
    scope: Mutex<Option<ScopeId>>,
    /// Whether the host's events can be heard.
    hears: AtomicBool,
    /// What the commands have that are sent here, and no others: it is made up anew for each host.
    mark: String,
    /// Told when a command was heard, or the host said something of one, or may have.
    told: Notify,
    /// How many times commands and events may have been missed.
    misses: AtomicU64,
}

/// The part of a component's record that is needed here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Component {
    id: String,
    pub(super) image_ref: String,
    pub(super) max_instances: u32,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Inventory {
    #[serde(default)]
    labels: HashMap<String, String>,
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Answer<T> {
    success: bool,
    #[serde(default)]
    message: String,
    response: Option<T>,
}

/// What a command has beyond what the host reads of it.
#[derive(Deserialize)]
struct Marked {
    takes_effect: String,
}

#[derive(Deserialize)]
struct Told {
    data: Scaled,
}

#[derive(Deserialize)]
struct Scaled {
    host_id: String,
    component_id: String,
    image_ref: String,
    max_instances: u32,
    #[serde(default)]
    error: String,
}

impl Host {
    pub(super) fn new(client: Client, place: Place, local: Local, trouble: Trouble) -> Self {
        Self {
            // There is no other with this name.
            mark: client.new_inbox(),
            client,
            place,
            local,
            trouble,
            policy: None,
            components: Mutex::default(),
            scope: Mutex::default(),
            hears: AtomicBool::new(false),
            told: Notify::new(),
            misses: AtomicU64::new(0),
        }
    }

    /// As a host that asks a policy service.
    pub(super) fn asking(mut self, policy: Option<Policy>) -> Self {
        self.policy = policy;
        self
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn local(&self) -> &Local {
        &self.local
    }

    pub(super) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// Told when a command was heard, or the host said something of one, or may have.
    pub(super) fn told(&self) -> &Notify {
        &self.told
    }

    /// Whether the host says what it does with a command, as far as is known. Its credentials may not allow to hear it.
    pub(super) fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    /// What is known of a component.
    pub(super) fn with<T>(&self, id: &str, f: impl FnOnce(&mut Known) -> T) -> T {
        f(self.components().heard(id, 0))
    }

    /// As [`Host::with`], about something with so many bytes that anyone may have said.
    fn hear_of(&self, id: &str, bytes: usize, f: impl FnOnce(&mut Known)) {
        if bytes > LONGEST || id.len() > LONGEST_ID {
            // Nothing is kept of it. If that is about one that runs, it is looked what has come of it.
            if let Some(known) = self.components().get_mut(id) {
                known.miss();
            }
            return;
        }
        let mut components = self.components();
        f(components.heard(id, bytes));
        if components.are_many() {
            drop(components);
            let lattice = self.place.prefix("");
            let served = self.generations().into_iter();
            let served = served.filter_map(|it| Some(it.prefix.strip_prefix(&lattice)?.to_owned()));
            let served: HashSet<_> = served.collect();
            self.components().forget(&served);
        }
    }

    pub(super) fn hear_scale(&self, payload: &[u8]) {
        // What cannot be read is refused by the host, too: it reads it as this.
        let Ok(command) = serde_json::from_slice::<ScaleComponentCommand>(payload) else {
            return;
        };
        let (id, anew) = (command.component_id(), self.has_sent(payload));
        let newest = self.newest(id);
        self.hear_of(id, payload.len(), |known| {
            known.ask(Asked {
                scaling: Scaling {
                    count: command.max_instances(),
                    config: command.config().clone(),
                },
                reference: command.component_ref().to_owned(),
                allow_update: command.allow_update(),
                anew,
                newest,
                at: Instant::now(),
            });
        });
        self.told.notify_waiters();
    }

    pub(super) fn hear_update(&self, payload: &[u8]) {
        if let Ok(command) = serde_json::from_slice::<UpdateComponentCommand>(payload) {
            let (id, anew) = (command.component_id(), self.has_sent(payload));
            let made = self.made(id);
            self.hear_of(id, payload.len(), |known| {
                known.made = made;
                known.ask_update(command.new_component_ref().to_owned(), anew);
            });
            self.told.notify_waiters();
        }
    }

    /// Whether a command was sent here, and is none of others.
    fn has_sent(&self, payload: &[u8]) -> bool {
        let marked = serde_json::from_slice::<Marked>(payload);
        marked.is_ok_and(|it| it.takes_effect == self.mark)
    }

    /// Returns the ID of a component that the host has stopped, and which of its generations have
    /// ended with that: those below a number.
    pub(super) fn hear_scaled(&self, payload: &[u8]) -> Option<(String, u64)> {
        let mut stopped = None;
        self.hear(payload, |known, scaled, lapsed| {
            known.take(scaled.max_instances, &scaled.image_ref, lapsed);
            stopped = known.stopped_below().map(|it| (scaled.component_id, it));
        });
        stopped
    }

    pub(super) fn hear_refused(&self, payload: &[u8]) {
        self.hear(payload, |known, scaled, lapsed| {
            known.refuse(
                scaled.max_instances,
                &scaled.image_ref,
                lapsed,
                scaled.error,
            );
        });
    }

    fn hear(&self, payload: &[u8], f: impl FnOnce(&mut Known, Scaled, u64)) {
        let Ok(Told { data }) = serde_json::from_slice(payload) else {
            return;
        };
        if data.host_id == self.place.host_id {
            self.hears.store(true, Ordering::Relaxed);
            let id = data.component_id.clone();
            if data.max_instances > 0 && data.error.is_empty() {
                self.runs(&id);
            }
            let (lapsed, made) = (self.lapsed(&id), self.made(&id));
            self.hear_of(&id, payload.len(), |known| {
                known.made = made;
                f(known, data, lapsed);
            });
            self.told.notify_waiters();
        }
    }

    /// Commands and events may have been missed.
    pub(super) fn miss(&self) {
        let mut components = self.components();
        components.iter_mut().for_each(Known::miss);
        drop(components);
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.told.notify_waiters();
    }

    /// How many times commands and events may have been missed.
    pub(super) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// The names of the configurations of a component that the host runs. None if it does not, as far as is known.
    pub(super) fn config_of(&self, id: &str) -> Vec<String> {
        let components = self.components();
        let scaling = components.get(id).and_then(Known::taken);
        let runs = scaling.filter(|it| it.count > 0);
        runs.map(|it| it.config).unwrap_or_default()
    }

    /// What the configuration `name` has in it: nothing, if there is none.
    ///
    /// # Errors
    ///
    /// When no host answers, and when no configuration can have this name.
    pub(super) async fn config(&self, name: &str) -> anyhow::Result<HashMap<String, String>> {
        // It would be another subject, or more than that.
        let invalid = |it: char| it.is_whitespace() || it.is_control() || matches!(it, '*' | '>');
        ensure!(
            !name.is_empty() && !name.contains(invalid),
            "no configuration is called {name:?}"
        );
        let subject = format!("{}.config.get.{name}", self.place.topic);
        Ok(self.ask(subject, &()).await?.response.unwrap_or_default())
    }

    fn components(&self) -> MutexGuard<'_, Components> {
        let components = self.components.lock();
        components.unwrap_or_else(PoisonError::into_inner)
    }

    /// The components about which there is something to look at.
    pub(super) fn with_news(&self) -> Vec<String> {
        let lapsed = self.all_lapsed();
        let mut components = self.components();
        for (id, lapsed) in &lapsed {
            if *lapsed > 0 {
                components.heard(id, 0);
            }
        }
        let lapsed = |id: &str| lapsed.get(id).copied().unwrap_or_default();
        let news = components.iter().filter(|(id, it)| it.has_news(lapsed(id)));
        news.map(|(id, _)| id.to_owned()).collect()
    }

    /// Whether the host may be loading the image of an update, of whichever component.
    pub(super) fn is_updating(&self) -> bool {
        let components = self.components();
        let mut running = components.iter().filter(|(_, it)| it.runs());
        running.any(|(_, it)| it.is_updating())
    }

    fn all_lapsed(&self) -> HashMap<String, u64> {
        let mut all = HashMap::new();
        let lattice = self.place.prefix("");
        for it in self.generations() {
            if let Some(id) = it.prefix.strip_prefix(&lattice) {
                let lapsed: &mut u64 = all.entry(id.to_owned()).or_default();
                *lapsed = it.lapsed.max(*lapsed);
            }
        }
        all
    }

    /// The number of the generation of a component that has lapsed last. 0 if none has.
    pub(super) fn lapsed(&self, id: &str) -> u64 {
        let generations = self.generations_of(id);
        let lapsed = generations.iter().map(|it| it.lapsed);
        lapsed.max().unwrap_or_default()
    }

    /// The generations of a component. There is one entry for each connection until it is known
    /// which is that of the host.
    pub(super) fn generations_of(&self, id: &str) -> Vec<Generations> {
        let prefix = self.place.prefix(id);
        let mut generations = self.generations();
        generations.retain(|it| *it.prefix == *prefix);
        generations
    }

    /// The number of the newest generation of a component.
    pub(super) fn newest(&self, id: &str) -> u64 {
        let generations = self.generations_of(id);
        let numbers = generations.iter().flat_map(|it| &it.numbers);
        numbers.copied().max().unwrap_or_default()
    }

    /// How many generations of a component there were.
    pub(super) fn made(&self, id: &str) -> u64 {
        self.generations_of(id).iter().map(|it| it.made).sum()
    }

    fn generations(&self) -> Vec<Generations> {
        let mut generations = self.local.generations();
        if let Some(scope) = *self.scope.lock().unwrap_or_else(PoisonError::into_inner) {
            generations.retain(|it| it.scope == scope);
        }
        generations
    }

    /// The components of the host are served over the connection `scope`.
    pub(super) fn serves_over(&self, scope: ScopeId) {
        *self.scope.lock().unwrap_or_else(PoisonError::into_inner) = Some(scope);
    }

    /// The host runs a component. If it is served over one connection only, that is the host's.
    pub(super) fn runs(&self, id: &str) {
        if let ([it], false) = (&*self.generations_of(id), self.is_found()) {
            self.serves_over(it.scope);
        }
    }

    /// Whether it is known over which connection the components of the host are served.
    pub(super) fn is_found(&self) -> bool {
        let scope = self.scope.lock().unwrap_or_else(PoisonError::into_inner);
        scope.is_some()
    }

    /// What the host has on record of a component.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(super) async fn component(&self, id: &str) -> anyhow::Result<Option<Component>> {
        let components = self.inventory().await?.components;
        Ok(components.into_iter().find(|component| component.id == id))
    }

    async fn inventory(&self) -> anyhow::Result<Inventory> {
        let answer: Answer<Inventory> = self.request("host.get", &()).await?;
        answer.response.context("the inventory is empty")
    }

    /// Whether the host asks a policy service before it makes a component.
    pub(super) fn asks_policy(&self) -> bool {
        self.policy.is_some()
    }

    /// Why the policy service does not let `count` instances of a component be started from `reference`. None if it
    /// does, if no one is to be asked, or if only the host can ask.
    ///
    /// # Errors
    ///
    /// When no one answers.
    pub(super) async fn denial(
        &self,
        component: &Component,
        reference: &str,
        count: u32,
    ) -> anyhow::Result<Option<String>> {
        let Some(policy) = &self.policy else {
            return Ok(None);
        };
        let start = Start {
            id: &component.id,
            reference,
            count,
            annotations: component.annotations.clone().unwrap_or_default(),
            labels: self.inventory().await?.labels,
        };
        policy.denial(&self.client, &self.place, start).await
    }

    /// Asks the host to scale a component. It answers before it does. Returns whether the component
    /// is still the one that it has on record: else the one that it has will be on record under the
    /// reference of this one.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(super) async fn scale(&self, component: &Component, to: &Scaling) -> anyhow::Result<bool> {
        let command = json!({
            "component_id": component.id,
            "component_ref": component.image_ref,
            "annotations": component.annotations,
            "count": to.count,
            "host_id": self.place.host_id,
            "config": to.config,
            "allow_update": false,
            // The host does not look at it.
            "takes_effect": self.mark,
        });
        let answer = self.request::<()>("component.scale", &command).await?;
        // The host says something only about another reference.
        Ok(answer.message.is_empty())
    }

    /// Asks the host to update a component. It answers before it does.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(super) async fn update(&self, component: &Component, to: &str) -> anyhow::Result<()> {
        let command = json!({
            "component_id": component.id,
            "new_component_ref": to,
            "annotations": component.annotations,
            "host_id": self.place.host_id,
            "takes_effect": self.mark,
        });
        self.request::<()>("component.update", &command).await?;
        Ok(())
    }

    async fn request<T: DeserializeOwned>(
        &self,
        operation: &str,
        command: &impl Serialize,
    ) -> anyhow::Result<Answer<T>> {
        self.ask(self.place.command(operation), command).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        subject: String,
        command: &impl Serialize,
    ) -> anyhow::Result<Answer<T>> {
        let command = serde_json::to_vec(command)?;
        let answer = self.client.request(subject.clone(), command.into()).await;
        let answer = answer.map_err(|error| {
            let violation = self.trouble.refused().take().filter(|it| {
                let (it, subject) = (it.to_lowercase(), subject.to_lowercase());
                it.contains(&subject)
            });
            let context = match violation {
                Some(violation) => format!("the NATS server refused it: {violation}"),
                None => format!("the host does not answer to `{subject}`"),
            };
            anyhow::Error::new(error).context(context)
        })?;
        let answer: Answer<T> = serde_json::from_slice(&answer.payload)?;
        ensure!(answer.success, "the host refused it: {}", answer.message);
        Ok(answer)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("host_id", &self.place.host_id)
            .finish_non_exhaustive()
    }
}
