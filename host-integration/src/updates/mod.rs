//! Makes updates of components take effect.
//!
//! `wasmcloud-host` 0.24.0 answers an `update` command by making the new version of the component
//! and then stopping what serves it, instead of what serves the old version: the old version goes
//! on, and the host has no handle of it any more. (Upstream: `handle_update_component_task`.) What
//! the host then has on record is the new version, so scaling the component makes one that serves.
//!
//! Each version that a host makes is a generation of the component, and the oldest one serves: see
//! [`Local::generations`](wrpc_transport_nats::local::Local::generations). So an update by itself changes nothing. This
//! learns of it from the transport: a generation went, and an older one serves. Then it
//!
//! 1. looks whether the host still runs the component. If not, all its generations are ended.
//! 2. has the host make it anew, twice: with a name of its configuration repeated, or, when it has
//!    no configuration, with another number of instances; then as it was. (`settle`) Where a scale of
//!    others has made it anew since, that is left out.
//! 3. ends the generations that are older than the one that the host has on record now.
//!
//! Where a policy service decides, it is asked first. (`policy`) Nothing changes for callers before
//! the third step. Whatever is refused or fails before it leaves the old version serving, as on a
//! stock host, and is tried again. What is sent out is what the host took last. (`known`)
//!
//! When one `scale` changes the reference and also the number of instances or the configuration,
//! the host library puts the new reference on record with the old version. Then it is updated to
//! the reference before, and to the new one.
//!
//! With `--local-dispatch off` for all components none of this is done: the host then does what a stock host does.

use std::collections::HashSet;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::{Client, Event, Subscriber};
use futures::StreamExt as _;
use nkeys::KeyPair;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wasmcloud_host::WasmbusHostConfig;
use wrpc_transport_nats::local::Local;

use crate::{elsewhere, host_config, nats_credentials};

pub(crate) use host::Place;
use host::{Host, Trouble};
use offers::Offers;
use policy::Policy;
use settle::Watched;

mod components;
mod host;
mod known;
mod offers;
mod policy;
mod settle;
// Without a backend there is nothing to watch.
#[cfg(all(test, any(feature = "duplex", feature = "mpsc")))]
mod tests;

/// How many messages are heard before it is looked what is new. That takes longer than to hear one,
/// and anyone in the lattice may send many.
const HEARD: usize = 256;

/// For how long the client says nothing of its connection when it has dropped a message. It says,
/// and logs, one thing after the other, keeps a few, and would say it of each message that it
/// drops.
const DROPS: Duration = Duration::from_secs(1);

/// Where the control interface is, and who the host is there.
pub(crate) struct Control {
    servers: String,
    jwt: Option<String>,
    key: Option<Arc<KeyPair>>,
    tls: bool,
    place: Place,
    policy: Option<Policy>,
}

/// The watch. Dropping it ends it.
pub(crate) struct Updates {
    _task: JoinSet<()>,
    _watched: Watched,
}

impl Control {
    /// That of a host with this configuration. Gives the host a key if it has none: its public half is the host's ID.
    pub(crate) fn of(config: &mut WasmbusHostConfig) -> Self {
        Self {
            place: Place {
                host_id: host_config::host_id(config),
                topic: format!("{}.v1.{}", config.ctl_topic_prefix, config.lattice),
                lattice: Arc::clone(&config.lattice),
            },
            servers: config.ctl_nats_url.to_string(),
            jwt: config.ctl_jwt.clone(),
            key: config.ctl_key.clone(),
            tls: config.ctl_tls,
            policy: Policy::of(config),
        }
    }

    async fn connect(&self, trouble: &Trouble) -> anyhow::Result<Client> {
        let options =
            nats_credentials::connect_options(self.jwt.clone(), self.key.clone(), self.tls);
        let trouble = trouble.clone();
        let options = options.event_callback(move |event| {
            let pause = matches!(event, Event::SlowConsumer(_)).then_some(DROPS);
            trouble.note(event);
            async move {
                if let Some(pause) = pause {
                    sleep(pause).await;
                }
            }
        });
        options
            .name("wasmcloud updates")
            .connect(self.servers.as_str())
            .await
            .context("cannot connect to the NATS server of the control interface")
    }
}

impl Updates {
    /// Watches the host from here on. To be called before the host is started.
    ///
    /// # Errors
    ///
    /// When the NATS server cannot be reached.
    pub(crate) async fn watch(control: Control, local: Local) -> anyhow::Result<Self> {
        let trouble = Trouble::default();
        let client = control.connect(&trouble).await?;
        let mut task = JoinSet::new();
        let (place, others) = (control.place.clone(), local.clone());
        task.spawn(elsewhere::watch(client.clone(), place, others));
        let host = Host::new(client, control.place, local, trouble).asking(control.policy);
        let host = Arc::new(host);
        if let Some((offers, changes)) = Offers::subscribe(&host).await? {
            task.spawn(offers.watch(changes));
        }
        let heard = Heard::subscribe(&host).await?;
        task.spawn(watch(host, heard));
        Ok(Self {
            _task: task,
            _watched: Watched::begin(),
        })
    }
}

/// What goes to the host and comes from it.
struct Heard {
    scales: Subscriber,
    updates: Subscriber,
    scaled: Subscriber,
    refused: Subscriber,
}

impl Heard {
    async fn subscribe(host: &Host) -> anyhow::Result<Self> {
        let (client, place) = (host.client(), host.place());
        let heard = Self {
            scales: client.subscribe(place.command("component.scale")).await?,
            updates: client.subscribe(place.command("component.update")).await?,
            scaled: client.subscribe(place.event("component_scaled")).await?,
            refused: client
                .subscribe(place.event("component_scale_failed"))
                .await?,
        };
        // All of it is on its way to the server before the host is there.
        client.flush().await?;
        Ok(heard)
    }
}

/// Takes what comes, and settles each component that was updated. What is under way ends with this future.
async fn watch(host: Arc<Host>, mut heard: Heard) {
    // One for each component at a time.
    let (mut running, mut settling) = (HashSet::new(), JoinSet::new());
    // How many messages were heard since it was looked.
    let mut unlooked = 0;
    loop {
        // From here on a change is not missed.
        let changed = host.local().changed();
        if unlooked == 0 {
            for id in host.with_news() {
                if running.insert(id.clone()) {
                    settling.spawn(settle::component(Arc::clone(&host), id));
                }
            }
        }
        let hears = unlooked < HEARD;
        let was_heard = tokio::select! {
            // A command comes before what the host says of it.
            biased;
            Some(message) = heard.scales.next(), if hears => {
                host.hear_scale(&message.payload);
                true
            }
            Some(message) = heard.updates.next(), if hears => {
                host.hear_update(&message.payload);
                true
            }
            Some(message) = heard.refused.next(), if hears => {
                host.hear_refused(&message.payload);
                true
            }
            Some(message) = heard.scaled.next(), if hears => {
                if let Some((id, below)) = host.hear_scaled(&message.payload) {
                    settle::end_below(&host, &id, below);
                }
                true
            }
            Some(ended) = settling.join_next() => {
                if let Ok(id) = ended {
                    running.remove(&id);
                }
                false
            }
            () = host.trouble().missed() => {
                host.miss();
                false
            }
            () = changed => false,
            // No message is there.
            () = ready(()), if unlooked > 0 => false,
        };
        unlooked = if was_heard { unlooked + 1 } else { 0 };
    }
}
