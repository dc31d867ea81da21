//! A host that is told to stop lets calls come to their end, for a time; then it ends them, and says how many of each.

use std::sync::Arc;

use inhost_testbed::{Deployment, Driver, HeldTally, Host, HostBuilder, NatsServer, CALLER};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::support::{
    held_tally, nats, on_routes, promptly, queued, until, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    calls_in_flight_come_to_their_end_and_none_is_taken,
    a_host_without_calls_ends_at_once,
    one_way_calls_that_wait_are_run,
    what_takes_longer_is_ended_with_an_error_and_counted,
}

/// How a host is told to stop.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Signal,
    Command,
}

/// A host with caller and callee, whose calls of the tally wait until they are let go on.
struct Stage {
    deployment: Deployment,
    driver: Driver,
    tally: HeldTally,
    host: Host,
}

impl Stage {
    async fn start(nats: &Arc<NatsServer>, host: HostBuilder, instances: u32) -> Self {
        let mut deployment = host.start_on(nats).await;
        let deployed = deployment.deploy_pair_of(instances, 10).await;
        deployed.expect("deployed and linked");
        let tally = held_tally(&deployment).await;
        Self {
            driver: deployment.driver().await.expect("the caller"),
            tally,
            host: deployment.take_host(0),
            deployment,
        }
    }

    async fn tell(&self, stop: Stop) {
        match stop {
            Stop::Signal => self.host.ask_to_stop(),
            Stop::Command => {
                let operation = format!("host.stop.{}", self.host.id());
                let control = self.deployment.control();
                let told = control.request(&operation, &Value::Null).await;
                told.expect("told");
            }
        }
    }

    /// Calls `count` of the callee, which is counted when this returns and answered when the tally is let go on.
    async fn count(&self, id: u64, arrived: usize) -> JoinHandle<anyhow::Result<u64>> {
        let driver = self.driver.clone();
        let call = tokio::spawn(async move { driver.call_count(id).await });
        let arrived = self.tally.wait_for(arrived, PROMPTLY).await;
        arrived.expect("it runs");
        call
    }

    /// Waits until the host takes no calls any more.
    async fn takes_no_calls(&self) {
        until("it still takes calls", async || {
            self.deployment.served(CALLER).await.expect("a number") == 0
        })
        .await;
    }

    /// Calls `note` of the callee `count` times. Returns when all calls have been sent.
    ///
    /// Over NATS, a caller waits until its call is taken. How it ends is seen at the callee.
    async fn notes(&self, count: u64) -> Vec<JoinHandle<anyhow::Result<()>>> {
        let notes = (0..count).map(|id| {
            let driver = self.driver.clone();
            tokio::spawn(async move { driver.call_note(id).await })
        });
        let notes = notes.collect();
        until("they are not sent", async || {
            let status = self.host.status().await.expect("the host lists its calls");
            let functions = status["functions"].as_array().expect("a list");
            let note = functions.iter().find(|it| it["function"] == "note");
            let sent = |note: &Value| {
                let ways = ["local", "remote"].map(|way| note["calls"][way].as_u64());
                ways.iter().flatten().sum::<u64>()
            };
            note.is_some_and(|note| sent(note) == count)
        })
        .await;
        notes
    }

    /// Waits until the host has ended in order. Returns the line in its log that says what became of calls.
    async fn ended(mut self) -> String {
        let code = self.host.ends(PROMPTLY).await.expect("it ends");
        let lines = self.host.log_lines();
        assert_eq!(code, 0, "{}", lines.join("\n"));
        let mut said = lines.iter().filter(|line| line.contains("finished="));
        let line = said.next().expect("a line").clone();
        assert_eq!(said.next(), None, "there is one");
        line
    }
}

#[track_caller]
fn assert_says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
}

async fn calls_in_flight_come_to_their_end_and_none_is_taken(route: Route) -> anyhow::Result<()> {
    let nats = nats().await;
    for stop in [Stop::Signal, Stop::Command] {
        let what = format!("{route:?}, {stop:?}");
        let lattice = format!("{route:?}-{stop:?}");
        let stage = Stage::start(&nats, route.host().lattice(lattice), 10).await;
        let call = stage.count(7, 1).await;
        stage.tell(stop).await;
        stage.takes_no_calls().await;
        let refused = promptly("the call does not end", stage.driver.ping(1)).await;
        refused.expect_err("it takes no calls");
        assert!(!call.is_finished(), "{what}");
        assert_eq!(stage.tally.release(), Some(7));
        assert_eq!(call.await?.expect(&what), 7);
        let line = stage.ended().await;
        assert_says(&line, &["finished=2", "begun=0", "ended=0", "lost=0"]);
    }
    Ok(())
}

async fn a_host_without_calls_ends_at_once(route: Route) -> anyhow::Result<()> {
    let stage = Stage::start(&nats().await, route.host(), 10).await;
    stage.driver.ping(1).await?;
    stage.tell(Stop::Signal).await;
    let line = stage.ended().await;
    assert_says(&line, &["finished=0", "begun=0", "ended=0", "lost=0"]);
    Ok(())
}

async fn one_way_calls_that_wait_are_run(route: Route) -> anyhow::Result<()> {
    let stage = Stage::start(&nats().await, route.host(), 1).await;
    let notes = stage.notes(4).await;
    stage.tally.wait_for(1, PROMPTLY).await.expect("one runs");
    // One more has been taken, and waits for an instance.
    until("they wait", async || match route {
        // The callers of those that have been taken go on.
        Route::Nats => notes.iter().filter(|note| note.is_finished()).count() == 2,
        _ => queued(&stage.host).await == 2,
    })
    .await;
    stage.tell(Stop::Signal).await;
    stage.takes_no_calls().await;
    for arrived in 1..=4 {
        let more = stage.tally.wait_for(arrived, PROMPTLY).await;
        more.unwrap_or_else(|error| panic!("{route:?}: {error:#}"));
        assert!(stage.tally.release().is_some());
    }
    let line = stage.ended().await;
    let expected: &[_] = match route {
        // Two wait to be taken, and with them their callers.
        Route::Nats => &["finished=6", "begun=3", "ended=0", "lost=0"],
        _ => &["finished=4", "begun=2", "ended=0", "lost=0"],
    };
    assert_says(&line, expected);
    Ok(())
}

async fn what_takes_longer_is_ended_with_an_error_and_counted(route: Route) -> anyhow::Result<()> {
    let host = route.host().args(["--drain-seconds", "1"]);
    let stage = Stage::start(&nats().await, host, 1).await;
    let call = stage.count(7, 1).await;
    stage.notes(3).await;
    stage.tell(Stop::Signal).await;
    let call = promptly("the call does not end", call).await;
    call.expect("no panic").expect_err("it was ended");
    let line = stage.ended().await;
    // One-way calls: in memory all three were taken. Over NATS one was, whose caller may end in the
    // meantime; the others are not, and their callers, which wait for that, may end by themselves.
    let (lost, ended): (_, &[_]) = match route {
        Route::Nats => ("lost=1", &["ended=4", "ended=5", "ended=6"]),
        // The caller's call, and the callee's.
        _ => ("lost=3", &["finished=0 begun=0 ended=2"]),
    };
    assert_says(&line, &[lost, "WARN"]);
    assert!(ended.iter().any(|it| line.contains(it)), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_the_host_at_once() {
    let nats = nats().await;
    let stage = Stage::start(&nats, Route::Duplex.host(), 1).await;
    let _call = stage.count(7, 1).await;
    stage.tell(Stop::Signal).await;
    stage.takes_no_calls().await;
    stage.tell(Stop::Signal).await;
    let mut host = stage.host;
    let code = host.ends(PROMPTLY).await.expect("it ends");
    assert_eq!(code, 1);
    let said = host
        .log()
        .wait_for("told to stop once more", PROMPTLY)
        .await;
    said.expect("it says why");
}

#[tokio::test]
async fn a_stop_command_with_a_time_of_its_own_is_in_time() -> anyhow::Result<()> {
    let nats = nats().await;
    let stage = Stage::start(&nats, Route::Duplex.host(), 1).await;
    let call = stage.count(7, 1).await;
    let operation = format!("host.stop.{}", stage.host.id());
    let command = serde_json::json!({ "timeout": 2000 });
    stage
        .deployment
        .control()
        .request(&operation, &command)
        .await?;
    let call = promptly("the call does not end", call).await;
    call.expect("no panic").expect_err("it was ended");
    let line = stage.ended().await;
    assert_says(&line, &["finished=0", "ended=2", "lost=0"]);
    Ok(())
}
