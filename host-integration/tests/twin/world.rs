//! One host with a NATS server of its own, and what is around it: a policy service, the caller, the outside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use futures::StreamExt as _;
use inhost_testbed::{
    settle, until, Control, Decision, Driver, Guest, HeldTally, Host, HostBuilder, Link,
    NatsServer, Peer, PolicyService, CALLER,
};
use serde_json::{json, Value};
use tokio::task::JoinHandle;

use crate::images::Images;
use crate::observer::Event;
use crate::program::{Change, Config};

const LATTICE: &str = "default";

/// How long a command may take to be answered. An update that loads keeps others waiting.
const COMMAND: Duration = Duration::from_secs(20);

/// How long a call may take before it counts as not answered.
pub(crate) const CALL: Duration = Duration::from_secs(5);

/// How long a host may take to be back after its NATS server was away.
const BACK: Duration = Duration::from_secs(20);

/// How long the NATS server is away.
const AWAY: Duration = Duration::from_millis(200);

/// More than there are calls at once.
const CALLERS: u32 = 50;

const POLICY: &str = "twin.policy";
const POLICY_CHANGES: &str = "twin.policy.changes";

/// The user that the outside is. Whoever does not say who they are, as the host, is another one.
const OUTSIDE: &str = "outside";

/// A host and its surroundings.
pub(crate) struct World {
    host: Host,
    control: Control,
    client: async_nats::Client,
    nats: NatsServer,
    driver: Driver,
    policy: PolicyService,
    permits: Arc<AtomicBool>,
    events: Arc<Mutex<Vec<Event>>>,
    hears: JoinHandle<()>,
    /// The component that the caller is linked to.
    linked: Option<String>,
    _cache: tempfile::TempDir,
}

/// The component of one program, in one world.
#[derive(Debug)]
pub(crate) struct Callee {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) outside: Peer,
    pub(crate) tally: HeldTally,
}

impl World {
    /// Starts a host as `builder` says, and the caller on it.
    pub(crate) async fn start(builder: HostBuilder, images: &Images) -> anyhow::Result<Self> {
        let nats = NatsServer::start_with(&nats_config(Change::Put)).await?;
        let client = nats.client_as(OUTSIDE, OUTSIDE).await?;
        let permits = Arc::new(AtomicBool::new(true));
        let decides = Arc::clone(&permits);
        let policy = PolicyService::serve(&client, POLICY, move |request| {
            let starts = request["kind"] == "startComponent";
            match starts && !decides.load(Ordering::Relaxed) {
                true => Decision::Deny,
                false => Decision::Permit,
            }
        });
        let policy = policy.await?;
        // The cache of images is in there. Two hosts that fill one get in each other's way.
        let cache = tempfile::Builder::new().prefix("inhost-twin-").tempdir()?;
        let host = builder
            .lattice(LATTICE)
            .arg(format!("--policy-topic={POLICY}"))
            .arg(format!("--policy-changes-topic={POLICY_CHANGES}"))
            .arg(format!("--allowed-insecure={}", images.registry.name()))
            .env("TMPDIR", cache.path())
            .start(&nats)
            .await?;
        let control = Control::new(client.clone(), LATTICE).with_deadline(COMMAND);
        let caller = Guest::Caller.reference()?;
        control.scale(host.id(), &caller, CALLER, CALLERS).await?;
        let events = Arc::default();
        let hears = hear(&client, &events).await?;
        let driver = Peer::new(&client, LATTICE, CALLER).await?;
        Ok(Self {
            host,
            control,
            client,
            nats,
            driver: Driver::new(driver.with_deadline(CALL)),
            policy,
            permits,
            events,
            hears,
            linked: None,
            _cache: cache,
        })
    }

    /// The caller, which calls what it is linked to.
    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Has everything ready for a program with a component that does not run yet.
    pub(crate) async fn prepare(&mut self, number: usize) -> anyhow::Result<Callee> {
        let callee = Callee {
            number,
            id: format!("callee-{number}"),
            outside: Peer::new(&self.client, LATTICE, &format!("callee-{number}"))
                .await?
                .with_deadline(CALL),
            tally: HeldTally::serve(&self.client, LATTICE, &tally(number)).await?,
        };
        self.permit(Change::Put).await?;
        self.let_publish(Change::Put).await?;
        for config in [Config::A, Config::B] {
            self.configure(&callee, config, Change::Put).await?;
        }
        if let Some(before) = self.linked.take() {
            self.control.link_del(&echo(&before)).await?;
        }
        self.link(&callee, Change::Put).await?;
        let counts = Link::new(&callee.id, &tally(number), "inhost:demo", "tally");
        self.control.link_put(&counts).await?;
        Ok(callee)
    }

    /// Sends a command about a component. Returns whether the host accepts it.
    pub(crate) async fn command(
        &self,
        operation: &str,
        callee: &Callee,
        mut command: Value,
    ) -> bool {
        command["host_id"] = json!(self.host.id());
        command["component_id"] = json!(callee.id);
        let operation = format!("component.{operation}.{}", self.host.id());
        self.control.request(&operation, &command).await.is_ok()
    }

    pub(crate) async fn link(&mut self, callee: &Callee, change: Change) -> anyhow::Result<()> {
        let link = echo(&callee.id);
        match change {
            Change::Put => {
                self.linked = Some(callee.id.clone());
                self.control.link_put(&link).await
            }
            Change::Del => {
                self.linked = None;
                self.control.link_del(&link).await
            }
        }
    }

    pub(crate) async fn configure(
        &self,
        callee: &Callee,
        config: Config,
        change: Change,
    ) -> anyhow::Result<()> {
        for name in config.names(callee.number) {
            match change {
                Change::Put => {
                    let value = self.client.new_inbox();
                    self.control.config_put(&name, &[("value", &value)]).await?;
                }
                Change::Del => {
                    let operation = format!("config.del.{name}");
                    self.control.request(&operation, &Value::Null).await?;
                }
            }
        }
        Ok(())
    }

    /// Changes what the policy service decides, and what it has decided about components of programs.
    pub(crate) async fn permit(&self, change: Change) -> anyhow::Result<()> {
        let permits = change == Change::Put;
        if self.permits.swap(permits, Ordering::Relaxed) == permits {
            return Ok(());
        }
        // Of requests with the same answer in the host's memory, the last one counts.
        let mut requests = BTreeMap::new();
        for request in self.policy.requests_of("startComponent") {
            let about = |name: &str| request["request"][name].to_string();
            requests.insert((about("componentId"), about("imageRef")), request);
        }
        for request in requests.values() {
            PolicyService::change(&self.client, POLICY_CHANGES, request, permits).await?;
        }
        Ok(())
    }

    /// The numbers of instances that the policy service was asked about.
    pub(crate) fn asked(&self, callee: &Callee) -> Vec<u64> {
        let requests = self.policy.requests_of("startComponent");
        let requests = requests.iter().map(|it| &it["request"]);
        let ours = requests.filter(|it| it["componentId"] == callee.id.as_str());
        ours.filter_map(|it| it["maxInstances"].as_u64()).collect()
    }

    pub(crate) async fn let_publish(&self, change: Change) -> anyhow::Result<()> {
        self.nats.reload(&nats_config(change)).await
    }

    /// Kills the NATS server, starts it again, and waits until the host answers.
    pub(crate) async fn cut(&self) -> anyhow::Result<()> {
        self.nats.kill();
        tokio::time::sleep(AWAY).await;
        self.nats.restart().await?;
        let what = "the host does not answer after its NATS server was away";
        until(what, BACK, async || {
            Ok(self
                .control
                .ping()
                .await
                .is_ok_and(|hosts| !hosts.is_empty()))
        })
        .await
    }

    /// The reference and the number of instances that the host has on record.
    pub(crate) async fn record(&self, callee: &Callee) -> anyhow::Result<Option<(String, u32)>> {
        let inventory = self.control.inventory(self.host.id()).await?;
        let component = inventory.component(&callee.id);
        Ok(component.map(|it| (it.image_ref.clone(), it.max_instances)))
    }

    /// Whether the lattice has the link from the caller.
    pub(crate) async fn is_linked(&self, callee: &Callee) -> anyhow::Result<bool> {
        Ok(self.control.links().await?.contains(&echo(&callee.id)))
    }

    /// The events about a component since this was called last.
    pub(crate) fn events(&self, callee: &Callee) -> Vec<Event> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = std::mem::take(&mut *events);
        events.retain(|it| it.component == callee.id);
        events
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.hears.abort();
    }
}

/// The id of the tally at which the component with this number counts.
pub(crate) fn tally(number: usize) -> String {
    format!("tally-{number}")
}

/// The host that is compared with.
pub(crate) fn stock() -> anyhow::Result<HostBuilder> {
    let binary: PathBuf = inhost_testbed::stock_host()?;
    Ok(Host::stock(binary))
}

fn echo(callee: &str) -> Link {
    Link::new(CALLER, callee, "inhost:demo", "echo")
}

/// `publishes` is about `component.scale` and those who do not say who they are: the host.
fn nats_config(publishes: Change) -> String {
    let deny = match publishes {
        Change::Put => "",
        Change::Del => r#""wasmbus.ctl.v1.*.component.scale.>""#,
    };
    format!(
        "authorization {{ users: [ \
           {{ user: anyone, password: anyone, permissions: {{ publish: {{ deny: [{deny}] }} }} }}, \
           {{ user: {OUTSIDE}, password: {OUTSIDE} }} \
         ] }}\nno_auth_user: anyone\n"
    )
}

/// Records events of the host.
async fn hear(
    client: &async_nats::Client,
    events: &Arc<Mutex<Vec<Event>>>,
) -> anyhow::Result<JoinHandle<()>> {
    let mut messages = client.subscribe(format!("wasmbus.evt.{LATTICE}.>")).await?;
    let events = Arc::clone(events);
    settle(client).await?;
    Ok(tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            if let Some(event) = Event::read(&message) {
                events
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(event);
            }
        }
    }))
}

/// Checks that two worlds can be compared.
pub(crate) fn ensure_alike(stock: &World, ours: &World) -> anyhow::Result<()> {
    ensure!(
        stock.host.id() != ours.host.id(),
        "one host is compared with itself"
    );
    Ok(())
}
