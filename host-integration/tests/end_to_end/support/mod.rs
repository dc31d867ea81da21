//! A host for each way that calls can go.

pub(crate) mod callers;
pub(crate) mod load;
pub(crate) mod rounds;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use inhost_testbed::Route;
use inhost_testbed::{
    reference, write_component, Binaries, Counts, Deployment, Driver, Guest, HeldTally, Host,
    HostBuilder, NatsServer, Tally, CALLEE, CALLER, DEFAULT_COUNT,
};

/// Makes each of these a test on each route of [`Route::OURS`] or [`Route::LOCAL`], with a name of
/// its own: `NAME::duplex`.
macro_rules! on_routes {
    (OURS: $($test:ident),* $(,)?) => {
        $(on_routes! { $test: nats = Nats, duplex = Duplex, mpsc = Mpsc })*
    };
    (LOCAL: $($test:ident),* $(,)?) => {
        $(on_routes! { $test: duplex = Duplex, mpsc = Mpsc })*
    };
    ($test:ident: $($name:ident = $route:ident),*) => {
        mod $test {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$test($crate::support::Route::$route).await
            })*
        }
    };
}
pub(crate) use on_routes;

/// A call that is answered takes far less; one that hangs is caught.
pub(crate) const PROMPTLY: Duration = Duration::from_secs(5);

/// Hosts of the binary that these tests are about.
pub(crate) trait Hosts: Sized {
    /// Such a host.
    fn host(self) -> HostBuilder;

    /// Such a host on a nats-server that others may use too.
    async fn start_on(self, nats: &Arc<NatsServer>) -> Deployment {
        Deployment::start_on(Arc::clone(nats), self.host())
            .await
            .expect("the host starts")
    }

    /// The callee and the caller on such a host, linked.
    async fn start_pair_on(self, nats: &Arc<NatsServer>) -> Deployment {
        let deployment = self.start_on(nats).await;
        let deployed = deployment.deploy_pair().await;
        deployed.expect("callee and caller are deployed and linked");
        deployment
    }

    /// The same on a nats-server of its own, and what calls the caller.
    async fn pair(self) -> anyhow::Result<(Deployment, Driver)> {
        let deployment = self.start_pair_on(&nats().await).await;
        let driver = deployment.driver().await?;
        Ok((deployment, driver))
    }
}

impl Hosts for HostBuilder {
    fn host(self) -> HostBuilder {
        self
    }
}

impl Hosts for Route {
    /// A host whose calls go this way, in a lattice of its own.
    fn host(self) -> HostBuilder {
        let binaries = Binaries {
            host: env!("CARGO_BIN_EXE_wasmcloud").into(),
            stock: None,
        };
        self.builder(&binaries).expect("it is a way of ours")
    }
}

/// A nats-server.
pub(crate) async fn nats() -> Arc<NatsServer> {
    Arc::new(NatsServer::start().await.expect("nats-server starts"))
}

/// The tally that the callee counts at, linked to it.
pub(crate) async fn tally(deployment: &Deployment) -> Tally {
    link_tally(deployment).await;
    let tally = Tally::serve(deployment.client(), deployment.lattice(), "tally").await;
    tally.expect("the tally is served")
}

/// The same, of which calls wait until they are let go on.
pub(crate) async fn held_tally(deployment: &Deployment) -> HeldTally {
    link_tally(deployment).await;
    let tally = HeldTally::serve(deployment.client(), deployment.lattice(), "tally").await;
    tally.expect("the tally is served")
}

async fn link_tally(deployment: &Deployment) {
    let linked = deployment.link(CALLEE, "tally", "tally").await;
    linked.expect("linked");
}

/// How many calls of a host's components went in memory, and how many over NATS.
pub(crate) async fn calls(host: &Host) -> (u64, u64) {
    let Counts { local, remote } = host.counts().await.expect("the host lists its calls");
    (local, remote)
}

/// Checks that the calls of a host's components went the way that was asked for, and how many they were.
pub(crate) async fn assert_calls(route: Route, host: &Host, expected: u64) {
    let expected = match route.is_local() {
        false => (0, expected),
        true => (expected, 0),
    };
    assert_eq!(
        calls(host).await,
        expected,
        "(local, remote) calls over {route:?}"
    );
}

/// The entries of a log: an error goes on in lines of its own, which do not begin with the time.
pub(crate) fn entries(lines: &[String]) -> impl Iterator<Item = String> + '_ {
    let begins = |line: &String| line.starts_with("20");
    lines
        .chunk_by(move |_, next| !begins(next))
        .map(|entry| entry.join("\n"))
}

/// How many calls wait at the callee.
pub(crate) async fn queued(host: &Host) -> u64 {
    let status = host.status().await.expect("the host lists what it serves");
    let endpoints = status["endpoints"].as_array().expect("a list");
    let prefix = format!("{}.{CALLEE}", host.lattice());
    let callee = endpoints.iter().filter(|e| e["prefix"] == prefix.as_str());
    callee
        .map(|e| e["queued"].as_u64().expect("a number"))
        .sum()
}

/// Waits until `holds`, and panics with `what` if it does not do so soon.
pub(crate) async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PROMPTLY, what, holds).await;
}

/// The same, with another limit.
pub(crate) async fn until_within(
    within: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let held = inhost_testbed::until(what, within, async || Ok(holds().await));
    held.await.unwrap_or_else(|error| panic!("{error}"));
}

/// Waits for `future`, and panics with `what` if it is not ready soon.
pub(crate) async fn promptly<T>(what: impl fmt::Display, future: impl Future<Output = T>) -> T {
    let ready = tokio::time::timeout(PROMPTLY, future).await;
    ready.unwrap_or_else(|_| panic!("{what}, {PROMPTLY:?} later"))
}

/// Waits until a host has no function of a component listed any more. What serves a component ends a moment after the
/// command to stop it was answered.
pub(crate) async fn until_not_listed(host: &Host, id: &str) {
    let prefix = format!("{}.{id}", host.lattice());
    until(&format!("`{id}` is still listed"), async || {
        let status = host.status().await.expect("the host lists what it serves");
        let endpoints = status["endpoints"].as_array().expect("a list");
        endpoints.iter().all(|it| it["prefix"] != prefix.as_str())
    })
    .await;
}

/// Writes a component to `folder`, and returns the reference by which a host starts it.
pub(crate) fn component(folder: &Path, name: &str, text: &str) -> String {
    let file = write_component(folder, name, text);
    file.and_then(|file| reference(&file)).expect("a component")
}

/// Deploys the component `callee` as the callee, and the caller, linked to it.
pub(crate) async fn deploy_pair_with(deployment: &Deployment, callee: &str) -> Driver {
    let host = deployment.host();
    let deployed = deployment.deploy_on(host, callee, CALLEE, DEFAULT_COUNT);
    deployed.await.expect("deployed");
    let deployed = deployment.deploy(Guest::Caller, CALLER, DEFAULT_COUNT);
    deployed.await.expect("deployed");
    let linked = deployment.link(CALLER, CALLEE, "echo").await;
    linked.expect("linked");
    deployment.driver().await.expect("the caller")
}

/// Adds a host whose calls go this way, with the callee on it.
pub(crate) async fn add_host_with_callee(deployment: &mut Deployment, route: Route) {
    let second = deployment
        .add_host(route.host())
        .await
        .expect("a second host");
    let callee = Guest::Callee.reference().expect("the callee");
    deployment
        .deploy_on(&deployment.hosts()[second], &callee, CALLEE, 10)
        .await
        .expect("deployed");
}
