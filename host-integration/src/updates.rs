//! Makes updates of components take effect.
//!
//! `wasmcloud-host` 0.24.0 answers an `update` command by making the new version of the component and then stopping what
//! serves it, instead of what serves the old version: the old version goes on, and cannot be stopped any more. (Upstream:
//! `handle_update_component_task`.) What the host then has on record is the new version, so scaling the component makes
//! one that serves.
//!
//! This watches the commands that the host gets. When one updates a component, and the host has the new version on record,
//! the component is scaled to another number of instances and back, and what serves the old version is ended.
//!
//! A `scale` command may update the component, too. When it changes the number of instances or the configuration as well,
//! the host library makes instances of the old version and puts the new one on record. Then nothing can be done here but to
//! say so.
//!
//! With `--local-dispatch off` none of this is done: the host then does what a stock host does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{ensure, Context as _};
use async_nats::{Client, Message, Subscriber};
use futures::StreamExt as _;
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout, Instant};
use tracing::{debug, info, warn};
use wasmcloud_host::WasmbusHostConfig;
use wrpc_transport_nats::local::Local;

use crate::{host_config, nats_credentials};

/// How long the host may take to fetch and compile a new version. An update that takes longer is as on a stock host.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long the host may take to scale a component.
const SCALE_TIME: Duration = Duration::from_secs(60);

/// The time between looks at what the host has on record, while it fetches the new version.
const SLOW: Duration = Duration::from_millis(250);

/// As [`SLOW`], while it scales.
const FAST: Duration = Duration::from_millis(2);

/// Where the control interface is, and who the host is there.
pub(crate) struct Control {
    servers: String,
    jwt: Option<String>,
    key: Option<Arc<KeyPair>>,
    tls: bool,
    topic: String,
    lattice: Arc<str>,
    host_id: String,
}

/// The watch. Dropping it ends it.
pub(crate) struct Updates {
    _task: JoinSet<()>,
}

impl Control {
    /// That of a host with this configuration. Gives the host a key if it has none: its public half is the host's ID.
    pub(crate) fn of(config: &mut WasmbusHostConfig) -> Self {
        Self {
            host_id: host_config::host_id(config),
            servers: config.ctl_nats_url.to_string(),
            jwt: config.ctl_jwt.clone(),
            key: config.ctl_key.clone(),
            tls: config.ctl_tls,
            topic: format!("{}.v1.{}", config.ctl_topic_prefix, config.lattice),
            lattice: Arc::clone(&config.lattice),
        }
    }

    async fn connect(&self) -> anyhow::Result<Client> {
        let options =
            nats_credentials::connect_options(self.jwt.clone(), self.key.clone(), self.tls)
                .name("wasmcloud updates");
        options
            .connect(self.servers.as_str())
            .await
            .context("cannot connect to the NATS server of the control interface")
    }
}

impl Updates {
    /// Watches the commands to the host from here on. To be called before the host is started.
    ///
    /// # Errors
    ///
    /// When the NATS server cannot be reached, or does not allow the subscriptions.
    pub(crate) async fn watch(control: Control, local: Local) -> anyhow::Result<Self> {
        let client = control.connect().await?;
        let subject =
            |command| format!("{}.component.{command}.{}", control.topic, control.host_id);
        let updates = client.subscribe(subject("update")).await?;
        let scales = client.subscribe(subject("scale")).await?;
        // Both are known to the server before the host is.
        client.flush().await?;
        let host = Arc::new(Host {
            client,
            control,
            local,
            components: Mutex::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(watch(host, updates, scales));
        Ok(Self { _task: task })
    }
}

/// Takes the commands as they come. The updates under way end with this future: their tasks belong to it.
async fn watch(host: Arc<Host>, mut updates: Subscriber, mut scales: Subscriber) {
    let mut running = JoinSet::new();
    loop {
        let command = tokio::select! {
            // A component is scaled before it is updated.
            biased;
            Some(message) = scales.next() => host.scaled(&message),
            Some(message) = updates.next() => host.updated(&message),
            Some(_) = running.join_next() => None,
            else => return,
        };
        if let Some(update) = command {
            running.spawn(Arc::clone(&host).finish(update));
        }
    }
}

/// The host whose commands are watched.
struct Host {
    client: Client,
    control: Control,
    local: Local,
    components: Mutex<HashMap<String, Known>>,
}

/// What commands have said of a component.
#[derive(Default)]
struct Known {
    /// The names of its configurations: scaling it has to name them again.
    config: Vec<String>,
    /// What it was last to be updated to.
    latest: Option<Arc<str>>,
    /// How many instances of it others have asked for last.
    instances: Option<u32>,
    /// As `instances`, since an update has begun to take effect.
    count: Option<u32>,
}

struct Update {
    id: String,
    reference: Arc<str>,
    with: With,
}

/// The command that an update came with.
#[derive(Clone, Copy)]
enum With {
    Update,
    /// One to scale it, which updates only if the reference is another one.
    Scaling {
        /// Whether the number of instances or the configuration is another one.
        scaled: bool,
    },
}

#[derive(Deserialize)]
struct ScaleCommand {
    component_id: String,
    #[serde(default)]
    component_ref: String,
    #[serde(default)]
    config: Vec<String>,
    #[serde(default)]
    count: u32,
    #[serde(default)]
    allow_update: bool,
    /// Set in the commands that this sends.
    #[serde(default)]
    takes_effect: bool,
}

#[derive(Deserialize)]
struct UpdateCommand {
    component_id: String,
    new_component_ref: String,
}

/// The part of a component's record that is needed here.
#[derive(Deserialize)]
struct Component {
    id: String,
    image_ref: String,
    max_instances: u32,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Inventory {
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Answer<T> {
    success: bool,
    #[serde(default)]
    message: String,
    response: Option<T>,
}

#[derive(Serialize)]
struct Scale<'a> {
    component_id: &'a str,
    component_ref: &'a str,
    annotations: &'a Option<BTreeMap<String, String>>,
    count: u32,
    host_id: &'a str,
    config: &'a [String],
    allow_update: bool,
    /// Tells this command from those of others. The host does not look at it.
    takes_effect: bool,
}

impl Host {
    fn scaled(&self, message: &Message) -> Option<Update> {
        // What cannot be read is refused by the host, too.
        let command: ScaleCommand = serde_json::from_slice(&message.payload).ok()?;
        if command.takes_effect {
            return None;
        }
        let count = command.count;
        let scaled = self.with(&command.component_id, |known| {
            let scaled = known.instances.is_some_and(|before| before != count)
                || known.config != command.config;
            known.config = command.config;
            known.instances = Some(count);
            known.count = Some(count);
            scaled
        });
        // The host updates a component after it has scaled it, if the reference is another one.
        let with = With::Scaling { scaled };
        command
            .allow_update
            .then(|| self.update(command.component_id, command.component_ref, with))
    }

    fn updated(&self, message: &Message) -> Option<Update> {
        let command: UpdateCommand = serde_json::from_slice(&message.payload).ok()?;
        Some(self.update(
            command.component_id,
            command.new_component_ref,
            With::Update,
        ))
    }

    fn update(&self, id: String, reference: String, with: With) -> Update {
        let reference: Arc<str> = reference.into();
        self.with(&id, |known| known.latest = Some(Arc::clone(&reference)));
        Update {
            id,
            reference,
            with,
        }
    }

    fn with<T>(&self, id: &str, f: impl FnOnce(&mut Known) -> T) -> T {
        let mut components = self
            .components
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        f(components.entry(id.into()).or_default())
    }

    /// Makes the new version serve, once the host has it.
    async fn finish(self: Arc<Self>, update: Update) {
        let Update { id, reference, .. } = &update;
        match self.replace(&update).await {
            Ok(true) => info!(component = id, reference = &**reference, "the new version of a component serves"),
            Ok(false) => debug!(component = id, reference = &**reference, "no new version of a component to serve"),
            Err(error) => warn!(
                component = id,
                reference = &**reference,
                "the update of a component has not taken effect: stop the component and start it again ({error:#})"
            ),
        }
    }

    /// Returns whether the new version serves. It may have been there before: then this changes nothing.
    async fn replace(&self, update: &Update) -> anyhow::Result<bool> {
        let Update {
            id,
            reference,
            with,
        } = update;
        if let With::Scaling { scaled } = with {
            let before = self.component(id).await?;
            if before.is_none_or(|it| *it.image_ref == **reference) {
                return Ok(false);
            }
            ensure!(
                !scaled,
                "it was scaled by the same command, and then the host library keeps the old version"
            );
        }
        let deadline = Instant::now() + PATIENCE;
        let component = loop {
            match self.component(id).await? {
                Some(component) if *component.image_ref == **reference => break component,
                Some(_) if Instant::now() < deadline && self.is_latest(update) => {}
                // It failed, it was stopped, or it is updated again.
                _ => return Ok(false),
            }
            sleep(SLOW).await;
        };
        let count = component.max_instances;
        self.with(id, |known| known.count = None);
        // Another number than it has. A smaller one, so that there are never more instances than were asked for.
        let other = if count > 1 { count - 1 } else { count + 1 };
        self.scale(&component, other).await?;
        // Back, or to what someone else has asked for meanwhile, none included.
        let count = self.with(id, |known| known.count).unwrap_or(count);
        self.scale(&component, count).await?;
        let prefix = format!("{}.{id}", self.control.lattice);
        let generations = self.local.generations().into_iter();
        for it in generations.filter(|it| *it.prefix == *prefix) {
            let newest = it.numbers.last().copied().unwrap_or_default();
            self.local.end_older(it.scope, &prefix, newest);
        }
        Ok(true)
    }

    fn is_latest(&self, update: &Update) -> bool {
        self.with(&update.id, |known| {
            known.latest.as_ref() == Some(&update.reference)
        })
    }

    async fn component(&self, id: &str) -> anyhow::Result<Option<Component>> {
        let subject = format!("{}.host.get.{}", self.control.topic, self.control.host_id);
        let inventory: Option<Inventory> = self.request(subject, &()).await?;
        let components = inventory.context("the inventory is empty")?.components;
        Ok(components.into_iter().find(|component| component.id == id))
    }

    /// Returns when the host has done it.
    async fn scale(&self, component: &Component, count: u32) -> anyhow::Result<()> {
        let id = &*component.id;
        let config = self.with(id, |known| known.config.clone());
        let subject = format!(
            "{}.component.scale.{}",
            self.control.topic, self.control.host_id
        );
        let command = Scale {
            component_id: id,
            component_ref: &component.image_ref,
            annotations: &component.annotations,
            count,
            host_id: &self.control.host_id,
            config: &config,
            allow_update: false,
            takes_effect: true,
        };
        self.request::<()>(subject, &command).await?;
        let scaled = async {
            loop {
                match self.component(id).await? {
                    Some(component) if component.max_instances == count => return Ok(()),
                    Some(_) => sleep(FAST).await,
                    // Stopped meanwhile.
                    None => return Ok(()),
                }
            }
        };
        timeout(SCALE_TIME, scaled)
            .await
            .with_context(|| format!("the host does not scale `{id}` to {count} instances"))?
    }

    async fn request<T: for<'de> Deserialize<'de>>(
        &self,
        subject: String,
        command: &impl Serialize,
    ) -> anyhow::Result<Option<T>> {
        let command = serde_json::to_vec(command)?;
        let answer = self.client.request(subject, command.into()).await?;
        let answer: Answer<T> = serde_json::from_slice(&answer.payload)?;
        ensure!(answer.success, "the host refused: {}", answer.message);
        Ok(answer.response)
    }
}
