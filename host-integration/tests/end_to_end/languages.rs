//! Components in JavaScript and in Python, which call each other and one in Rust.
//!
//! What they are built with, and what the page says of it: `host-integration/docs/other-languages.md`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inhost_testbed::{
    reference, Deployment, Guest, Link, LocalDispatch, NatsServer, Peer, CALLEE, ECHO,
};
use tokio::task::spawn_blocking;
use xtask::languages::{Built, Language};

use crate::support::{calls, nats, until, Hosts as _, Route};

const TOUR: &str = "inhost:languages/tour@0.1.0";

/// The components, by the ids under which they run.
const JAVASCRIPT: &str = "javascript";
const PYTHON: &str = "python";

/// Compiling one takes this host 10 to 20 seconds of processor time, of which other tests want some, too.
const STARTS: Duration = Duration::from_secs(300);

/// Who calls whom.
const CHAINS: [[&str; 3]; 2] = [[JAVASCRIPT, PYTHON, CALLEE], [PYTHON, JAVASCRIPT, CALLEE]];

/// What passed along a chain: each call and its answer, and the error that was caught.
type Answers = (Vec<(String, String)>, String);

/// The component in JavaScript and the one in Python. Nothing when this machine has not what it takes to build them.
async fn components() -> Option<[PathBuf; 2]> {
    let build = |language: Language| spawn_blocking(move || language.build());
    let (javascript, python) = (build(Language::JavaScript), build(Language::Python));
    let mut components = Vec::new();
    for built in [javascript.await, python.await] {
        match built.expect("no panic").expect("the component is built") {
            Built::Component(path) => components.push(path),
            Built::Missing(why) => {
                // Not with a macro: what those print is not seen of a test that passes.
                let line = format!("\nskipped: the components of other languages: {why}\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                return None;
            }
        }
    }
    Some(components.try_into().expect("two"))
}

/// All three components on a host that goes this way, without links.
async fn start(nats: &Arc<NatsServer>, route: Route, components: &[PathBuf; 2]) -> Deployment {
    // Which way can be changed.
    let host = route.host().args(["--local-steer", "on"]);
    let deployment = Deployment::start_on(Arc::clone(nats), host).await;
    let deployment = deployment.expect("the host starts");
    let control = deployment.control().clone().with_deadline(STARTS);
    let host = deployment.host().id();
    let start = async |id: &str, path: &Path| {
        let file = reference(path).expect("the component");
        let started = control.scale(host, &file, id, 10).await;
        started.expect("it starts");
        until("it serves nothing", async || {
            deployment.served(id).await.expect("an answer") > 0
        })
        .await;
    };
    let [javascript, python] = components;
    let callee = Guest::Callee.path();
    tokio::join!(
        start(CALLEE, &callee),
        start(JAVASCRIPT, javascript),
        start(PYTHON, python),
    );
    deployment
}

/// Links each of a chain to the next.
async fn link(deployment: &Deployment, chain: [&str; 3]) {
    let control = deployment.control();
    for old in control.links().await.expect("the links") {
        control.link_del(&old).await.expect("removed");
    }
    for pair in chain.windows(2) {
        let link = Link::new(pair[0], pair[1], "inhost:demo", "echo");
        control.link_put(&link).await.expect("linked");
    }
}

/// Has the first of a chain make its calls.
async fn tour(deployment: &Deployment, route: Route, chain: [&str; 3]) -> Answers {
    let before = calls(deployment.host()).await;
    let peer = deployment.peer(chain[0]).await.expect("connected");
    let peer = peer.with_deadline(STARTS);
    let tour = peer.call(TOUR, "run", ()).await;
    let (tour,): (Vec<(String, String)>,) = tour.expect("all calls are answered");
    assert!(tour.len() >= 45, "only {} calls", tour.len());
    for (call, answer) in &tour {
        assert!(
            answer.starts_with("equal: "),
            "{call} along {chain:?} over {route:?}: {answer}"
        );
    }
    let (caught,): (String,) = peer
        .call(TOUR, "catch-error", ())
        .await
        .expect("it is caught");
    assert_eq!(caught, "Grüße, 世界 🦀");

    let after = calls(deployment.host()).await;
    let made = 2 * (tour.len() as u64 + 1);
    let expected = match route.is_local() {
        true => (made, 0),
        false => (0, made),
    };
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        expected,
        "(local, remote) calls along {chain:?} over {route:?}"
    );
    let trap = peer.call::<_, (String,)>(TOUR, "catch-trap", ()).await;
    trap.expect_err("no one catches a trap");
    (tour, caught)
}

/// What the page says that the tools do wrong. When this fails after they were updated, the page is to be, too.
async fn faults(javascript: &Peer) {
    let past = 3_000_000_000_u32;
    let answer: (u32,) = javascript
        .call(ECHO, "ping", (past,))
        .await
        .expect("an answer");
    assert_ne!(answer, (past + 1,), "u32 is read right");
    let scalars = |h: i64| {
        let first = (true, -1_i8, 1_u8, -1_i16, 1_u16, -1_i32, 1_u32, h);
        let (a, b, c, d, e, f, g, h) = first;
        (a, b, c, d, e, f, g, h, 1_u64, 0.5_f32, 0.5_f64, 'x')
    };
    type Scalars = (bool, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, char);
    let call = async |h: i64| -> anyhow::Result<(Scalars,)> {
        javascript.call(ECHO, "echo-scalars", scalars(h)).await
    };
    let answer = call(1).await.expect("an answer");
    assert_eq!(answer, (scalars(1),));
    call(-1).await.expect_err("a negative s64 does not abort");
}

#[tokio::test]
async fn javascript_python_and_rust_call_each_other_alike_over_each_route() -> anyhow::Result<()> {
    let Some(components) = components().await else {
        return Ok(());
    };
    let nats = nats().await;
    let (first, second) = tokio::join!(
        start(&nats, Route::Duplex, &components),
        start(&nats, Route::Mpsc, &components)
    );
    for chain in CHAINS {
        let mut answers = Vec::new();
        for (deployment, route) in [
            (&first, Route::Nats),
            (&first, Route::Duplex),
            (&second, Route::Mpsc),
        ] {
            let mode = match route.is_local() {
                true => LocalDispatch::Prefer,
                false => LocalDispatch::Off,
            };
            steer(deployment, mode).await;
            link(deployment, chain).await;
            answers.push(tour(deployment, route, chain).await);
            if chain[0] == JAVASCRIPT {
                faults(&deployment.peer(JAVASCRIPT).await?).await;
            }
        }
        assert_eq!(answers[0], answers[1], "NATS and duplex answer alike");
        assert_eq!(answers[0], answers[2], "NATS and mpsc answer alike");
    }
    Ok(())
}

/// Changes which way the calls of a host go.
async fn steer(deployment: &Deployment, mode: LocalDispatch) {
    let host = deployment.host().id();
    let subject = format!("wasmbus.local.{}.mode.{host}", deployment.lattice());
    let command = format!(r#"{{"mode":"{mode}","by":"a test"}}"#);
    let answer = deployment.client().request(subject, command.into()).await;
    let answer = answer.expect("an answer").payload;
    assert_eq!(&*answer, br#"{"accepted":true}"#);
}
