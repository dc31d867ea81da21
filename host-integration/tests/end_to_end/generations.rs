//! Updates, scales and stops never make anything worse than it is on a stock host.
//!
//! What the watch does step by step is in `src/updates/tests` of the host; this is the host library itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use inhost_testbed::{
    settle, Control, Decision, Deployment, Driver, Guest, Host, HostBuilder, NatsServer,
    PolicyService, CALLEE, DEFAULT_COUNT, ECHO,
};
use nkeys::KeyPair;
use serde_json::{json, Value};
use tokio::task::JoinSet;

use crate::support::callers::Callers;
use crate::support::{
    held_tally, nats, on_routes, queued, until, until_not_listed, until_within, Hosts as _, Route,
    PROMPTLY,
};

on_routes! { LOCAL:
    an_update_that_is_refused_leaves_the_old_version_and_says_why,
    after_a_stop_no_version_of_an_updated_component_answers,
    a_denied_update_leaves_nothing_that_the_host_remembers,
    policy_is_asked_for_no_number_that_was_not_chosen,
    code_that_is_denied_does_not_serve_under_another_reference,
    what_the_new_version_does_not_export_is_not_served_any_more,
    what_waits_is_begun_once_through_updates_and_scales,
    the_call_that_the_host_has_in_hand_is_begun_by_the_new_version,
    an_image_and_a_scale_that_come_together_both_take_effect,
    an_update_that_fails_holds_no_call_of_a_scale_after_it,
    updates_that_come_together_end_with_one_version,
    a_command_that_the_host_cannot_read_has_no_effect_on_an_update,
    a_command_of_someone_else_is_not_taken_for_one_of_this_host,
}

/// Calls that all wait for one instance, each with a call over NATS inside.
const ALL_OF_THEM: Duration = Duration::from_secs(60);

fn reference(guest: Guest) -> String {
    guest.reference().expect("a reference")
}

async fn start(nats: &Arc<NatsServer>, host: HostBuilder) -> (Deployment, Driver) {
    let deployment = host.start_pair_on(nats).await;
    let driver = deployment.driver().await.expect("the caller");
    (deployment, driver)
}

async fn update(control: &Control, host: &Host, guest: Guest) {
    let updated = control.update(host.id(), &reference(guest), CALLEE).await;
    updated.expect("the host has it on record");
}

/// Updates the callee while it is called, until the new version serves.
async fn update_while_called(driver: &Driver, control: &Control, host: &Host, route: Route) {
    let callers = Callers::start(driver, 4);
    update(control, host, Guest::CalleeV2).await;
    callers.answered_by(2).await;
    let answers = callers.end().await;
    answers.assert_changed(1, 2, &format!("over {route:?}"));
}

/// Sends a command about the callee, and does not wait until the host has carried it out.
async fn send(control: &Control, host: &Host, operation: &str, mut command: Value) {
    command["host_id"] = json!(host.id());
    command["component_id"] = json!(CALLEE);
    let operation = format!("component.{operation}.{}", host.id());
    let accepted = control.request(&operation, &command).await;
    accepted.expect("accepted");
}

async fn until_version(driver: &Driver, version: u32) {
    until(&format!("version {version} does not serve"), async || {
        driver.call_version().await.expect("no call fails") == version
    })
    .await;
}

/// The number of instances on record.
async fn count(control: &Control, host: &Host) -> u32 {
    let inventory = control.inventory(host.id()).await.expect("an inventory");
    let component = inventory.component(CALLEE).expect("it runs");
    component.max_instances
}

/// The answer of the policy service to whether a component may be started.
struct Policy {
    client: async_nats::Client,
    service: PolicyService,
    denies: Arc<AtomicBool>,
    /// The most instances that it permits.
    most: Arc<AtomicU64>,
    /// Where the host hears of changed decisions.
    changes: String,
}

impl Policy {
    /// A service for a host, with what tells the host of it.
    async fn serve(nats: &NatsServer, topic: &str, host: HostBuilder) -> (Self, HostBuilder) {
        let client = nats.client().await.expect("a connection");
        let denies = Arc::new(AtomicBool::new(false));
        let most = Arc::new(AtomicU64::new(u64::MAX));
        let (decides, limit) = (Arc::clone(&denies), Arc::clone(&most));
        let decide = move |request: &Value| {
            let starts = request["kind"] == "startComponent";
            let asked = request["request"]["maxInstances"].as_u64();
            let too_many = asked.is_some_and(|it| it > limit.load(Ordering::Relaxed));
            match starts && (too_many || decides.load(Ordering::Relaxed)) {
                true => Decision::Deny,
                false => Decision::Permit,
            }
        };
        let service = PolicyService::serve(&client, topic, decide).await;
        let service = service.expect("the policy service is there");
        let changes = format!("{topic}.changes");
        let host = host.arg(format!("--policy-topic={topic}"));
        let host = host.arg(format!("--policy-changes-topic={changes}"));
        let policy = Self {
            client,
            service,
            denies,
            most,
            changes,
        };
        (policy, host)
    }

    /// Changes the decisions, and tells no one.
    fn decide(&self, permitted: bool) {
        self.denies.store(!permitted, Ordering::Relaxed);
    }

    /// Changes the decisions, and those that the host remembers.
    async fn permit(&self, permitted: bool) {
        self.decide(permitted);
        for request in self.service.requests_of("startComponent") {
            let changed =
                PolicyService::change(&self.client, &self.changes, &request, permitted).await;
            changed.expect("the host is told");
        }
    }

    /// The numbers of instances of the callee that were asked for.
    fn asked(&self) -> Vec<u64> {
        let requests = self.service.requests_of("startComponent");
        let requests = requests.iter().map(|it| &it["request"]);
        let callee = requests.filter(|it| it["componentId"] == CALLEE);
        callee
            .filter_map(|it| it["maxInstances"].as_u64())
            .collect()
    }
}

/// And so does one whose configuration is gone, or whose command may not be published.
async fn an_update_that_is_refused_leaves_the_old_version_and_says_why(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    let topic = format!("policy.refuses.{route:?}");
    let (policy, host) = Policy::serve(&nats, &topic, route.host()).await;
    let (deployment, driver) = start(&nats, host).await;
    let (control, host) = (deployment.control(), deployment.host());
    control.config_put("chosen", &[("a", "b")]).await?;
    let callee = reference(Guest::Callee);
    control
        .scale_with_config(host.id(), &callee, CALLEE, 7, &["chosen"])
        .await?;

    policy.permit(false).await;
    let callers = Callers::start(&driver, 16);
    update(control, host, Guest::CalleeV2).await;
    let said = host
        .wait_for_log("the policy service does not let it be started", PROMPTLY)
        .await;
    let said = said.expect("the log says so");
    assert!(
        said.contains("the policy service of the test says no") && said.contains(CALLEE),
        "{said}"
    );
    callers
        .end()
        .await
        .assert_all_of(1, &format!("over {route:?}"));
    assert_eq!(driver.call_version().await?, 1);
    let asked = policy.asked();
    assert!(
        asked
            .iter()
            .all(|asked| [7, u64::from(DEFAULT_COUNT)].contains(asked)),
        "{asked:?}"
    );

    // What the warning says helps.
    policy.permit(true).await;
    let callers = Callers::start(&driver, 16);
    update(control, host, Guest::CalleeV2).await;
    until_version(&driver, 2).await;
    callers
        .end()
        .await
        .assert_changed(1, 2, &format!("over {route:?}"));
    assert_eq!(count(control, host).await, 7);
    let warnings = host.log_lines();
    let warnings = warnings
        .iter()
        .filter(|line| line.contains("the one before it serves"));
    assert_eq!(warnings.count(), 1);
    Ok(())
}

/// The host has no handle of the version that serves.
async fn after_a_stop_no_version_of_an_updated_component_answers(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    let topic = format!("policy.stop.{route:?}");
    let (policy, host) = Policy::serve(&nats, &topic, route.host()).await;
    let (deployment, driver) = start(&nats, host).await;
    let (control, host) = (deployment.control(), deployment.host());
    policy.decide(false);
    update(control, host, Guest::CalleeV2).await;
    let said = host
        .wait_for_log("the policy service does not let it be started", PROMPTLY)
        .await;
    said.expect("the log says so");
    policy.decide(true);
    control.stop_component(host.id(), CALLEE).await?;
    until_not_listed(host, CALLEE).await;
    driver.call_version().await.expect_err("it was stopped");
    let subscribed = nats
        .subscriptions(&format!("{}.{CALLEE}.", host.lattice()))
        .await;
    assert_eq!(subscribed.expect("the server lists them"), [""; 0]);
    deployment.deploy(Guest::Callee, CALLEE, 3).await?;
    assert_eq!(driver.call_version().await?, 1);
    Ok(())
}

/// The second version of the callee, signed.
fn signed(folder: &Path) -> anyhow::Result<String> {
    let code = std::fs::read(Guest::CalleeV2.path())?;
    let (module, account) = (KeyPair::new_module(), KeyPair::new_account());
    let signed = wascap::wasm::sign_buffer_with_claims(
        "callee".into(),
        code,
        &module,
        &account,
        Some(1),
        None,
        vec![],
        false,
        Some(2),
        None,
        None,
    )?;
    let path = folder.join("signed.wasm");
    std::fs::write(&path, signed)?;
    inhost_testbed::reference(&path)
}

/// A stock host asks nothing at an update, and what it is told it remembers.
async fn a_denied_update_leaves_nothing_that_the_host_remembers(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    let topic = format!("policy.remembers.{route:?}");
    let (policy, host) = Policy::serve(&nats, &topic, route.host()).await;
    let (deployment, driver) = start(&nats, host).await;
    let (control, host) = (deployment.control(), deployment.host());
    let folder = tempfile::tempdir()?;
    let new = signed(folder.path())?;
    policy.decide(false);
    control.update(host.id(), &new, CALLEE).await?;
    let said = host
        .wait_for_log("the policy service does not let it be started", PROMPTLY)
        .await;
    said.expect("the log says so");
    let asked_before = policy.service.requests_of("startComponent");
    // It is asked again without a command, and then the host asks.
    policy.decide(true);
    until_version(&driver, 2).await;
    let mut asked = policy.service.requests_of("startComponent");
    let (mut before, mut by_host) = (asked_before.last().cloned(), asked.pop());
    for it in [&mut before, &mut by_host] {
        let it = it.as_mut().context("policy was asked")?;
        assert_eq!(it["request"]["imageRef"], *new);
        assert!(it["request"]["claims"]["issuer"].is_string(), "{it}");
        it["requestId"] = Value::Null;
        // The host is asked for another number first.
        it["request"]["maxInstances"] = Value::Null;
    }
    assert_eq!(before, by_host);
    let stopped = control.stop_component(host.id(), CALLEE).await;
    stopped.context("what was denied once is permitted now")?;
    until_not_listed(host, CALLEE).await;
    Ok(())
}

/// It permits one instance: the host makes the component anew with another number in between.
async fn policy_is_asked_for_no_number_that_was_not_chosen(route: Route) -> anyhow::Result<()> {
    let nats = nats().await;
    let topic = format!("policy.numbers.{route:?}");
    let (policy, host) = Policy::serve(&nats, &topic, route.host()).await;
    let (deployment, driver) = start(&nats, host).await;
    let (control, host) = (deployment.control(), deployment.host());
    control
        .scale(host.id(), &reference(Guest::Callee), CALLEE, 1)
        .await?;
    until("it is scaled", async || count(control, host).await == 1).await;
    let before = policy.asked().len();
    policy.most.store(1, Ordering::Relaxed);
    update(control, host, Guest::CalleeV2).await;
    until_version(&driver, 2).await;
    control.stop_component(host.id(), CALLEE).await?;
    until_not_listed(host, CALLEE).await;
    let asked = policy.asked().split_off(before);
    assert!(asked.iter().all(|it| [0, 1].contains(it)), "{asked:?}");
    Ok(())
}

/// A scale without `allow_update` changes the reference, and leaves the code.
async fn code_that_is_denied_does_not_serve_under_another_reference(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    let topic = format!("policy.code.{route:?}");
    let (policy, host) = Policy::serve(&nats, &topic, route.host()).await;
    let (deployment, driver) = start(&nats, host).await;
    let (control, host) = (deployment.control(), deployment.host());
    let (old, new) = (reference(Guest::Callee), reference(Guest::CalleeV2));
    policy.decide(false);
    update(control, host, Guest::CalleeV2).await;
    let about_new = async |number: u64| {
        until("policy is asked about the new version", async || {
            let asked = policy.service.requests_of("startComponent");
            let mut asked = asked.iter().map(|it| &it["request"]);
            asked.any(|it| it["imageRef"] == *new && it["maxInstances"] == number)
        })
        .await;
    };
    about_new(u64::from(DEFAULT_COUNT)).await;
    let scale = json!({ "component_ref": old, "count": 5, "config": [], "allow_update": false });
    send(control, host, "scale", scale).await;
    until("it is scaled", async || count(control, host).await == 5).await;
    about_new(5).await;
    for _ in 0..20 {
        assert_eq!(driver.call_version().await?, 1);
    }
    // What is on record is the new version, under the reference of the old one.
    update(control, host, Guest::Callee).await;
    for _ in 0..20 {
        assert_eq!(driver.call_version().await?, 1);
    }
    Ok(())
}

/// From a component and over NATS, whatever the mode of the callee is.
#[tokio::test]
async fn in_each_mode_only_the_new_version_answers_after_an_update() -> anyhow::Result<()> {
    let nats = nats().await;
    let target = format!("--local-dispatch-target={CALLEE}=off");
    let other = "--local-dispatch-target=another=prefer";
    let required = format!("--local-dispatch-target={CALLEE}=require");
    for (name, host) in [
        ("own-off", Route::Duplex.host().arg(target)),
        ("host-off", Route::Nats.host().arg(other)),
        ("require", Route::Duplex.host().arg(required)),
    ] {
        let (deployment, driver) = start(&nats, host.lattice(name)).await;
        let (control, host) = (deployment.control(), deployment.host());
        update(control, host, Guest::CalleeV2).await;
        until_version(&driver, 2).await;
        let peer = deployment.peer(CALLEE).await?;
        for _ in 0..50 {
            assert_eq!(driver.call_version().await?, 2, "{name}");
            let answer = peer.call::<_, (u32,)>(ECHO, "version", ()).await;
            assert_eq!(answer.expect("an answer"), (2,), "{name}");
        }
        control.stop_component(host.id(), CALLEE).await?;
        // Over NATS, a call that is on its way when the component is stopped may get no answer at
        // all, as on a stock host.
        const NO_ANSWER: Duration = Duration::from_secs(1);
        until("a version answers after the stop", async || {
            let answer = tokio::time::timeout(NO_ANSWER, driver.call_version()).await;
            !matches!(answer, Ok(Ok(_)))
        })
        .await;
        for _ in 0..3 {
            let answer = tokio::time::timeout(NO_ANSWER, driver.call_version()).await;
            assert!(!matches!(answer, Ok(Ok(_))), "{name}: {answer:?}");
        }
    }
    Ok(())
}

/// The streamer exports nothing of what the callee does.
async fn what_the_new_version_does_not_export_is_not_served_any_more(
    route: Route,
) -> anyhow::Result<()> {
    let nats = nats().await;
    let (deployment, driver) = start(&nats, route.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    update(control, host, Guest::Streamer).await;
    until("the old version goes on", async || {
        driver.call_version().await.is_err()
    })
    .await;
    let prefix = format!("{}.{CALLEE}", host.lattice());
    let status = host.status().await?;
    let served = status["endpoints"].as_array().expect("a list").iter();
    let served: Vec<_> = served
        .filter(|it| it["prefix"] == prefix.as_str())
        .collect();
    assert!(!served.is_empty(), "the new version serves");
    assert!(served.iter().all(|it| it["instance"] != ECHO), "{served:?}");
    let subscribed = nats.subscriptions(&format!("{prefix}.")).await;
    let subscribed = subscribed.expect("the server lists them");
    assert!(
        subscribed.iter().all(|it| !it.contains(ECHO)),
        "{subscribed:?}"
    );
    Ok(())
}

/// Calls without results, of which each caller was told that they are on their way. The callee has
/// one instance, which some people use as a lock.
async fn what_waits_is_begun_once_through_updates_and_scales(route: Route) -> anyhow::Result<()> {
    const CALLS: u64 = 40;
    // An answer of the tally that is lost over NATS keeps the only instance for this long.
    let host = route.host().args(["--max-execution-time-ms", "10000"]);
    let deployment = host.start_on(&nats().await).await;
    deployment.deploy_pair_of(1, DEFAULT_COUNT).await?;
    let tally = held_tally(&deployment).await;
    let (control, host) = (deployment.control(), deployment.host());
    let driver = deployment.driver().await?;
    for id in 0..CALLS {
        driver.call_note(id).await.expect("the caller goes on");
    }
    // One runs, and one has left the queue for the permit.
    until("the calls wait", async || queued(host).await == CALLS - 2).await;
    for round in 0..3_u32 {
        let guest = [Guest::CalleeV2, Guest::Callee][round as usize % 2];
        update(control, host, guest).await;
        // Until the new version has begun one.
        let begun = 2 + round as usize;
        tally
            .wait_for(begun, PROMPTLY)
            .await
            .expect("the new version serves");
    }
    let released = tally.release_until(CALLS as usize, ALL_OF_THEM).await;
    released.unwrap_or_else(|error| panic!("{error:#}"));
    let mut arrived = tally.arrived();
    arrived.sort_unstable();
    assert_eq!(arrived, Vec::from_iter(0..CALLS));
    Ok(())
}

/// It waits for the only instance, which the call before it has, of the old version. Whichever way it
/// came, and with and without results.
async fn the_call_that_the_host_has_in_hand_is_begun_by_the_new_version(
    route: Route,
) -> anyhow::Result<()> {
    let deployment = route.host().start_on(&nats().await).await;
    deployment.deploy_pair_of(1, DEFAULT_COUNT).await?;
    let tally = held_tally(&deployment).await;
    let (control, host) = (deployment.control(), deployment.host());
    let driver = deployment.driver().await?;
    let peer = deployment.peer(CALLEE).await?;
    let prefix = format!("{}.{CALLEE}", host.lattice());
    let in_hand = async || {
        let status = host.status().await.expect("a listing");
        let mut running = status["running"].as_array().expect("a list").iter();
        running.any(|call| {
            call["prefix"] == prefix.as_str()
                && ["waiting", "taken"].iter().any(|it| call["state"] == *it)
        })
    };
    let mut calls = JoinSet::new();
    for (round, (local, answers)) in [(true, true), (true, false), (false, true), (false, false)]
        .into_iter()
        .enumerate()
    {
        let first = 2 * round as u64;
        driver.call_note(first).await?;
        tally.wait_for(2 * round + 1, PROMPTLY).await?;
        let (driver, peer) = (driver.clone(), peer.clone());
        calls.spawn(async move {
            match (local, answers) {
                (true, true) => driver.call_count(first + 1).await.map(drop),
                (true, false) => driver.call_note(first + 1).await,
                (false, true) => peer
                    .call::<_, (u64,)>(ECHO, "count", (first + 1,))
                    .await
                    .map(drop),
                (false, false) => peer.call::<_, ()>(ECHO, "note", (first + 1,)).await,
            }
        });
        until("the host does not have it", async || in_hand().await).await;
        let guest = [Guest::CalleeV2, Guest::Callee][round % 2];
        update(control, host, guest).await;
        let begun = tally.wait_for(2 * round + 2, PROMPTLY).await;
        begun.with_context(|| format!("local: {local}, with results: {answers}"))?;
        while tally.release().is_some() {}
        while let Some(ended) = calls.join_next().await {
            ended??;
        }
    }
    assert_eq!(tally.arrived(), Vec::from_iter(0..8));
    Ok(())
}

/// wadm does this: a person has changed both in a manifest.
async fn an_image_and_a_scale_that_come_together_both_take_effect(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    let callers = Callers::start(&driver, 4);
    let command =
        json!({ "component_ref": reference(Guest::CalleeV2), "count": 5, "allow_update": true });
    send(control, host, "scale", command).await;
    until_version(&driver, 2).await;
    callers
        .end()
        .await
        .assert_changed(1, 2, &format!("over {route:?}"));
    assert_eq!(count(control, host).await, 5);
    Ok(())
}

/// The host fetches the image that is not there, and nothing else happens. A plain scale after it is one.
async fn an_update_that_fails_holds_no_call_of_a_scale_after_it(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    let callers = Callers::start(&driver, 8);
    let command = json!({ "new_component_ref": "file:///nowhere/to/be/found.wasm" });
    send(control, host, "update", command).await;
    let failed = host
        .wait_for_log("failed to update component", PROMPTLY)
        .await;
    failed.expect("the host says so");
    for count in [5, 6, 7] {
        control
            .scale(host.id(), &reference(Guest::Callee), CALLEE, count)
            .await?;
    }
    callers
        .end()
        .await
        .assert_all_of(1, &format!("over {route:?}"));
    assert_eq!(driver.call_version().await?, 1);
    Ok(())
}

/// Nothing is scaled for it.
#[tokio::test]
async fn an_update_to_the_version_that_runs_does_nothing() -> anyhow::Result<()> {
    let nats = nats().await;
    let (deployment, driver) = start(&nats, Route::Duplex.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    let client = nats.client().await?;
    let subject = format!("wasmbus.evt.{}.component_scaled", host.lattice());
    let mut scaled = client.subscribe(subject).await?;
    settle(&client).await?;
    for _ in 0..3 {
        update(control, host, Guest::Callee).await;
    }
    // What it would be scaled for would have been begun before.
    for count in [8, 9] {
        let callee = reference(Guest::Callee);
        control.scale(host.id(), &callee, CALLEE, count).await?;
    }
    for count in [8, 9] {
        let event = scaled.next().await.expect("an event");
        let event: Value = serde_json::from_slice(&event.payload)?;
        assert_eq!(event["data"]["max_instances"], count);
    }
    assert_eq!(driver.call_version().await?, 1);
    Ok(())
}

/// No event follows a command that is refused in its answer.
async fn a_command_that_the_host_cannot_read_has_no_effect_on_an_update(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    let operation = format!("component.scale.{}", host.id());
    for (count, config) in [(0, vec![]), (5, vec!["missing"])] {
        let mut command = json!({
            "host_id": host.id(), "component_id": CALLEE, "component_ref": reference(Guest::Callee),
            "count": count, "config": config,
        });
        command["annotations"] = json!({ "number": 1 });
        let refused = control.request(&operation, &command).await;
        refused.expect_err("annotations are texts");
    }
    update_while_called(&driver, control, host, route).await;
    Ok(())
}

/// This host marks its own. Anyone can send what looks like it.
async fn a_command_of_someone_else_is_not_taken_for_one_of_this_host(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    control.stop_component(host.id(), CALLEE).await?;
    until_not_listed(host, CALLEE).await;
    let callee = reference(Guest::Callee);
    let command = json!({ "component_ref": callee, "count": 4, "takes_effect": true });
    send(control, host, "scale", command).await;
    until("it does not start", async || {
        driver
            .call_version()
            .await
            .is_ok_and(|version| version == 1)
    })
    .await;
    update_while_called(&driver, control, host, route).await;
    assert_eq!(count(control, host).await, 4);
    Ok(())
}

/// Whichever of them the host carries out last: one version serves, and the host has a handle of it.
async fn updates_that_come_together_end_with_one_version(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = start(&nats().await, route.host()).await;
    let (control, host) = (deployment.control(), deployment.host());
    for _ in 0..3 {
        for guest in [Guest::CalleeV2, Guest::Callee] {
            let command = json!({ "new_component_ref": reference(guest) });
            send(control, host, "update", command).await;
        }
        deployment.link(CALLEE, "another", "tally").await?;
    }
    let what = "what is on record does not serve";
    until_within(ALL_OF_THEM, what, async || {
        let inventory = control.inventory(host.id()).await.expect("an inventory");
        let on_record = inventory.component(CALLEE).expect("it runs");
        let version = driver.call_version().await.expect("no call fails");
        let expected = match version {
            1 => reference(Guest::Callee),
            _ => reference(Guest::CalleeV2),
        };
        (&on_record.image_ref, on_record.max_instances) == (&expected, DEFAULT_COUNT)
    })
    .await;
    control.stop_component(host.id(), CALLEE).await?;
    until_not_listed(host, CALLEE).await;
    driver.call_version().await.expect_err("it was stopped");
    Ok(())
}
