//! Guests that compute on all threads of a host. All else goes on meanwhile.

use std::time::Duration;

use inhost_testbed::{Driver, Guest};

use crate::errors::spinning;
use crate::support::{nats, until, Hosts as _, Route, PROMPTLY};

/// The workers of the host, whatever this machine has.
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
        let deployment = host.start_pair_on(&nats).await;
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
        let ended = compute.iter().filter(|call| call.is_finished()).count();
        assert_eq!(ended, 0, "{what}, which some do no more");
        for call in compute {
            call.abort();
        }
    }
}
