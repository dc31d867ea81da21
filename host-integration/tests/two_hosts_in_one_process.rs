//! Two hosts in one process, this one, in lattices that have the same name but different servers: no call crosses.
//!
//! What is served in memory is listed once in a process, so only the connection keeps the two apart. It is a test
//! binary with one test because it counts the calls of the process.
#![cfg(any(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use inhost_testbed::{
    until, Control, Driver, Guest, Link, NatsServer, Peer, Tally, CALLEE, CALLER, DRIVER, ECHO,
    TALLY,
};
use nkeys::KeyPair;
use tokio::time::timeout;
use wasmcloud_host::url::Url;
use wasmcloud_host::{WasmbusHost, WasmbusHostConfig};
use wrpc_transport_nats::{invocation_subject, local};

const LATTICE: &str = "same";

/// As many instances of a component as there are simultaneous calls here, and some more.
const COUNT: u32 = 4;

/// A call that cannot be answered fails in far less.
const PROMPTLY: Duration = Duration::from_secs(5);

/// What is waited for takes far less. Components are compiled by a debug build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host in this process, with a server, a caller, a callee and a tally of its own.
struct Lattice {
    shutdown: LocalBoxFuture<'static, anyhow::Result<()>>,
    host: Arc<WasmbusHost>,
    host_id: String,
    control: Control,
    driver: Driver,
    tally: Tally,
    nats: NatsServer,
}

impl Lattice {
    async fn start() -> Self {
        let nats = NatsServer::start().await.expect("nats-server starts");
        let url = Url::parse(&nats.url()).expect("a URL");
        let key = Arc::new(KeyPair::new_server());
        let host_id = key.public_key();
        let config = WasmbusHostConfig {
            ctl_nats_url: url.clone(),
            rpc_nats_url: url,
            lattice: LATTICE.into(),
            host_key: Some(key),
            allow_file_load: true,
            ..WasmbusHostConfig::default()
        };
        let (host, shutdown) = Box::pin(WasmbusHost::new(config))
            .await
            .expect("the host starts");

        let client = nats.client().await.expect("a connection");
        let control = Control::new(client.clone(), LATTICE);
        for (guest, id, instance, function) in [
            (Guest::Callee, CALLEE, ECHO, "count"),
            (Guest::Caller, CALLER, DRIVER, "call-count"),
        ] {
            let reference = guest.reference().expect("the guest is built");
            let started = control.scale(&host_id, &reference, id, COUNT).await;
            started.expect("started");
            // The host says so over one connection and subscribes over another.
            let subject = invocation_subject(&prefix(id), instance, function);
            until_subscribed(&nats, &subject).await;
        }
        for (source, target, interface) in [(CALLER, CALLEE, "echo"), (CALLEE, "tally", "tally")] {
            let link = Link::new(source, target, "inhost:demo", interface);
            control.link_put(&link).await.expect("linked");
        }
        let tally = Tally::serve(&client, LATTICE, "tally").await;
        let tally = tally.expect("the tally is served");
        until_subscribed(&nats, &invocation_subject(&prefix("tally"), TALLY, "add")).await;
        let peer = Peer::new(&client, LATTICE, CALLER).await;
        Self {
            shutdown: Box::pin(shutdown),
            host,
            host_id,
            control,
            driver: Driver::new(peer.expect("a connection")),
            tally,
            nats,
        }
    }

    async fn shut_down(self) {
        // The host library counts on the end of the process: a component that is not stopped goes on being served.
        let inventory = self.control.inventory(&self.host_id).await;
        for component in inventory.expect("an inventory").components {
            let stopped = self.control.stop_component(&self.host_id, &component.id);
            stopped.await.expect("stopped");
        }
        // As in the binary, this handle goes before the shutdown.
        drop(self.host);
        let shutdown = timeout(PATIENCE, self.shutdown).await;
        shutdown.expect("in time").expect("the host shuts down");
        self.nats.stop().await.expect("nats-server stops");
    }
}

fn prefix(id: &str) -> String {
    format!("{LATTICE}.{id}")
}

async fn until_subscribed(nats: &NatsServer, subject: &str) {
    let what = format!("no one serves {subject}");
    let subscribed = until(&what, PATIENCE, async || {
        Ok(!nats.subscriptions(subject).await?.is_empty())
    });
    subscribed.await.expect("it is served");
}

/// How often a function of a component is listed in this process.
fn listed(id: &str, function: &str) -> usize {
    let endpoints = local::status().endpoints;
    let functions = endpoints.iter().filter(|it| *it.prefix == prefix(id));
    functions.filter(|it| &*it.function == function).count()
}

async fn until_listed(id: &str, function: &str, times: usize) {
    let what = format!("`{function}` of `{id}` is not listed {times} times");
    let done = until(&what, PATIENCE, async || Ok(listed(id, function) == times));
    done.await.expect("it is listed");
}

/// How many calls went in memory, and how many over NATS, on both hosts together.
fn calls() -> (u64, u64) {
    let calls = local::status().calls;
    (calls.local, calls.remote + calls.spilled + calls.fallback)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_crosses_from_one_host_to_another_in_the_same_process() {
    // One after the other: without scopes, the second would hide the first.
    let one = Lattice::start().await;
    let two = Lattice::start().await;
    // A function is subscribed a moment before it is listed.
    until_listed(CALLEE, "count", 2).await;
    until_listed(CALLER, "call-count", 2).await;

    for (this, other, ids) in [(&one, &two, 0..10), (&two, &one, 10..20)] {
        for id in ids.clone() {
            assert_eq!(this.driver.call_count(id).await.expect("an answer"), 1);
        }
        let counts = |tally: &Tally| ids.clone().map(|id| tally.count(id)).sum::<u64>();
        assert_eq!((counts(&this.tally), counts(&other.tally)), (10, 0));
    }
    // The callers called in memory. The tally is no component of a host, so the callees called it over NATS.
    assert_eq!(calls(), (20, 20), "(in memory, over NATS)");

    // Nor does a call cross when there is no one else to answer.
    let stopped = one.control.stop_component(&one.host_id, CALLEE).await;
    stopped.expect("stopped");
    until_listed(CALLEE, "count", 1).await;
    let answer = timeout(PROMPTLY, one.driver.call_count(20)).await;
    let answer = answer.expect("the call ends soon");
    answer.expect_err("the callee of the other host answered");
    assert_eq!((one.tally.total(), two.tally.total()), (10, 10));
    assert_eq!(calls(), (20, 21), "(in memory, over NATS)");
    let count = two.driver.call_count(21).await;
    assert_eq!(count.expect("an answer"), 1);
    assert_eq!(calls(), (21, 22), "(in memory, over NATS)");

    // A host that goes leaves the other one as it is.
    one.shut_down().await;
    until_listed(CALLER, "call-count", 1).await;
    let count = two.driver.call_count(22).await;
    assert_eq!(count.expect("an answer"), 1);
    two.shut_down().await;
    until_listed(CALLEE, "count", 0).await;
    until_listed(CALLER, "call-count", 0).await;
}
