//! Each promise on each kind of call: what `docs/guarantees.md` says of it in one table.
//!
//! A cell of the table that holds has a test. It is here, as `promises::KIND::PROMISE`, or [`shown`] says where.

mod shown;

use std::sync::Arc;

use inhost_testbed::{
    reference, Deployment, Handler, HeldTally, Link, NatsServer, Peer, CALLEE, CALLER,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::{
    component, held_tally, nats, on_routes, promptly, queued, until, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    a_component_that_would_call_an_http_handler_does_not_start,
}

on_routes! { LOCAL:
    a_handler_takes_no_more_bytes_than_a_guest_can_hold,
    when_the_time_for_calls_to_end_is_over_no_handler_begins,
}

/// Has a test for each promise that holds on a kind of call, and lists them.
macro_rules! hold {
    ($($kind:ident = $call:ident: $($promise:ident),*;)*) => {
        $(mod $kind {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::Handler::$call).await;
            })*
        })*

        /// The tests that are here, by kind of call and promise.
        const HERE: &[(&str, &str)] = &[$($((stringify!($kind), stringify!($promise))),*),*];
    };
}

hold! {
    messaging_handler = MESSAGING: at_most_once, ends, stop_update, bounded, counted;
    keyvalue_blobstore = KEYVALUE: at_most_once, ends, cause, permit, stop_update, bounded, counted;
}

/// A host with a caller and a callee of some kind. The callee's calls of the tally wait until they are let go on.
struct Stage {
    deployment: Deployment,
    caller: Peer,
    callee: String,
    tally: HeldTally,
    _folder: TempDir,
}

impl Stage {
    async fn start(
        nats: &Arc<NatsServer>,
        route: Route,
        kind: &Handler,
        instances: u32,
        arguments: &[&str],
    ) -> Self {
        let host = route.host().args(arguments.iter().copied());
        let deployment = host.start_on(nats).await;
        let folder = tempfile::tempdir().expect("a folder");
        let components = kind.write_to(folder.path(), "promises").expect("written");
        let [caller, callee] = components.map(|file| reference(&file).expect("written"));
        for (reference, id, count) in [(&caller, CALLER, 100), (&callee, CALLEE, instances)] {
            let deployed = deployment.deploy_on(deployment.host(), reference, id, count);
            deployed.await.expect("deployed");
        }
        let (package, interface) = kind.link;
        let link = Link::new(CALLER, CALLEE, package, interface);
        let linked = deployment.control().link_put(&link).await;
        linked.expect("linked");
        let tally = held_tally(&deployment).await;
        Self {
            caller: deployment.peer(CALLER).await.expect("the caller"),
            tally,
            deployment,
            callee,
            _folder: folder,
        }
    }

    /// Has the caller call the callee with `n`.
    fn call(&self, n: u64) -> JoinHandle<anyhow::Result<(bool,)>> {
        let caller = self.caller.clone();
        tokio::spawn(async move { caller.call(Handler::CALL, "call", (n,)).await })
    }

    /// As [`Stage::call`], and returns when it is the `arrived`th that the callee has begun.
    async fn begun(&self, n: u64, arrived: usize) -> JoinHandle<anyhow::Result<(bool,)>> {
        let call = self.call(n);
        let begun = self.tally.wait_for(arrived, PROMPTLY).await;
        begun.expect("it begins");
        call
    }

    /// Has the callee trap, of which the caller is to learn at once.
    async fn trap(&self) {
        let trapped = promptly("it does not end", self.call(0)).await;
        let trapped = trapped.expect("no panic");
        trapped.expect_err("the callee traps, and its caller with it");
    }

    /// Lets what the callee waits for go on, until `calls` have come to their end. Returns how many
    /// of them were answered.
    async fn answered(&self, calls: Vec<JoinHandle<anyhow::Result<(bool,)>>>) -> usize {
        until("a call does not end", async || {
            self.tally.release();
            calls.iter().all(JoinHandle::is_finished)
        })
        .await;
        let mut answered = 0;
        for call in calls {
            answered += usize::from(call.await.expect("no panic").is_ok());
        }
        answered
    }

    /// What is listed of the function that is called.
    async fn listed(&self, kind: &Handler) -> Value {
        let status = self.deployment.host().status().await.expect("a listing");
        let functions = status["functions"].as_array().expect("a list");
        let mut listed = functions
            .iter()
            .filter(|it| it["instance"] == kind.instance && it["function"] == kind.function);
        listed.next().expect("it is listed").clone()
    }

    /// The numbers that the callee was called with, in order.
    fn ran(&self) -> Vec<u64> {
        let mut ran = self.tally.arrived();
        ran.sort_unstable();
        ran
    }
}

async fn at_most_once(kind: &Handler) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 10, &[]).await;
        for n in 1..=5 {
            let call = stage.begun(n, n as usize).await;
            assert_eq!(stage.answered(vec![call]).await, 1, "over {route:?}");
        }
        // One that fails is not made again.
        stage.trap().await;
        assert_eq!(stage.ran(), [1, 2, 3, 4, 5], "over {route:?}");
        let listed = stage.listed(kind).await;
        assert_eq!(listed["calls"]["local"], 6, "over {route:?}: {listed}");
    }
}

async fn ends(kind: &Handler) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 1, &[]).await;
        stage.trap().await;
        let log = stage.deployment.host().log();
        let said = format!(
            "`{}.{}` of component `{}.{CALLEE}` failed",
            kind.instance,
            kind.function,
            stage.deployment.lattice()
        );
        let said = log.wait_for(&said, PROMPTLY).await;
        said.unwrap_or_else(|error| panic!("over {route:?} the caller's error: {error:#}"));
        let next = stage.begun(1, 1).await;
        assert_eq!(stage.answered(vec![next]).await, 1, "over {route:?}");
    }
}

async fn cause(kind: &Handler) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 1, &[]).await;
        stage.trap().await;
        let log = stage.deployment.host().log();
        let said = |line: &String| {
            line.contains("ended without finishing its results: ") && line.contains(kind.function)
        };
        until("the caller's error does not say why", async || {
            log.lines().iter().any(said)
        })
        .await;
    }
}

async fn permit(kind: &Handler) {
    const TIME: [&str; 2] = ["--max-execution-time-ms", "2000"];
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 1, &TIME).await;
        let first = stage.begun(1, 1).await;
        let ended = tokio::time::timeout(2 * PROMPTLY, first).await;
        let ended = ended.expect("its time is over").expect("no panic");
        ended.expect_err("it was not let go on");
        // The only instance is free.
        let next = stage.begun(2, 2).await;
        stage.tally.release();
        assert_eq!(stage.answered(vec![next]).await, 1, "over {route:?}");
    }
}

async fn stop_update(kind: &Handler) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 1, &[]).await;
        let mut calls = vec![stage.begun(1, 1).await];
        calls.extend((2..=4).map(|n| stage.call(n)));
        let host = stage.deployment.host();
        // One more has been taken, and waits for an instance.
        until("they do not wait", async || queued(host).await == 2).await;
        let control = stage.deployment.control();
        let scaled = control.scale(host.id(), &stage.callee, CALLEE, 2).await;
        scaled.expect("scaled");
        let answered = stage.answered(calls).await;
        let ran = stage.ran();
        match kind.put_back {
            true => assert_eq!((answered, ran), (4, vec![1, 2, 3, 4]), "over {route:?}"),
            // The one that was taken is lost, with an error.
            false => assert_eq!((answered, ran.len()), (3, 3), "over {route:?}: {ran:?}"),
        }
        // Its lattice is that of the next host.
        drop(stage);
        what_waits_ends_with_a_stop(&nats, route, kind).await;
    }
}

/// A call that waits when its component is stopped, in the queue or for an instance, ends at once,
/// with an error that says so.
async fn what_waits_ends_with_a_stop(nats: &Arc<NatsServer>, route: Route, kind: &Handler) {
    const SAYS_SO: [&str; 3] = [
        "stopped being served on this host before it ran the call",
        "no one serves the function",
        "ended without finishing its results (it was denied, stopped, or cancelled)",
    ];
    let stage = Stage::start(nats, route, kind, 1, &[]).await;
    let _running = stage.begun(1, 1).await;
    let waiting: Vec<_> = (2..=4).map(|n| stage.call(n)).collect();
    let host = stage.deployment.host();
    until("they do not wait", async || queued(host).await == 2).await;
    let stopped = stage.deployment.control().stop_component(host.id(), CALLEE);
    stopped.await.expect("stopped");
    for call in waiting {
        let ended = promptly(format!("over {route:?} it waits after the stop"), call).await;
        ended.expect("no panic").expect_err("no one runs it");
    }
    assert_eq!(stage.ran(), [1], "over {route:?}");
    // One that was not taken was made again, where the import can do so, and no one serves the function elsewhere.
    let says_so = |line: &String| {
        line.contains(kind.function) && SAYS_SO.iter().any(|said| line.contains(said))
    };
    until("not all errors say so", async || {
        let lines = host.log().lines();
        lines.iter().filter(|line| says_so(line)).count() == 3
    })
    .await;
}

async fn bounded(kind: &Handler) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 1, &["--local-queue-invocations=1"]).await;
        let mut calls = vec![stage.begun(1, 1).await];
        calls.extend((2..=6).map(|n| stage.call(n)));
        until("no call goes over NATS", async || {
            let listed = stage.listed(kind).await;
            listed["calls"]["spilled"].as_u64() >= Some(1)
        })
        .await;
        assert!(queued(stage.deployment.host()).await <= 1, "over {route:?}");
        assert_eq!(stage.answered(calls).await, 6, "over {route:?}");
        assert_eq!(stage.ran(), [1, 2, 3, 4, 5, 6], "over {route:?}");
    }
}

async fn counted(kind: &Handler) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let stage = Stage::start(&nats, route, kind, 1, &[]).await;
        let call = stage.begun(1, 1).await;
        assert_eq!(stage.answered(vec![call]).await, 1, "over {route:?}");
        stage.trap().await;
        until("the failure is not counted", async || {
            stage.listed(kind).await["failures"]["failed"] == 1
        })
        .await;
        let listed = stage.listed(kind).await;
        assert_eq!(listed["calls"]["local"], 2, "over {route:?}: {listed}");
        assert_eq!(listed["failures"]["denied"], 0, "over {route:?}: {listed}");
    }
}

/// What the host library's runtime receives is bounded where it comes from.
async fn a_handler_takes_no_more_bytes_than_a_guest_can_hold(route: Route) -> anyhow::Result<()> {
    const MEMORY: [&str; 1] = ["--max-linear-memory-bytes=1048576"];
    let kind = &Handler::MESSAGING;
    let stage = Stage::start(&nats().await, route, kind, 1, &MEMORY).await;
    let callee = stage.deployment.peer(CALLEE).await?;
    let body = vec![0_u8; 3 << 20];
    let message = (String::new(), body, None::<String>);
    let sent = callee.call::<_, (Result<(), String>,)>(kind.instance, kind.function, (message,));
    let sent = promptly("it does not end", sent).await;
    sent.expect_err("it is too much");
    let said = format!(
        "the caller of `{}.{}` of component `{}.{CALLEE}` sends more than 2097152 bytes of parameters",
        kind.instance,
        kind.function,
        stage.deployment.lattice()
    );
    let log = stage.deployment.host().log();
    let said = log.wait_for(&said, PROMPTLY).await;
    said.unwrap_or_else(|error| panic!("{error:#}"));
    let next = stage.begun(1, 1).await;
    assert_eq!(stage.answered(vec![next]).await, 1);
    Ok(())
}

/// The host library's runtime runs it, and lets the next one begin when it is done.
async fn when_the_time_for_calls_to_end_is_over_no_handler_begins(
    route: Route,
) -> anyhow::Result<()> {
    const CALLS: u64 = 5;
    let nats = nats().await;
    let time = ["--drain-seconds=1"];
    let mut stage = Stage::start(&nats, route, &Handler::MESSAGING, 1, &time).await;
    let mut calls = vec![stage.begun(1, 1).await];
    calls.extend((2..=CALLS).map(|n| stage.call(n)));
    let mut host = stage.deployment.take_host(0);
    // One more has been taken, and waits for an instance.
    until("they do not wait", async || queued(&host).await == 3).await;
    host.ask_to_stop();
    for call in calls {
        let ended = promptly("it does not end", call).await;
        ended.expect("no panic").expect_err("it was ended");
    }
    // The one that runs comes to its end while the others are told.
    stage.tally.release();
    assert_eq!(host.ends(PROMPTLY).await?, 0);
    assert_eq!(stage.ran(), [1]);
    let lines = host.log_lines();
    let said = lines.iter().find(|line| line.contains("finished="));
    let said = said.expect("a line");
    let count = |of: &str| {
        let of = format!("{of}=");
        let word = said.split_whitespace().find_map(|it| it.strip_prefix(&of));
        word.and_then(|it| it.parse::<u64>().ok())
            .expect("a number")
    };
    // Those of the caller, which came over NATS, and its own.
    assert_eq!(
        count("finished") + count("ended") + count("lost"),
        2 * CALLS,
        "{said}"
    );
    assert_eq!(count("begun"), 0, "{said}");
    Ok(())
}

/// A call of the one kind that there is not.
async fn a_component_that_would_call_an_http_handler_does_not_start(
    route: Route,
) -> anyhow::Result<()> {
    const CALLER_OF_HANDLER: &str = r#"(component
        (import "wasi:http/incoming-handler@0.2.0" (instance $handler (export "handle" (func))))
        (core func $handle (canon lower (func $handler "handle")))
        (func $call (canon lift (core func $handle)))
        (instance $call (export "call" (func $call)))
        (export "inhost:promises/call" (instance $call)))"#;
    let deployment = route.start_on(&nats().await).await;
    let folder = tempfile::tempdir()?;
    let caller = component(folder.path(), "caller.wasm", CALLER_OF_HANDLER);
    let deployed = deployment.deploy_on(deployment.host(), &caller, CALLER, 1);
    let error = format!("{:#}", deployed.await.expect_err("it cannot be linked"));
    assert!(error.contains("wasi:http/incoming-handler"), "{error}");
    Ok(())
}
