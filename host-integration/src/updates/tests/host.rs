//! What the host library does with the commands about components, as far as the watch can see it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, Event};
use futures::StreamExt as _;
use inhost_testbed::{settle, NatsServer};
use serde_json::{json, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::RwLock;
use tokio::task::{AbortHandle, JoinSet};
use wrpc_transport::{Invoke as _, Serve as _};
use wrpc_transport_nats::local::{Config, Local};
use wrpc_transport_nats::Client as Transport;

use super::super::host::{Host, Place, Trouble};
use super::super::{watch, Heard};

pub(crate) const ID: &str = "callee";
/// Another component, of which the host says that it runs.
const OTHER: &str = "other";
/// The code that exports nothing.
pub(crate) const NOTHING: &str = "nothing";
const INSTANCE: &str = "inhost:test/callee";

/// A host that runs one component, and the watch beside it.
pub(crate) struct Simulated {
    pub(crate) local: Local,
    shared: Arc<Shared>,
    trouble: Trouble,
    _tasks: JoinSet<()>,
}

struct Shared {
    lattice: Arc<str>,
    control: Client,
    rpc: Arc<Client>,
    local: Local,
    component: RwLock<Option<Record>>,
    /// The numbers of instances that the policy service was asked for.
    asked: Mutex<Vec<u64>>,
    /// How others scaled it last.
    chosen: Mutex<Option<(u64, Vec<String>)>>,
    denies: AtomicBool,
    /// Milliseconds that it takes to fetch an image.
    fetching: AtomicU64,
    /// What serves without a handle: it ends with this.
    left: Mutex<JoinSet<()>>,
}

/// What the host has on record.
#[derive(Clone)]
struct Record {
    reference: String,
    code: String,
    count: u64,
    config: Vec<String>,
    serves: AbortHandle,
}

impl Simulated {
    /// A host with a connection of its own, and a lattice for itself on a server.
    pub(crate) async fn start(nats: &NatsServer, config: Config) -> Self {
        let watched = nats.client().await.expect("a connection");
        Self::start_with(nats, config, watched).await
    }

    /// As [`Self::start`], with the connection of the watch.
    pub(crate) async fn start_with(nats: &NatsServer, config: Config, watched: Client) -> Self {
        static HOSTS: AtomicU64 = AtomicU64::new(0);
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let lattice: Arc<str> = format!("lattice-{number}").into();
        let local = Local::new(config).expect("the default backend");
        let (control, rpc) = (nats.client().await, nats.client().await);
        let shared = Arc::new(Shared {
            lattice: Arc::clone(&lattice),
            control: control.expect("a connection"),
            rpc: Arc::new(rpc.expect("a connection")),
            local: local.clone(),
            component: RwLock::default(),
            asked: Mutex::default(),
            chosen: Mutex::default(),
            denies: AtomicBool::default(),
            fetching: AtomicU64::default(),
            left: Mutex::default(),
        });
        let place = Place {
            host_id: "HOST".into(),
            topic: format!("wasmbus.ctl.v1.{lattice}"),
            lattice: Arc::clone(&lattice),
        };
        let trouble = Trouble::default();
        let watched = Host::new(watched, place, local.clone(), trouble.clone());
        let watched = Arc::new(watched);
        let heard = Heard::subscribe(&watched).await.expect("subscribed");
        settle(watched.client()).await.expect("subscribed");
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(watched, heard));
        let commands = format!("wasmbus.ctl.v1.{lattice}.*.*.HOST");
        let commands = shared.control.subscribe(commands).await;
        let mut commands = commands.expect("subscribed");
        settle(&shared.control).await.expect("subscribed");
        let host = Arc::clone(&shared);
        tasks.spawn(async move {
            while let Some(message) = commands.next().await {
                let reply = message.reply.expect("a request");
                let command = serde_json::from_slice(&message.payload).expect("a command");
                let operation = message.subject.split('.').nth(5).expect("one").to_owned();
                let answer = Arc::clone(&host).command(&operation, command).await;
                let answer = serde_json::to_vec(&answer).expect("JSON");
                let sent = host.control.publish(reply, answer.into()).await;
                sent.expect("sent");
            }
        });
        Self {
            local,
            shared,
            trouble,
            _tasks: tasks,
        }
    }

    /// Sends a command, which the host answers before it carries it out.
    pub(crate) async fn command(&self, operation: &str, command: Value) {
        let lattice = &self.shared.lattice;
        let subject = format!("wasmbus.ctl.v1.{lattice}.component.{operation}.HOST");
        let command = serde_json::to_vec(&command).expect("JSON");
        let answer = self.shared.control.request(subject, command.into()).await;
        answer.expect("an answer");
    }

    pub(crate) async fn scale(&self, reference: &str, count: u64, config: &[&str]) {
        let command = json!({
            "component_id": ID, "component_ref": reference, "count": count, "config": config,
            "allow_update": true,
        });
        self.command("scale", command).await;
    }

    /// As [`Self::scale`], of which the host takes the reference and leaves the code.
    pub(crate) async fn scale_only(&self, reference: &str, count: u64, config: &[&str]) {
        let command = json!({
            "component_id": ID, "component_ref": reference, "count": count, "config": config,
        });
        self.command("scale", command).await;
    }

    pub(crate) async fn update(&self, reference: &str) {
        let command = json!({ "component_id": ID, "new_component_ref": reference });
        self.command("update", command).await;
    }

    /// Starts another component.
    pub(crate) async fn start_other(&self) {
        let command = json!({ "component_id": OTHER, "component_ref": "v1", "count": 1 });
        self.command("scale", command).await;
        let shared = &self.shared;
        shared
            .event_of(OTHER, "component_scaled", "v1", 1, "")
            .await;
    }

    /// An update of the other component, which fails.
    pub(crate) async fn update_other(&self) {
        let command = json!({ "component_id": OTHER, "new_component_ref": "bad" });
        self.command("update", command).await;
    }

    /// Says of a component that there is not, as the host, that it was not scaled.
    pub(crate) async fn make_up(&self, id: &str, error: &str) {
        let shared = &self.shared;
        shared
            .event_of(id, "component_scale_failed", "v1", 1, error)
            .await;
    }

    /// The connection of the watch is there again, after it was lost.
    pub(crate) fn reconnected(&self) {
        self.trouble.note(Event::Connected);
    }

    pub(crate) fn deny(&self, denies: bool) {
        self.shared.denies.store(denies, Ordering::Relaxed);
    }

    pub(crate) fn fetching_takes(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).expect("not so long");
        self.shared.fetching.store(time, Ordering::Relaxed);
    }

    pub(crate) fn asked(&self) -> Vec<u64> {
        self.shared.asked.lock().expect("no panic").clone()
    }

    /// As [`Self::on_record`], as others scaled it last.
    pub(crate) fn chosen(&self) -> Option<(u64, Vec<String>)> {
        self.shared.chosen.lock().expect("no panic").clone()
    }

    /// The number of instances on record, and the names of the configuration.
    pub(crate) async fn on_record(&self) -> Option<(u64, Vec<String>)> {
        let component = self.shared.component.read().await;
        let record = component.as_ref()?;
        Some((record.count, record.config.clone()))
    }

    /// The reference on record.
    pub(crate) async fn reference(&self) -> Option<String> {
        let component = self.shared.component.read().await;
        component.as_ref().map(|record| record.reference.clone())
    }

    /// Which version answers to `function`.
    pub(crate) async fn call(&self, function: &str) -> Result<String, String> {
        let prefix = format!("{}.{ID}", self.shared.lattice);
        let caller = Transport::with_local(Arc::clone(&self.shared.rpc), prefix, None, &self.local);
        let paths: [&[Option<usize>]; 0] = [];
        let call = async {
            let call = caller.invoke(None, INSTANCE, function, "".into(), paths);
            let (mut params, mut results) = call.await?;
            params.shutdown().await?;
            let mut answer = String::new();
            results.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), call).await;
        let answer = answer.map_err(|_| String::from("no answer"))?;
        answer.map_err(|error| format!("{error:#}"))
    }

    /// Waits until `version` answers.
    pub(crate) async fn until_serves(&self, version: &str) {
        until(&format!("{version} serves"), || async {
            self.call("version").await.as_deref() == Ok(version)
        })
        .await;
    }

    /// The reference of the code that is on record, when that is what is on record and what serves.
    pub(crate) async fn serving(&self) -> Option<String> {
        let record = self.shared.component.read().await.clone()?;
        let serves = self.call("version").await.ok()?;
        let all_one = record.reference == record.code && serves == record.code;
        all_one.then_some(serves)
    }

    pub(crate) fn generations(&self) -> usize {
        self.local
            .generations()
            .iter()
            .map(|it| it.numbers.len())
            .sum()
    }
}

/// Waits for a condition.
pub(crate) async fn until<F: std::future::Future<Output = bool>>(
    what: &str,
    mut is: impl FnMut() -> F,
) {
    let wait = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    waited.unwrap_or_else(|_| panic!("waited too long until {what}"));
}

impl Shared {
    async fn command(self: Arc<Self>, operation: &str, command: Value) -> Value {
        let mut message = "";
        match operation {
            "get" => return self.inventory().await,
            // Nothing of it can be loaded.
            _ if command["component_id"] == OTHER => {}
            "scale" => {
                let component = self.component.read().await;
                if component
                    .as_ref()
                    .is_some_and(|it| it.reference != command["component_ref"])
                {
                    message = "the reference is another one";
                }
                drop(component);
                tokio::spawn(async move {
                    let (count, reference) = (&command["count"], &command["component_ref"]);
                    let count = count.as_u64().unwrap_or_default();
                    let name = reference.as_str().expect("a reference");
                    match Arc::clone(&self).scale(&command, count).await {
                        Ok(named) => self.event("component_scaled", &named, count, "").await,
                        Err(why) => {
                            self.event("component_scale_failed", name, count, why).await;
                            return;
                        }
                    }
                    let changed = {
                        let component = self.component.read().await;
                        component
                            .as_ref()
                            .is_some_and(|it| it.reference != *reference)
                    };
                    if changed && command["allow_update"] == true {
                        self.update(reference.as_str().expect("a reference")).await;
                    }
                });
            }
            "update" => {
                let reference = command["new_component_ref"].as_str().map(String::from);
                tokio::spawn(async move { self.update(&reference.expect("one")).await });
            }
            operation => panic!("{operation}"),
        }
        json!({ "success": true, "message": message, "response": null })
    }

    async fn inventory(&self) -> Value {
        let component = self.component.read().await;
        let components = component
            .iter()
            .map(|it| json!({ "id": ID, "image_ref": it.reference, "max_instances": it.count }));
        let components: Vec<_> = components.collect();
        json!({ "success": true, "message": "", "response": { "components": components } })
    }

    async fn event(&self, name: &str, reference: &str, count: u64, error: &str) {
        self.event_of(ID, name, reference, count, error).await;
    }

    async fn event_of(&self, id: &str, name: &str, reference: &str, count: u64, error: &str) {
        let event = json!({ "data": {
            "host_id": "HOST", "component_id": id, "image_ref": reference, "max_instances": count,
            "error": error,
        }});
        let event = serde_json::to_vec(&event).expect("JSON");
        let subject = format!("wasmbus.evt.{}.{name}", self.lattice);
        self.control
            .publish(subject, event.into())
            .await
            .expect("published");
    }

    async fn fetch(&self) {
        let time = self.fetching.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(time)).await;
    }

    /// Returns the reference that the event names.
    async fn scale(self: Arc<Self>, command: &Value, count: u64) -> Result<String, &'static str> {
        self.fetch().await;
        self.asked.lock().expect("no panic").push(count);
        if self.denies.load(Ordering::Relaxed) {
            return Err("policy denied it");
        }
        let config: Vec<String> = serde_json::from_value(command["config"].clone()).expect("names");
        let reference = command["component_ref"].as_str().expect("a reference");
        let mut component = self.component.write().await;
        let named = component.as_ref().map(|it| it.reference.clone());
        let named = named.unwrap_or_else(|| reference.into());
        let same = component
            .as_ref()
            .is_some_and(|it| it.count == count && it.config == config);
        if count > 0 && !same && config.iter().any(|name| name == "missing") {
            return Err("no such configuration");
        }
        if command["takes_effect"].is_null() {
            *self.chosen.lock().expect("no panic") = (count > 0).then(|| (count, config.clone()));
        }
        if count == 0 {
            component.take().inspect(|it| it.serves.abort());
        } else if !same {
            let code = component
                .as_ref()
                .map_or(reference, |it| &it.code)
                .to_owned();
            let serves = self.serve(&code).await;
            let made = Record {
                reference: reference.into(),
                code,
                count,
                config,
                serves,
            };
            if component.is_none() {
                self.event("component_scaled", reference, count, "").await;
            }
            component.replace(made).inspect(|it| it.serves.abort());
        }
        Ok(named)
    }

    async fn update(&self, reference: &str) {
        let updated = {
            let component = self.component.read().await;
            let Some(before) = component.as_ref().filter(|it| it.reference != reference) else {
                return;
            };
            self.fetch().await;
            if reference == "bad" {
                return;
            }
            let serves = self.serve(reference).await;
            tokio::task::yield_now().await;
            self.event("component_scaled", reference, before.count, "")
                .await;
            serves.abort();
            self.event("component_scaled", reference, 0, "").await;
            Record {
                reference: reference.into(),
                code: reference.into(),
                serves,
                ..before.clone()
            }
        };
        *self.component.write().await = Some(updated);
    }

    /// A version answers `version` with its name. One with a `+` in its name has a function of that name, too.
    async fn serve(&self, code: &str) -> AbortHandle {
        let prefix: Arc<str> = format!("{}.{ID}", self.lattice).into();
        let group = Some(Arc::clone(&prefix));
        let client = Transport::with_local(Arc::clone(&self.rpc), prefix, group, &self.local);
        let mut served = Vec::new();
        let functions = ["version"]
            .into_iter()
            .chain(code.contains('+').then_some(code))
            .filter(|_| code != NOTHING);
        for function in functions {
            let calls = client.serve(INSTANCE, function, []).await.expect("serve");
            served.push(calls.boxed());
        }
        let code = code.to_owned();
        let mut calls = futures::stream::select_all(served);
        self.left.lock().expect("no panic").spawn(async move {
            while let Some(call) = calls.next().await {
                let (_, mut results, _) = call.expect("a call");
                results.write_all(code.as_bytes()).await.expect("results");
                results.shutdown().await.expect("the end of them");
            }
        })
    }
}
