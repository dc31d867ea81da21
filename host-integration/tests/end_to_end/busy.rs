//! What keeps the threads of a host: guests that compute, and components that are compiled. All else goes on meanwhile.

use std::fmt::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use inhost_testbed::{Deployment, Driver, Guest};

use crate::errors::spinning;
use crate::routes::{nats, until, Route, PROMPTLY};

/// The workers of the host, whatever this machine has. It has four times as many to spare.
const WORKERS: usize = 1;

/// How many times a call and a command are answered meanwhile.
const ANSWERS: u32 = 20;

/// What a host does not use of the processors unless guests compute.
const MUCH: Duration = Duration::from_millis(300);

#[tokio::test]
async fn calls_and_commands_are_answered_while_guests_compute_on_all_threads() {
    let nats = nats().await;
    for (route, computing) in [
        (Route::Duplex, WORKERS),
        (Route::Duplex, 4 * WORKERS),
        (Route::Mpsc, 4 * WORKERS),
        (Route::Nats, WORKERS),
    ] {
        let what = format!("over {route:?} while {computing} guests compute");
        let folder = tempfile::tempdir().expect("a folder");
        let host = route.host();
        let host = host.env("TOKIO_WORKER_THREADS", WORKERS.to_string());
        let deployment = Deployment::start_on(nats.clone(), host).await;
        let deployment = deployment.expect("the host starts");
        deployment.deploy_pair().await.expect("deployed and linked");
        let (control, host) = (deployment.control(), deployment.host());
        let spins = spinning(folder.path());
        let deployed = deployment.deploy_on(host, &spins, "spins", 100);
        deployed.await.expect("deployed");
        let deployed = deployment.deploy(Guest::Caller, "computes", 100);
        deployed.await.expect("deployed");
        let linked = deployment.link("computes", "spins", "echo").await;
        linked.expect("linked");
        let driver = deployment.driver().await.expect("the caller");
        let computes = Driver::new(deployment.peer("computes").await.expect("the other one"));

        let used = || host.usage().cpu_time().expect("it is told");
        let enough = used() + MUCH;
        let compute: Vec<_> = (0..computing)
            .map(|_| {
                let computes = computes.clone();
                tokio::spawn(async move { computes.ping(1).await })
            })
            .collect();
        until("nothing computes", async || used() >= enough).await;

        for n in 0..ANSWERS {
            let answer = tokio::time::timeout(PROMPTLY, driver.ping(n)).await;
            let answer = answer.unwrap_or_else(|_| panic!("no answer {what}"));
            assert_eq!(answer.expect("an answer"), n + 1, "{what}");
            let inventory = tokio::time::timeout(PROMPTLY, control.inventory(host.id())).await;
            let inventory = inventory.unwrap_or_else(|_| panic!("no inventory {what}"));
            let components = inventory.expect("an inventory").components;
            assert_eq!(components.len(), 4, "{what}");
        }
        let status = host.status().await.expect("the host says so");
        assert_ne!(status["threads_used_up"], 0, "{what}");
        let ended = compute.iter().filter(|call| call.is_finished()).count();
        assert_eq!(ended, 0, "{what}, which some do no more");
        for call in compute {
            call.abort();
        }
    }
}

/// A component with much to compile, and nothing to call.
fn large(folder: &Path) -> String {
    let mut functions = String::new();
    for n in 0..300 {
        let mut body = String::from("(local.get 0)");
        for i in 0..200 {
            write!(body, "(i32.const {}) (i32.add) (local.tee 0)", n * i).expect("text");
        }
        write!(functions, "(func (param i32) (result i32) {body})").expect("text");
    }
    let component = format!(
        r#"(component
            (core module $module {functions}
                (func (export "ping") (param i32) (result i32) local.get 0))
            (core instance $core (instantiate $module))
            (func $ping (param "n" u32) (result u32) (canon lift (core func $core "ping")))
            (instance $echo (export "ping" (func $ping)))
            (export "inhost:demo/echo@0.1.0" (instance $echo)))"#
    );
    let path = folder.join("large.wasm");
    let component = wat::parse_str(component).expect("a component");
    std::fs::write(&path, component).expect("written");
    format!("file://{}", path.display())
}

#[tokio::test]
async fn calls_are_answered_while_components_are_compiled_on_all_threads() {
    let nats = nats().await;
    for route in Route::ALL {
        let folder = tempfile::tempdir().expect("a folder");
        // The host library compiles one component at a time.
        let host = route.host();
        let host = host.env("TOKIO_WORKER_THREADS", WORKERS.to_string());
        let deployment = Deployment::start_on(nats.clone(), host).await;
        let deployment = deployment.expect("the host starts");
        deployment.deploy_pair().await.expect("deployed and linked");
        let driver = deployment.driver().await.expect("the caller");
        driver.ping(0).await.expect("an answer");

        let large = large(folder.path());
        let (control, id) = (deployment.control(), deployment.host().id());
        let start = Instant::now();
        let compiled = async {
            let started = control.scale(id, &large, "large", 1).await;
            started.expect("started");
            start.elapsed()
        };
        let mut compiled = pin!(compiled);
        let mut longest = Duration::ZERO;
        let mut took = None;
        while took.is_none() {
            let call = Instant::now();
            tokio::select! {
                it = &mut compiled => took = Some(it),
                answer = driver.ping(1) => assert_eq!(answer.expect("an answer"), 2),
            }
            longest = longest.max(call.elapsed());
        }
        let took = took.expect("it has ended");
        assert!(
            longest < took / 2,
            "over {route:?} a call took {longest:?}, and compiling {took:?}"
        );
    }
}
