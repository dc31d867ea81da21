//! What users do with `wash`, and what has to come of it.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{ensure, Context as _};
use inhost_testbed::{
    get_text, listens, until, Counts, Driver, Guest, NatsServer, Peer, CALLEE, CALLER, HTTP,
};
use serde_json::Value;

use super::checks::Checks;
use super::user::User;

/// How long what was asked for may take to be seen.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// How often a call is tried. The transport that `wash` is built with loses one now and then.
const ATTEMPTS: u64 = 5;

/// What all scenes are played with.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) wash: &'a Path,
    pub(super) host: &'a Path,
    pub(super) nats: &'a NatsServer,
}

impl Stage<'_> {
    pub(super) fn user(&self, lattice: &str) -> anyhow::Result<User> {
        User::new(self.wash, self.nats, lattice)
    }
}

/// A host is started, given components, and stopped; their calls are in memory.
pub(super) async fn in_memory(stage: &Stage<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    let lattice = "in-memory";
    let mut user = stage.user(lattice)?;
    checks.begin("`wash up --host-path` starts this host, with in-host invocation on");
    user.up(stage.host, &["--disable-wadm"], &[]).await?;
    let log = user.host_log();
    ensure!(
        log.contains("in-host invocation is on"),
        "its log does not say so:\n{log}"
    );

    checks.begin("`wash get hosts` lists it as version 1.5.1");
    let hosts = user.hosts().await?;
    ensure!(hosts[0]["version"] == "1.5.1", "{hosts:?}");
    ensure!(hosts[0]["lattice"] == lattice, "{hosts:?}");
    let host_id = text(&hosts[0]["id"])?;

    checks.begin("`wash start component` starts components, and `wash get inventory` lists them");
    start(&user, Guest::Callee, CALLEE).await?;
    start(&user, Guest::Http, HTTP).await?;
    start(&user, Guest::Caller, CALLER).await?;
    let inventory = user.inventory().await?;
    for id in [CALLEE, HTTP, CALLER] {
        ensure!(
            component(&inventory, id)?["max_instances"] == 10,
            "{inventory}"
        );
    }

    checks.begin("`wash link put` links them, and `wash get links` lists that");
    link(&user, HTTP).await?;
    link(&user, CALLER).await?;
    let links = user.wash(&["get", "links"]).await?;
    ensure!(count(&links["links"]) == 2, "{links}");

    checks.begin("`wash call` reaches a component whose call of another is in memory");
    call_in_memory(&user).await?;

    checks.begin("`wash scale component` changes how many instances there may be");
    let reference = Guest::Callee.reference()?;
    let max = ["--max-instances", "20"];
    let scale = ["scale", "component", &host_id, &reference, CALLEE];
    user.wash(&[&scale[..], &max[..]].concat()).await?;
    until("there are not 20 instances", DEADLINE, async || {
        let inventory = user.inventory().await?;
        Ok(component(&inventory, CALLEE)?["max_instances"] == 20)
    })
    .await?;

    checks.begin("`wash update component` updates it: calls reach the new version");
    let client = stage.nats.client().await?;
    let driver = Driver::new(Peer::new(&client, lattice, CALLER).await?);
    let version = driver.call_version().await?;
    ensure!(version == 1, "version {version} answers before the update");
    let update = ["update", "component", CALLEE];
    let reference = Guest::CalleeV2.reference()?;
    user.wash(&[&update[..], &[&reference]].concat()).await?;
    until("version 1 answers still", DEADLINE, async || {
        Ok(driver.call_version().await? == 2)
    })
    .await?;
    let calls = Counts::read(&user.listing().await?)?;
    ensure!(calls.remote == 0, "calls went over NATS: {calls:?}");

    checks.begin("`wash link del` takes a link away");
    let link = [
        "link",
        "del",
        HTTP,
        "inhost",
        "demo",
        "--link-name",
        "default",
    ];
    user.wash(&link).await?;
    let links = user.wash(&["get", "links"]).await?;
    ensure!(count(&links["links"]) == 1, "{links}");

    checks.begin("`wash stop component` stops one");
    user.wash(&["stop", "component", CALLEE]).await?;
    until("it is still listed", DEADLINE, async || {
        Ok(component(&user.inventory().await?, CALLEE).is_err())
    })
    .await?;

    checks.begin("`wash down` stops the host");
    user.wash(&["down"]).await?;
    user.host_is_gone().await
}

/// The variable that turns in-host invocation off reaches the host.
pub(super) async fn off(stage: &Stage<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    checks.begin("with WASMCLOUD_LOCAL_DISPATCH=off, calls go over NATS");
    let variable = ("WASMCLOUD_LOCAL_DISPATCH", "off");
    let mut user = with_linked_pair(stage, "off", variable).await?;
    call(&user).await?;
    let calls = Counts::read(&user.listing().await?)?;
    ensure!(calls.local == 0 && calls.remote > 0, "{calls:?}");

    checks.begin("`wash stop host` stops the host");
    let id = text(&user.hosts().await?[0]["id"])?;
    user.wash(&["stop", "host", &id]).await?;
    user.host_is_gone().await
}

/// The built-in HTTP server is started, configured and linked.
pub(super) async fn http_server(stage: &Stage<'_>, checks: &mut Checks) -> anyhow::Result<()> {
    checks.begin("`wash config put` and `wash start provider` start the built-in HTTP server");
    let variable = ("WASMCLOUD_EXPERIMENTAL_FEATURES", "builtin-http-server");
    let mut user = with_linked_pair(stage, "http", variable).await?;
    // The server takes its address from a configuration, so it has to be known before.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let entry = format!("address={address}");
    user.wash(&["config", "put", "http-address", &entry])
        .await?;
    let server = "http-server";
    // Without waiting: the event that `wash` would wait for names a built-in provider otherwise
    // than it was named to the host, as that of a stock host does.
    let provider = ["wasmcloud+builtin://http-server", server, "--skip-wait"];
    user.wash(&[&["start", "provider"][..], &provider[..]].concat())
        .await?;
    until("the provider is not listed", DEADLINE, async || {
        Ok(count(&user.inventory().await?["providers"]) == 1)
    })
    .await?;
    let link = ["link", "put", server, HTTP, "wasi", "http"];
    let what = [
        "--interface",
        "incoming-handler",
        "--source-config",
        "http-address",
    ];
    user.wash(&[&link[..], &what[..]].concat()).await?;

    checks.begin("a request to it reaches a component whose call of another is in memory");
    listens(address, DEADLINE).await?;
    let body = get_text(address, "/ping?n=41").await?;
    ensure!(body == "42", "the answer is {body:?}");
    in_memory_only(&user, 1..=1).await?;

    checks.begin("`wash stop provider` stops the server, and `wash down` the host");
    user.wash(&["stop", "provider", server]).await?;
    until("the provider is still listed", DEADLINE, async || {
        Ok(count(&user.inventory().await?["providers"]) == 0)
    })
    .await?;
    user.wash(&["down"]).await?;
    user.host_is_gone().await
}

/// A user whose host is up with `variable`, and has a component that answers HTTP requests with what the callee says.
async fn with_linked_pair(
    stage: &Stage<'_>,
    lattice: &str,
    variable: (&str, &str),
) -> anyhow::Result<User> {
    let mut user = stage.user(lattice)?;
    user.up(stage.host, &["--disable-wadm"], &[variable])
        .await?;
    start(&user, Guest::Callee, CALLEE).await?;
    start(&user, Guest::Http, HTTP).await?;
    link(&user, HTTP).await?;
    Ok(user)
}

/// Starts a guest as `id`, with at most 10 instances.
async fn start(user: &User, guest: Guest, id: &str) -> anyhow::Result<()> {
    let reference = guest.reference()?;
    let start = ["start", "component", &reference, id];
    let max = ["--max-instances", "10"];
    user.wash(&[&start[..], &max[..]].concat()).await.map(drop)
}

/// Links `source` to the callee.
async fn link(user: &User, source: &str) -> anyhow::Result<()> {
    let link = ["link", "put", source, CALLEE, "inhost", "demo"];
    let what = ["--interface", "echo"];
    user.wash(&[&link[..], &what[..]].concat()).await.map(drop)
}

/// Sends an HTTP request to the component [`HTTP`], which calls the callee. Its call has to be the
/// first of the host, and in memory.
pub(super) async fn call_in_memory(user: &User) -> anyhow::Result<()> {
    let attempts = call(user).await?;
    in_memory_only(user, 1..=attempts).await
}

/// Fails unless so many calls were made on the host, all of them in memory.
async fn in_memory_only(
    user: &User,
    expected: std::ops::RangeInclusive<u64>,
) -> anyhow::Result<()> {
    let calls = Counts::read(&user.listing().await?)?;
    ensure!(
        expected.contains(&calls.local) && calls.remote == 0,
        "{expected:?} calls in memory were expected; the host has counted {calls:?}"
    );
    Ok(())
}

/// Sends an HTTP request to the component [`HTTP`] and checks the answer. Returns how many attempts it took.
async fn call(user: &User) -> anyhow::Result<u64> {
    // There is no option for path and query. What is given as the host is put before the port, so they go there.
    let url = ["--http-host", "localhost/ping?n=41&port="];
    let call = ["call", HTTP, "wrpc:http/incoming-handler.handle"];
    let call = [&call[..], &url[..], &["--rpc-timeout-ms", "10000"]].concat();
    let mut attempt = 1;
    let answer = loop {
        match user.wash(&call).await {
            Ok(answer) => break answer,
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    };
    let response = &answer["response"];
    ensure!(
        response["status"] == 200 && response["body"] == "42",
        "the answer is {response}"
    );
    Ok(attempt)
}

/// The component `id` in the inventory of a host.
fn component<'a>(inventory: &'a Value, id: &str) -> anyhow::Result<&'a Value> {
    let components = inventory["components"].as_array().into_iter().flatten();
    let mut components = components.filter(|component| component["id"] == id);
    components
        .next()
        .with_context(|| format!("{id} is not in the inventory: {inventory}"))
}

/// The length of a list, 0 for what is none.
pub(super) fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

fn text(value: &Value) -> anyhow::Result<String> {
    let text = value.as_str();
    Ok(text
        .with_context(|| format!("{value} is not a text"))?
        .to_owned())
}
