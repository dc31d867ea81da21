//! A host that is started through the library, in this process.
//!
//! It is a test binary of its own because in-host invocation is configured once in a process.
#![cfg(any(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

use std::time::Duration;

use inhost::{local, Host, HostConfig, StartError};
use inhost_testbed::{
    until, Control, Driver, Guest, Link, NatsServer, Peer, CALLEE, CALLER, DRIVER, ECHO,
};
use tokio::time::timeout;

const LATTICE: &str = "embedded";

/// What is waited for takes far less. Components are compiled by a debug build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the function is served in memory.
async fn until_served(host: &Host, id: &str, instance: &str, function: &str) {
    let prefix = format!("{LATTICE}.{id}");
    let what = format!("no one serves {instance}.{function}");
    let served = until(&what, PATIENCE, async || {
        let endpoints = host.status().endpoints;
        Ok(endpoints.iter().any(|it| {
            *it.prefix == prefix && &*it.instance == instance && &*it.function == function
        }))
    });
    served.await.expect("it is served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_runs_in_this_process_and_makes_calls_in_memory() {
    let wrong = Host::builder().nats("no url").start().await;
    assert!(
        matches!(wrong, Err(StartError::Address { .. })),
        "{wrong:?}"
    );

    let nats = NatsServer::start().await.expect("nats-server starts");
    let backend = local::BackendKind::compiled_in().first().copied();
    let builder = || {
        let config = HostConfig {
            allow_file_load: true,
            ..HostConfig::default()
        };
        let local = local::Config {
            backend,
            ..local::Config::default()
        };
        Host::builder()
            .config(config)
            .nats(nats.url())
            .lattice(LATTICE)
            .local(local)
    };
    let host = builder().start().await.expect("the host starts");
    let again = builder().start().await;
    assert!(
        matches!(
            again,
            Err(StartError::Local(local::InstallError::AlreadyInstalled))
        ),
        "{again:?}"
    );

    let client = nats.client().await.expect("a connection");
    let control = Control::new(client.clone(), LATTICE);
    for (guest, id, instance, function) in [
        (Guest::Callee, CALLEE, ECHO, "ping"),
        (Guest::Caller, CALLER, DRIVER, "ping"),
    ] {
        let reference = guest.reference().expect("the guest is built");
        let started = control.scale(host.id(), &reference, id, 2).await;
        started.expect("started");
        until_served(&host, id, instance, function).await;
    }
    let link = Link::new(CALLER, CALLEE, "inhost:demo", "echo");
    control.link_put(&link).await.expect("linked");
    let peer = Peer::new(&client, LATTICE, CALLER).await;
    let driver = Driver::new(peer.expect("a connection"));

    let before = host.status().calls.local;
    assert_eq!(driver.ping(41).await.expect("it answers"), 42);
    assert_eq!(host.status().calls.local, before + 1);

    for id in [CALLER, CALLEE] {
        let stopped = control.stop_component(host.id(), id).await;
        stopped.expect("stopped");
    }
    let shutdown = timeout(PATIENCE, host.shut_down()).await;
    shutdown.expect("in time").expect("the host shuts down");
    nats.stop().await.expect("nats-server stops");
}
