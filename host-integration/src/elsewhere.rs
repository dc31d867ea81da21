//! Listens to the other hosts of the lattice, so that the transport knows which components they run, too.
//!
//! Once, at the beginning, they are asked: `host.ping`, and `host.get` of each that answers. Then they are heard: a host says
//! when it scales a component and when it stops, and says all that it runs with each heartbeat, every 30 s unless it was
//! configured otherwise. (Upstream: `wasmbus/event.rs` and `Host::heartbeat`.)
//!
//! Where the credentials of the host do not allow this, nothing is known, and calls go as if there were no other host. So it is
//! where there are many hosts: each would hear all of the others, which is more for the NATS server with their square.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::ensure;
use async_nats::{Client, Message, Subscriber};
use futures::StreamExt as _;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::Deserialize;
use tokio::time::{interval, Instant};
use tracing::info;
use wrpc_transport_nats::local::Local;

use crate::updates::Place;

/// For how long a host counts that says nothing: three heartbeats.
const SILENT: Duration = Duration::from_secs(90);

/// How many other hosts are listened to. In a lattice with more, none is.
const MAX_HOSTS: usize = 64;

/// What a host says of itself.
#[derive(Deserialize)]
struct Event<T> {
    /// The ID of the host.
    source: String,
    data: T,
}

#[derive(Deserialize)]
struct Answer<T> {
    response: T,
}

#[derive(Deserialize)]
struct Host {
    id: String,
}

/// What a heartbeat says, and the answer to `host.get`.
#[derive(Deserialize)]
struct Inventory {
    host_id: String,
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    id: String,
}

#[derive(Deserialize)]
struct Scaled {
    component_id: String,
    max_instances: u32,
}

/// Subscribed before the first other host is asked, so that nothing is missed between.
struct Heard {
    scaled: Subscriber,
    heartbeats: Subscriber,
    stopped: Subscriber,
    hosts: Subscriber,
    inventories: Subscriber,
}

/// The other hosts, and what they run.
struct Others<'a> {
    place: &'a Place,
    local: &'a Local,
    hosts: HashMap<String, Other>,
}

struct Other {
    components: BTreeSet<String>,
    heard: Instant,
}

/// Keeps `local` informed, for as long as it is polled. Ends in a lattice with too many hosts.
pub(crate) async fn watch(client: Client, place: Place, local: Local) {
    let mut others = Others {
        place: &place,
        local: &local,
        hosts: HashMap::new(),
    };
    if let Err(error) = others.listen(&client).await {
        others.forget(|_| true);
        info!("it is not known any more which components other hosts run: {error:#}");
    }
}

impl Heard {
    async fn subscribe(client: &Client, place: &Place, answers: [&str; 2]) -> anyhow::Result<Self> {
        let event = async |name| client.subscribe(place.event(name)).await;
        let [hosts, inventories] = answers;
        Ok(Self {
            scaled: event("component_scaled").await?,
            heartbeats: event("host_heartbeat").await?,
            stopped: event("host_stopped").await?,
            hosts: client.subscribe(hosts.to_owned()).await?,
            inventories: client.subscribe(inventories.to_owned()).await?,
        })
    }
}

impl Others<'_> {
    async fn listen(&mut self, client: &Client) -> anyhow::Result<()> {
        let [to_ping, to_get] = [client.new_inbox(), client.new_inbox()];
        let mut heard = Heard::subscribe(client, self.place, [&to_ping, &to_get]).await?;
        let ping = format!("{}.host.ping", self.place.topic);
        client.publish_with_reply(ping, to_ping, "".into()).await?;
        let mut looks = interval(SILENT / 3);
        loop {
            tokio::select! {
                Some(message) = heard.scaled.next() => self.scaled(&message),
                Some(message) = heard.heartbeats.next() => {
                    if let Some(event) = read::<Event<Inventory>>(&message) {
                        self.runs(event.data);
                    }
                }
                Some(message) = heard.inventories.next() => {
                    if let Some(answer) = read::<Answer<Inventory>>(&message) {
                        self.runs(answer.response);
                    }
                }
                Some(message) = heard.stopped.next() => {
                    if let Some(event) = read::<Event<IgnoredAny>>(&message) {
                        self.forget(|(id, _)| **id == event.source);
                    }
                }
                Some(message) = heard.hosts.next() => {
                    let Some(answer) = read::<Answer<Host>>(&message) else { continue };
                    let id = answer.response.id;
                    if id == self.place.host_id {
                        continue;
                    }
                    let get = format!("{}.host.get.{id}", self.place.topic);
                    client.publish_with_reply(get, to_get.clone(), "".into()).await?;
                    self.change(&id, BTreeSet::clone);
                }
                _ = looks.tick() => self.forget(|(_, host)| host.heard.elapsed() >= SILENT),
            }
            ensure!(
                self.hosts.len() <= MAX_HOSTS,
                "the lattice has more than {MAX_HOSTS} other hosts, and they are not listened to"
            );
        }
    }

    fn scaled(&mut self, message: &Message) {
        let Some(event) = read::<Event<Scaled>>(message) else {
            return;
        };
        let Scaled {
            component_id: id,
            max_instances,
        } = event.data;
        self.change(&event.source, |before| {
            let mut components = before.clone();
            match max_instances {
                0 => components.remove(&id),
                _ => components.insert(id),
            };
            components
        });
    }

    fn runs(&mut self, inventory: Inventory) {
        let components = inventory.components.into_iter();
        let components: BTreeSet<_> = components.map(|component| component.id).collect();
        self.change(&inventory.host_id, |_| components);
    }

    /// Changes what `host` runs, and tells the transport.
    fn change(&mut self, host: &str, change: impl FnOnce(&BTreeSet<String>) -> BTreeSet<String>) {
        if host == self.place.host_id {
            return;
        }
        let other = self.hosts.entry(host.to_owned()).or_insert_with(|| Other {
            components: BTreeSet::new(),
            heard: Instant::now(),
        });
        other.heard = Instant::now();
        let components = change(&other.components);
        let changed = components.symmetric_difference(&other.components);
        let changed: Vec<String> = changed.cloned().collect();
        other.components = components;
        for id in changed {
            let mut hosts = self.hosts.values();
            let served = hosts.any(|host| host.components.contains(&id));
            self.local
                .set_served_elsewhere(&self.place.prefix(&id), served);
        }
    }

    /// Those hosts run nothing any more, as far as is known.
    fn forget(&mut self, which: impl Fn(&(&String, &Other)) -> bool) {
        let hosts = self.hosts.iter().filter(which);
        let hosts: Vec<_> = hosts.map(|(id, _)| id.clone()).collect();
        for host in hosts {
            self.change(&host, |_| BTreeSet::new());
            self.hosts.remove(&host);
        }
    }
}

/// What cannot be read is of a version that this does not know.
fn read<T: DeserializeOwned>(message: &Message) -> Option<T> {
    serde_json::from_slice(&message.payload).ok()
}
