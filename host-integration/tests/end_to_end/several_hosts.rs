//! A callee on several hosts, under load: calls stay here while they can, go to the other host when they cannot, and
//! never leave their lattice.

use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use inhost_testbed::{settle, Deployment, Guest, Tally, CALLEE};
use serde_json::{json, Value};
use tokio::task::JoinSet;

use crate::support::load::{may_be_lost, Calls, Pair};
use crate::support::{calls, nats, promptly, until, until_not_listed, Hosts as _, Route, PROMPTLY};

/// When a call without an answer is given up.
const GIVE_UP: Duration = Duration::from_secs(6);

/// Starts a second host, with a callee.
async fn add_callee(deployment: &mut Deployment, route: Route) {
    let number = deployment
        .add_host(route.host())
        .await
        .expect("a second host");
    let callee = Guest::Callee.reference().expect("the callee");
    let host = &deployment.hosts()[number];
    let deployed = deployment.deploy_on(host, &callee, CALLEE, 100).await;
    deployed.expect("deployed");
}

#[tokio::test]
async fn calls_move_to_the_other_host_when_the_callee_here_is_stopped() {
    let nats = nats().await;
    for route in Route::LOCAL {
        // With an instance for each of the calls.
        let mut pair = Pair::start(&nats, route.host(), 100).await;
        add_callee(&mut pair.deployment, route).await;
        let (deployment, host) = (&pair.deployment, pair.deployment.host());
        let load = pair.pings(GIVE_UP).await;
        load.answers(300).await;
        let status = host.status().await.expect("the status");
        let [local, remote] =
            ["local", "remote"].map(|way| status["calls"][way].as_u64().expect("a number"));
        // How many are shared with the other host because the callee here is slow depends on the machine.
        assert!(local > 0, "over {route:?}: {status}");
        assert_eq!(remote, 0, "over {route:?}: {status}");

        let stopped = deployment.control().stop_component(host.id(), CALLEE).await;
        stopped.expect("stopped");
        let stop = Instant::now();
        load.answers(300).await;
        let ended = Calls::of(load).await;
        let status = host.status().await.expect("the status");
        let remote = status["calls"]["remote"].as_u64().expect("a number");
        assert!(remote >= 250, "{remote} calls moved over {route:?}");
        // What the callee had taken or had in its queue when it was stopped may fail, and no more than that.
        let begun_later = ended.failed().filter(|ended| ended.start > stop).count();
        assert!(
            begun_later <= may_be_lost(remote as usize),
            "over {route:?} {begun_later} of {remote} calls to the other host failed: {:?}",
            ended.reasons()
        );
        ended.assert_took_at_most(GIVE_UP / 2, remote as usize, &format!("over {route:?}"));
    }
}

#[tokio::test]
async fn calls_that_find_the_queue_here_full_are_answered_by_the_other_host() {
    const CALLS: u32 = 24;
    /// How long the callee here is taken.
    const TAKEN: Duration = Duration::from_secs(4);
    let nats = nats().await;
    for route in Route::LOCAL {
        let host = route.host().args(["--local-queue-invocations", "1"]);
        let mut pair = Pair::start(&nats, host, 1).await;
        let driver = pair.deployment.driver().await.expect("the caller");
        let driver = driver.with_deadline(TAKEN + PROMPTLY);
        let taken = tokio::spawn({
            let driver = driver.clone();
            async move { driver.call_wait(TAKEN.as_millis() as u32).await }
        });
        // It is in memory, so it has been taken by the callee here, whose only instance it keeps.
        until("the call has not begun", async || {
            calls(pair.deployment.host()).await.0 > 0
        })
        .await;
        add_callee(&mut pair.deployment, route).await;

        let mut answers: FuturesUnordered<_> = (0..CALLS)
            .map(|n| {
                let call = driver.ping(n);
                async move { (n, call.await) }
            })
            .collect();
        let mut early = 0;
        let mut failed = Vec::new();
        while let Some((n, answer)) = answers.next().await {
            match answer {
                Ok(answer) => assert_eq!(answer, n + 1),
                Err(error) => failed.push(error),
            }
            early += u32::from(!taken.is_finished());
        }
        let status = pair.deployment.host().status().await.expect("the status");
        let spilled = status["calls"]["spilled"].as_u64().expect("a number");
        assert!(spilled > 0, "over {route:?}: {status}");
        let lost = may_be_lost(spilled as usize);
        assert!(failed.len() <= lost, "over {route:?}: {failed:#?}");
        // The callee here was taken all the time. NATS gives some of the calls to it all the same, and they wait.
        assert!(early > 0, "over {route:?} the other host answered no call");
        let waited = taken.await.expect("no panic").expect("an answer");
        assert_eq!(waited, TAKEN.as_millis() as u32);
    }
}

/// The queue here has room for all of them. Each takes so long that another host is faster.
#[tokio::test]
async fn calls_that_would_wait_long_here_are_shared_with_the_other_host_while_there_is_one() {
    const CALLERS: usize = 16;
    const EACH_MS: u32 = 50;
    let nats = nats().await;
    for route in Route::LOCAL {
        let mut pair = Pair::start(&nats, route.host(), 1).await;
        let driver = pair.deployment.driver().await.expect("the caller");
        let calls_at_once = async || {
            let calls = (0..CALLERS).map(|_| driver.call_wait(EACH_MS));
            for answer in join_all(calls).await {
                assert_eq!(answer.expect("an answer"), EACH_MS, "over {route:?}");
            }
        };
        let spilled = async |deployment: &Deployment| {
            let status = deployment.host().status().await.expect("the status");
            status["calls"]["spilled"].as_u64().expect("a number")
        };
        calls_at_once().await;
        assert_eq!(spilled(&pair.deployment).await, 0, "{route:?}: no one else");

        add_callee(&mut pair.deployment, route).await;
        until("no call is shared", async || {
            calls_at_once().await;
            spilled(&pair.deployment).await > 0
        })
        .await;
        let there = &pair.deployment.hosts()[1];
        let before = spilled(&pair.deployment).await;
        calls_at_once().await;
        assert!(
            spilled(&pair.deployment).await > before,
            "over {route:?} they are not shared any more"
        );

        let control = pair.deployment.control();
        let stopped = control.stop_component(there.id(), CALLEE).await;
        stopped.expect("stopped");
        until_not_listed(there, CALLEE).await;
        until("calls go elsewhere", async || {
            let before = spilled(&pair.deployment).await;
            calls_at_once().await;
            spilled(&pair.deployment).await == before
        })
        .await;
    }
}

#[tokio::test]
async fn in_a_lattice_with_many_hosts_calls_are_not_shared_for_being_slow() {
    let nats = nats().await;
    let pair = Pair::start(&nats, Route::Duplex.host(), 1).await;
    let host = pair.deployment.host();
    let driver = pair.deployment.driver().await.expect("the caller");
    let (client, lattice) = (pair.deployment.client().clone(), pair.deployment.lattice());
    let inventory = |id: &str| json!({ "host_id": id, "components": [{ "id": CALLEE }] });
    let says = async |id: &str| {
        let subject = format!("wasmbus.evt.{lattice}.host_heartbeat");
        let event = json!({ "source": id, "data": inventory(id) }).to_string();
        client.publish(subject, event.into()).await.expect("sent");
    };
    // Those answer when they are asked.
    let gets = format!("wasmbus.ctl.v1.{lattice}.host.get.*");
    let mut gets = client.subscribe(gets).await.expect("subscribed");
    settle(&client).await.expect("subscribed");
    let host_of = |subject: &str| Some(subject.rsplit_once('.')?.1.to_owned());
    let they = client.clone();
    let mut answering = JoinSet::new();
    answering.spawn(async move {
        while let Some(get) = gets.next().await {
            let id = host_of(&get.subject).filter(|id| id.starts_with("HOST"));
            if let (Some(id), Some(reply)) = (id, get.reply) {
                let answer = json!({ "success": true, "response": inventory(&id) }).to_string();
                they.publish(reply, answer.into()).await.expect("sent");
            }
        }
    });
    // What goes away comes back here, as no other host is there.
    let spilled = async || {
        let before = host.status().await.expect("the status");
        let answers = join_all((0..16).map(|_| driver.call_wait(20))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let after = host.status().await.expect("the status");
        let spilled = |it: &Value| it["calls"]["spilled"].as_u64().expect("a number");
        spilled(&after) - spilled(&before)
    };
    // One that is made up is none.
    for number in 0..100 {
        says(&format!("MADE-UP-{number}")).await;
    }
    assert_eq!(spilled().await, 0);
    says("HOST0").await;
    until("no call is shared", async || spilled().await > 0).await;
    for number in 1..=64 {
        says(&format!("HOST{number}")).await;
    }
    let said = host.wait_for_log("they are not listened to", PROMPTLY);
    said.await.expect("the host says so");
    assert_eq!(spilled().await, 0);
}

#[tokio::test]
async fn no_call_crosses_from_one_lattice_to_another() {
    let nats = nats().await;
    for route in Route::OURS {
        // The same components under the same ids, on one nats-server.
        let lattices = ["one", "two"].map(|name| {
            let host = route
                .host()
                .lattice(format!("{route:?}-{name}").to_lowercase());
            Pair::start(&nats, host, 10)
        });
        let lattices = join_all(lattices).await;
        let [one, two] = &lattices[..] else {
            unreachable!("there are two");
        };
        for (pair, other, ids) in [(one, two, 0..10), (two, one, 10..20)] {
            let driver = pair.deployment.driver().await.expect("the caller");
            for id in ids.clone() {
                assert_eq!(driver.call_count(id).await.expect("an answer"), 1);
            }
            let counts = |tally: &Tally| ids.clone().map(|id| tally.count(id)).sum::<u64>();
            assert_eq!((counts(&pair.tally), counts(&other.tally)), (10, 0));
        }

        // Nor does it when there is no one else to answer.
        let host = one.deployment.host().id();
        let control = one.deployment.control();
        control.stop_component(host, CALLEE).await.expect("stopped");
        until_not_listed(one.deployment.host(), CALLEE).await;
        let driver = one.deployment.driver().await.expect("the caller");
        let answer = promptly("it does not end", driver.ping(1)).await;
        answer.expect_err("the callee of the other lattice answered");
        let driver = two.deployment.driver().await.expect("the caller");
        assert_eq!(driver.ping(1).await.expect("an answer"), 2);
    }
}
