//! Many calls wait for one instance, with and without results, while their callee is updated and scaled time and again.

use std::time::Duration;

use futures::{stream, StreamExt as _};
use inhost_testbed::{Deployment, Driver, HeldTally, CALLEE, CALLER, DEFAULT_COUNT};
use tokio::task::JoinSet;

use crate::support::rounds::rounds;
use crate::support::{
    calls, component, held_tally, nats, on_routes, until, until_within, Hosts as _, Route,
};

on_routes! { LOCAL:
    all_that_waits_is_begun_once_and_answered_through_updates_and_scales,
}

/// How many calls without results there are for each round.
const NOTES: u64 = 200;

/// How many calls with parameters and results of [`SIZE`] bytes there are for each round.
const LARGE: u64 = 20;

/// How many times the callee is updated, and scaled, if the user does not say.
const ROUNDS: usize = 2;

const SIZE: u32 = 2_000_000;

/// How many calls are on their way to the caller at once.
const AT_ONCE: usize = 32;

/// How long it may take until all calls of a round have begun, each with a call over NATS inside.
const ROUND: Duration = Duration::from_secs(60);

/// How long a call may wait.
const PATIENT: Duration = Duration::from_secs(3600);

/// The caller. `call-note` passes its number on. `call-count` puts it at both ends of a large list,
/// and compares what it has back with that.
fn caller() -> String {
    format!(
        r#"(component
             (import "inhost:demo/echo@0.1.0" (instance $echo
               (export "note" (func (param "id" u64)))
               (export "echo-bytes" (func (param "data" (list u8)) (result (list u8))))))
             (core module $memory
               (memory (export "memory") 1)
               (global $end (mut i32) (i32.const {start}))
               (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                 (local.set $at (global.get $end))
                 (global.set $end (i32.add (global.get $end) (local.get 3)))
                 (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536)))))
                 (local.get $at)))
             (core instance $memory (instantiate $memory))
             (core func $note (canon lower (func $echo "note")))
             (core func $echo-bytes (canon lower (func $echo "echo-bytes")
               (memory $memory "memory") (realloc (func $memory "realloc"))))
             (core module $module
               (import "memory" "memory" (memory 1))
               (import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
               (import "echo" "note" (func $note (param i64)))
               (import "echo" "echo-bytes" (func $echo-bytes (param i32 i32 i32)))
               (func (export "call-note") (param $id i64) (result i64)
                 (call $note (local.get $id))
                 (local.get $id))
               (func (export "call-count") (param $id i64) (result i64) (local $data i32) (local $back i32)
                 (local.set $data (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const {SIZE})))
                 (i64.store (local.get $data) (local.get $id))
                 (i64.store offset={last} (local.get $data) (local.get $id))
                 (call $echo-bytes (local.get $data) (i32.const {SIZE}) (i32.const 0))
                 (if (i32.ne (i32.load (i32.const 4)) (i32.const {SIZE})) (then unreachable))
                 (local.set $back (i32.load (i32.const 0)))
                 (if (i64.ne (i64.load (local.get $back)) (local.get $id)) (then unreachable))
                 (i64.load offset={last} (local.get $back))))
             (core instance $instance (instantiate $module
               (with "memory" (instance $memory))
               (with "echo" (instance (export "note" (func $note)) (export "echo-bytes" (func $echo-bytes))))))
             (func $call-note (param "id" u64) (result u64) (canon lift (core func $instance "call-note")))
             (func $call-count (param "id" u64) (result u64) (canon lift (core func $instance "call-count")))
             (instance $driver (export "call-note" (func $call-note)) (export "call-count" (func $call-count)))
             (export "inhost:demo/driver@0.1.0" (instance $driver)))"#,
        start = 64,
        last = SIZE - 8,
    )
}

/// The callee. Both functions have the number that they are given counted at the tally: an answer
/// waits until that is answered.
fn callee(version: u32) -> String {
    format!(
        r#"(component
             (import "inhost:demo/tally@0.1.0"
               (instance $tally (export "add" (func (param "id" u64) (result u64)))))
             (core func $add (canon lower (func $tally "add")))
             (core module $module
               (import "tally" "add" (func $add (param i64) (result i64)))
               (memory (export "memory") 1)
               (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                 (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536)))))
                 (i32.const 64))
               (func (export "note") (param i64) (drop (call $add (local.get 0))))
               (func (export "echo-bytes") (param $data i32) (param $length i32) (result i32)
                 (drop (call $add (i64.load (local.get $data))))
                 (i32.store (i32.const 0) (local.get $data))
                 (i32.store (i32.const 4) (local.get $length))
                 (i32.const 0))
               (func (export "version") (result i32) (i32.const {version})))
             (core instance $instance (instantiate $module (with "tally" (instance (export "add" (func $add))))))
             (func $note (param "id" u64) (canon lift (core func $instance "note")))
             (func $echo-bytes (param "data" (list u8)) (result (list u8))
               (canon lift (core func $instance "echo-bytes")
                 (memory $instance "memory") (realloc (func $instance "realloc"))))
             (func $version (result u32) (canon lift (core func $instance "version")))
             (instance $echo
               (export "note" (func $note))
               (export "echo-bytes" (func $echo-bytes))
               (export "version" (func $version)))
             (export "inhost:demo/echo@0.1.0" (instance $echo)))"#
    )
}

/// A callee with one instance, and its caller.
struct Stage {
    deployment: Deployment,
    driver: Driver,
    tally: HeldTally,
    /// The versions of the callee.
    versions: [String; 2],
    _files: tempfile::TempDir,
}

impl Stage {
    /// The queues of the callee have room for all calls without results, whose callers would wait
    /// with them otherwise, and for half of the large ones. The others wait in its NATS
    /// subscription.
    async fn start(route: Route, (notes, large): (u64, u64)) -> Self {
        let host = route.host().args([
            format!("--local-queue-invocations={}", notes + large),
            format!("--local-queue-bytes={}", large * u64::from(SIZE) / 2),
        ]);
        let deployment = host.start_on(&nats().await).await;
        let files = tempfile::tempdir().expect("a folder");
        let of = |name: &str, text: &str| component(files.path(), name, text);
        let versions = [of("v1.wasm", &callee(1)), of("v2.wasm", &callee(2))];
        // Each call of the caller waits in an instance of its own.
        let callers = DEFAULT_COUNT + large as u32;
        for (id, component, count) in [
            (CALLEE, &versions[0], 1),
            (CALLER, &of("caller.wasm", &caller()), callers),
        ] {
            let deployed = deployment.deploy_on(deployment.host(), component, id, count);
            deployed.await.expect("deployed");
        }
        let linked = deployment.link(CALLER, CALLEE, "echo").await;
        linked.expect("linked");
        let tally = held_tally(&deployment).await;
        Self {
            driver: deployment.driver().await.expect("the caller"),
            tally,
            deployment,
            versions,
            _files: files,
        }
    }

    /// Answers one after the other until so many calls have begun.
    async fn release(&self, calls: usize) {
        let released = self.tally.release_until(calls, ROUND).await;
        released.expect("they are begun");
    }

    /// Updates the callee, and returns when the new version serves.
    async fn update(&self, round: usize) {
        let (control, host) = (self.deployment.control(), self.deployment.host());
        let serves = || {
            let lines = host.log_lines();
            let serves = lines
                .iter()
                .filter(|it| it.contains("of a component serves"));
            serves.count()
        };
        let before = serves();
        let reference = &self.versions[(round + 1) % 2];
        let updated = control.update(host.id(), reference, CALLEE).await;
        updated.expect("updated");
        until("the new version does not serve", async || serves() > before).await;
    }

    async fn scale(&self, round: usize) {
        let (control, host) = (self.deployment.control(), self.deployment.host());
        let reference = &self.versions[(round + 1) % 2];
        let count = 2 - round as u32 % 2;
        let scaled = control.scale(host.id(), reference, CALLEE, count).await;
        scaled.expect("scaled");
    }
}

async fn all_that_waits_is_begun_once_and_answered_through_updates_and_scales(
    route: Route,
) -> anyhow::Result<()> {
    let rounds = rounds(ROUNDS);
    let (notes, large) = (NOTES * rounds as u64, LARGE * rounds as u64);
    let all = (notes + large) as usize;
    let stage = Stage::start(route, (notes, large)).await;
    let driver = stage.driver.clone().with_deadline(PATIENT);
    let noted = stream::iter(0..notes).map(|id| driver.call_note(id));
    let noted = noted.buffer_unordered(AT_ONCE);
    let noted = noted.for_each(|noted| async { noted.expect("the caller goes on") });
    noted.await;
    let mut answers = JoinSet::new();
    for id in notes..notes + large {
        let driver = driver.clone();
        answers.spawn(async move {
            let answer = driver.call_count(id).await;
            assert_eq!(answer.expect("it is answered"), id);
        });
    }
    until_within(ROUND, "they do not wait", async || {
        let (local, remote) = calls(stage.deployment.host()).await;
        (local + remote) as usize >= all
    })
    .await;
    for round in 0..rounds {
        let begun = all * round / rounds;
        let more = |part| begun + all / rounds * part / 2;
        tokio::join!(stage.update(round), stage.release(more(1)));
        tokio::join!(stage.scale(round), stage.release(more(2)));
    }
    stage.release(all).await;
    while stage.tally.release().is_some() {}
    while let Some(answered) = answers.join_next().await {
        answered.expect("no call fails");
    }
    let mut begun = stage.tally.arrived();
    begun.sort_unstable();
    assert_eq!(begun, Vec::from_iter(0..notes + large));
    Ok(())
}
