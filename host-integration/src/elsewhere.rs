//! Listens to the other hosts of the lattice, so that the transport knows which components they run, too.
//!
//! Once, at the beginning, they are asked: `host.ping`, and `host.get` of each that answers. Then
//! they are heard: a host says when it scales a component and when it stops, and says all that it
//! runs with each heartbeat, every 30 s unless it was configured otherwise. (Upstream:
//! `wasmbus/event.rs` and `Host::heartbeat`.)
//!
//! Whoever may send events can send those of hosts that there are not. So a host counts once it has
//! answered what it was asked here: one that is heard of is asked first.
//!
//! Where the credentials of the host do not allow this, nothing is known, and calls go as if there
//! were no other host. So it is for as long as there are many hosts: each would hear all of the
//! others, which is more for the NATS server with their square. Then they are counted now and then,
//! with `host.ping`: the more there are, the less often.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use futures::StreamExt as _;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::Deserialize;
use tokio::time::{interval, sleep, timeout, Instant};
use tracing::info;
use wrpc_transport_nats::local::Local;

use crate::updates::Place;

/// For how long a host counts that says nothing: three heartbeats.
const SILENT: Duration = Duration::from_secs(90);

/// How many other hosts are listened to. In a lattice with more, none is.
const MAX_HOSTS: usize = 64;

/// How many hosts that are heard of are asked between two looks at who is silent, so that no one
/// has any number of them asked.
const MAX_ASKED: usize = 4 * MAX_HOSTS;

/// How long the ID of a host may be. It is a public key, of 56 letters and digits.
const LONGEST_HOST: usize = 64;

/// How many bytes the IDs of the components of a host may have, each counted with what it takes
/// besides. What is more is not known.
const MOST_OF_A_HOST: usize = 256 * 1024;

/// What the ID of a component takes besides its bytes, at least.
const BESIDES: usize = 64;

/// How many are counted at most.
const MOST_COUNTED: usize = 1024;

/// For each host that there is, for how long it is not looked again whether there are fewer. As
/// each asks all others, each is asked once in this time, however many there are.
const PAUSE: Duration = Duration::from_secs(5);

/// When no host answers any more.
const ANSWERED: Duration = Duration::from_secs(2);

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
    /// Those that were heard of, and asked.
    asked: HashSet<String>,
}

struct Other {
    components: BTreeSet<String>,
    heard: Instant,
}

/// There are more hosts than are listened to.
struct TooMany;

/// Keeps `local` informed, for as long as it is polled. Ends with the connection.
pub(crate) async fn watch(client: Client, place: Place, local: Local) {
    watch_with(client, place, local, PAUSE).await;
}

/// As [`watch`], with a pause for each host.
async fn watch_with(client: Client, place: Place, local: Local, pause: Duration) {
    let mut others = Others {
        place: &place,
        local: &local,
        hosts: HashMap::new(),
        asked: HashSet::new(),
    };
    let error = loop {
        match others.listen(&client).await {
            Ok(TooMany) => {}
            Err(error) => break error,
        }
        others.forget(|_| true);
        info!(
            "the lattice has more than {MAX_HOSTS} other hosts, and they are not listened to: it is not known which components they \
             run. It is looked now and then whether there are fewer"
        );
        let mut count = MAX_HOSTS + 1;
        let counted = loop {
            sleep(pause * u32::try_from(count).unwrap_or(u32::MAX)).await;
            match others.count(&client).await {
                Ok(now) if now <= MAX_HOSTS => break Ok(now),
                Ok(now) => count = now,
                Err(error) => break Err(error),
            }
        };
        match counted {
            Ok(hosts) => info!(
                hosts,
                "the other hosts of the lattice are listened to again"
            ),
            Err(error) => break error,
        }
    };
    others.forget(|_| true);
    info!("it is not known any more which components other hosts run: {error:#}");
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
    /// Listens until there are too many, or the connection is closed.
    async fn listen(&mut self, client: &Client) -> anyhow::Result<TooMany> {
        let [to_ping, to_get] = [client.new_inbox(), client.new_inbox()];
        let mut heard = Heard::subscribe(client, self.place, [&to_ping, &to_get]).await?;
        let ping = format!("{}.host.ping", self.place.topic);
        client.publish_with_reply(ping, to_ping, "".into()).await?;
        let mut looks = interval(SILENT / 3);
        loop {
            let asks = tokio::select! {
                Some(message) = heard.scaled.next() => self.scaled(&message),
                Some(message) = heard.heartbeats.next() => {
                    let event = read::<Event<Inventory>>(&message);
                    event.and_then(|event| self.beats(event.data))
                }
                Some(message) = heard.inventories.next() => {
                    if let Some(answer) = read::<Answer<Inventory>>(&message) {
                        self.answers(answer.response);
                    }
                    None
                }
                Some(message) = heard.stopped.next() => {
                    if let Some(event) = read::<Event<IgnoredAny>>(&message) {
                        self.forget(|(id, _)| **id == event.source);
                    }
                    None
                }
                Some(message) = heard.hosts.next() => {
                    // What it runs is not known before it has answered again.
                    let answer = read::<Answer<Host>>(&message);
                    answer.and_then(|answer| self.is_there(answer.response.id))
                }
                _ = looks.tick() => {
                    self.forget(|(_, host)| host.heard.elapsed() >= SILENT);
                    self.asked = HashSet::new();
                    None
                }
            };
            if let Some(id) = asks {
                let get = format!("{}.host.get.{id}", self.place.topic);
                client
                    .publish_with_reply(get, to_get.clone(), "".into())
                    .await?;
            }
            if self.hosts.len() > MAX_HOSTS {
                return Ok(TooMany);
            }
        }
    }

    /// How many other hosts there are, up to a number.
    async fn count(&self, client: &Client) -> anyhow::Result<usize> {
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await?;
        // The server sends no more than that, and one of them is this host.
        answers.unsubscribe_after(MOST_COUNTED as u64 + 1).await?;
        let ping = format!("{}.host.ping", self.place.topic);
        client.publish_with_reply(ping, inbox, "".into()).await?;
        let mut others = BTreeSet::new();
        while let Ok(Some(message)) = timeout(ANSWERED, answers.next()).await {
            let id = read::<Answer<Host>>(&message).map(|answer| answer.response.id);
            others.extend(id.filter(|id| *id != self.place.host_id));
        }
        Ok(others.len())
    }

    /// Returns the ID of the host if it is to be asked.
    fn scaled(&mut self, message: &Message) -> Option<String> {
        let event = read::<Event<Scaled>>(message)?;
        let Scaled {
            component_id: id,
            max_instances,
        } = event.data;
        if !self.hosts.contains_key(&event.source) {
            return self.hears_of(event.source);
        }
        self.change(&event.source, |before| {
            let mut components = before.clone();
            match max_instances {
                0 => components.remove(&id),
                _ => components.insert(id),
            };
            components
        });
        None
    }

    /// Returns the ID of the host if it is to be asked.
    fn beats(&mut self, inventory: Inventory) -> Option<String> {
        if !self.hosts.contains_key(&inventory.host_id) {
            return self.hears_of(inventory.host_id);
        }
        self.runs(inventory);
        None
    }

    /// Someone has said something in the name of a host that is not known. Returns its ID if it is to be asked.
    fn hears_of(&mut self, id: String) -> Option<String> {
        let asks = is_host(&id)
            && id != self.place.host_id
            && self.asked.len() < MAX_ASKED
            && self.asked.insert(id.clone());
        asks.then_some(id)
    }

    /// A host says that it is there. Returns its ID if it is to be asked what it runs.
    fn is_there(&mut self, id: String) -> Option<String> {
        if !is_host(&id) || id == self.place.host_id {
            return None;
        }
        self.change(&id, BTreeSet::clone);
        Some(id)
    }

    /// A host that was asked says what it runs.
    fn answers(&mut self, inventory: Inventory) {
        let id = &inventory.host_id;
        if self.hosts.contains_key(id) || self.asked.contains(id) {
            self.runs(inventory);
        }
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
        let mut components = change(&other.components);
        let mut left = MOST_OF_A_HOST;
        components.retain(|id| {
            let rest = left.checked_sub(id.len() + BESIDES);
            left = rest.unwrap_or(left);
            rest.is_some()
        });
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

/// Whether this can be the ID of a host, and a part of a subject.
fn is_host(id: &str) -> bool {
    let is_part = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    (1..=LONGEST_HOST).contains(&id.len()) && id.bytes().all(is_part)
}

/// What cannot be read is of a version that this does not know.
fn read<T: DeserializeOwned>(message: &Message) -> Option<T> {
    serde_json::from_slice(&message.payload).ok()
}

// Without a backend there is nothing to watch.
#[cfg(all(test, any(feature = "duplex", feature = "mpsc")))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    use inhost_testbed::{settle, until, NatsServer};
    use serde_json::json;
    use tokio::task::JoinSet;
    use wrpc_transport_nats::local::Config;

    use super::*;

    #[tokio::test]
    async fn many_hosts_are_not_listened_to_until_there_are_fewer() {
        let nats = NatsServer::start().await.expect("a NATS server");
        let [client, hosts] = [nats.client().await, nats.client().await];
        let [client, hosts] = [client, hosts].map(|it| it.expect("a connection"));
        let place = place();
        let (number, asked) = (
            Arc::new(AtomicUsize::new(100)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut tasks = JoinSet::new();
        let ping = format!("{}.host.ping", place.topic);
        let mut pings = hosts.subscribe(ping).await.expect("subscribed");
        settle(&hosts).await.expect("subscribed");
        let (they, answering, are_asked) = (hosts.clone(), Arc::clone(&number), Arc::clone(&asked));
        tasks.spawn(async move {
            while let Some(ping) = pings.next().await {
                let reply = ping.reply.expect("a request");
                for number in 0..answering.load(Ordering::Relaxed) {
                    let answer = json!({"response": {"id": format!("HOST{number}")}});
                    let answer = answer.to_string().into();
                    they.publish(reply.clone(), answer).await.expect("sent");
                }
                are_asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let heartbeats = place.event("host_heartbeat");
        let hears = async |is: bool| {
            let what = format!("listening is {is}");
            let listening = until(&what, Duration::from_secs(30), async || {
                Ok(nats.subscriptions(&heartbeats).await?.is_empty() != is)
            });
            listening.await.expect("so");
        };
        let local = Local::new(Config::default()).expect("the default backend");
        let pause = Duration::from_millis(1);
        tasks.spawn(watch_with(client, place.clone(), local, pause));
        hears(false).await;
        until("they are counted", Duration::from_secs(30), async || {
            Ok(asked.load(Ordering::Relaxed) > 3)
        })
        .await
        .expect("so");
        hears(false).await;
        number.store(MAX_HOSTS, Ordering::Relaxed);
        hears(true).await;
        let heartbeat = |number: usize| {
            let id = format!("ANOTHER{number}");
            json!({"source": id, "data": {"host_id": id, "components": []}}).to_string()
        };
        // One more says that it is there, and is.
        let gets = format!("{}.host.get.ANOTHER0", place.topic);
        let mut gets = hosts.subscribe(gets).await.expect("subscribed");
        settle(&hosts).await.expect("subscribed");
        let one_more = heartbeat(0).into();
        hosts
            .publish(heartbeats.clone(), one_more)
            .await
            .expect("sent");
        let get = timeout(Duration::from_secs(30), gets.next()).await;
        let get = get.expect("in time").expect("it is asked");
        // What all were asked when it began to listen came before, and is answered by now.
        settle(&hosts).await.expect("the server answers");
        number.store(100, Ordering::Relaxed);
        let answer = json!({"response": {"host_id": "ANOTHER0", "components": []}}).to_string();
        let reply = get.reply.expect("a request");
        hosts.publish(reply, answer.into()).await.expect("sent");
        hears(false).await;
    }

    fn others<'a>(place: &'a Place, local: &'a Local) -> Others<'a> {
        Others {
            place,
            local,
            hosts: HashMap::new(),
            asked: HashSet::new(),
        }
    }

    fn inventory(host_id: &str, components: impl IntoIterator<Item = String>) -> Inventory {
        let components = components.into_iter().map(|id| Component { id });
        Inventory {
            host_id: host_id.into(),
            components: components.collect(),
        }
    }

    fn place() -> Place {
        Place {
            host_id: "HOST".into(),
            topic: "wasmbus.ctl.v1.many".into(),
            lattice: "many".into(),
        }
    }

    #[test]
    fn a_host_that_has_not_answered_is_none() {
        let local = Local::new(Config::default()).expect("the default backend");
        let place = place();
        let mut others = others(&place, &local);
        let mut asked = 0;
        for number in 0..10_000 {
            let made_up = inventory(&format!("MADE-UP-{number}"), ["a".into()]);
            asked += usize::from(others.beats(made_up).is_some());
        }
        assert_eq!((asked, others.hosts.len()), (MAX_ASKED, 0));
        others.answers(inventory("NEVER-ASKED", ["a".into()]));
        assert!(others.hosts.is_empty());
        others.answers(inventory("MADE-UP-0", ["a".into()]));
        assert_eq!(others.hosts.len(), 1);
        // What would be more than a part of a subject, or is this host.
        others.asked.clear();
        for id in [
            "",
            "*",
            ">",
            "A.B",
            "A B",
            "A\r\nPUB x 0\r\n",
            "HOST",
            &"A".repeat(65),
        ] {
            assert_eq!(others.beats(inventory(id, [])), None, "{id}");
            assert_eq!(others.is_there(id.into()), None, "{id}");
        }
        assert_eq!((others.asked.len(), others.hosts.len()), (0, 1));
    }

    #[test]
    fn what_is_known_of_a_host_has_a_bound_in_bytes() {
        let local = Local::new(Config::default()).expect("the default backend");
        let place = place();
        let mut others = others(&place, &local);
        assert_eq!(others.is_there("A".into()).as_deref(), Some("A"));
        let ids = (0..100_000).map(|number| format!("component-{number}"));
        others.answers(inventory("A", ids.chain(["z".repeat(1 << 20)])));
        let known = &others.hosts["A"].components;
        let bytes: usize = known.iter().map(|id| id.len() + BESIDES).sum();
        assert!(known.len() > 3000 && bytes <= MOST_OF_A_HOST, "{bytes}");
    }
}
