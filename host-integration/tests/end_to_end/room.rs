//! A host with room for few instances.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use inhost_testbed::{
    pings, Deployment, Guest, NatsServer, Peer, Workload, CALLEE, CALLER, DEFAULT_COUNT, ECHO,
};

use crate::support::{component, nats, promptly, Hosts as _, Route, PROMPTLY};

/// Within which a call that finds no room ends: there is no wait in it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often a call over NATS is tried: upstream's transport loses one now and then (see
/// guarantees.md, "Calls over NATS").
const ATTEMPTS: usize = 5;

async fn start(nats: &Arc<NatsServer>, route: Route, arguments: &[&str]) -> Deployment {
    let host = route.host().args(arguments.iter().copied());
    let deployment = Deployment::start_on(Arc::clone(nats), host).await;
    deployment.expect("the host starts")
}

/// How many calls found no room.
async fn used_up(deployment: &Deployment) -> u64 {
    let status = deployment.host().status().await.expect("the listing");
    status["pool_used_up"].as_u64().expect("a number")
}

#[tokio::test]
async fn instances_that_wait_for_an_invocation_leave_room_for_other_components(
) -> anyhow::Result<()> {
    const BUSY: &str = "busy";
    let nats = nats().await;
    for route in Route::OURS {
        let arguments = ["--max-components=20", "--reuse-instances=busy=1000"];
        let deployment = start(&nats, route, &arguments).await;
        for (guest, id) in [
            (Guest::Callee, BUSY),
            (Guest::Callee, CALLEE),
            (Guest::Caller, CALLER),
        ] {
            deployment.deploy(guest, id, DEFAULT_COUNT).await?;
        }
        deployment.link(CALLER, CALLEE, "echo").await?;
        // A spike: all the room there is is taken.
        let busy = deployment.peer(BUSY).await?;
        for attempt in 1.. {
            let spike = (0..24).map(|_| busy.call::<_, (u32,)>(ECHO, "wait", (50_u32,)));
            promptly(
                format!("over {route:?} some calls have no end"),
                join_all(spike),
            )
            .await;
            if used_up(&deployment).await > 0 {
                break;
            }
            assert!(attempt < ATTEMPTS, "over {route:?} there is room for all");
        }
        let driver = deployment.driver().await?;
        let before = used_up(&deployment).await;
        let calls = driver.run(Workload::Ping, 0, 20).await;
        let calls = calls.unwrap_or_else(|error| panic!("over {route:?}: {error:#}"));
        assert_eq!(calls.len(), 20, "over {route:?}");
        assert_eq!(used_up(&deployment).await, before, "over {route:?}");
    }
    Ok(())
}

/// A component of one core module whose `ping` is that of the component that it is linked to.
fn relay(folder: &Path) -> String {
    let ping = r#"(func (param "n" u32) (result u32))"#;
    let text = format!(
        r#"(component
            (import "{ECHO}" (instance $peer (export "ping" {ping})))
            (core func $peer (canon lower (func $peer "ping")))
            (core module $module
                (import "" "ping" (func $ping (param i32) (result i32)))
                (export "ping" (func $ping)))
            (core instance $core
                (instantiate $module (with "" (instance (export "ping" (func $peer))))))
            (func $ping (param "n" u32) (result u32) (canon lift (core func $core "ping")))
            (instance $echo (export "ping" (func $ping)))
            (export "{ECHO}" (instance $echo)))"#
    );
    component(folder, "relay.wasm", &text)
}

/// As [`relay`], with a `ping` of its own.
fn callee(folder: &Path) -> String {
    let ping = pings("(i32.add (local.get 0) (i32.const 1))", "");
    component(folder, "callee.wasm", &ping)
}

/// The relay, linked to the callee, on a host with room for `room` of their instances.
async fn deploy_relay(
    nats: &Arc<NatsServer>,
    route: Route,
    mode: &str,
    room: u32,
) -> (Deployment, Peer) {
    let (mode, room) = (
        format!("--local-dispatch={mode}"),
        format!("--max-components={room}"),
    );
    let host = route.host().args([mode, room]);
    let deployment = host.start_on(nats).await;
    let folder = tempfile::tempdir().expect("a folder");
    for (reference, id) in [
        (relay(folder.path()), CALLER),
        (callee(folder.path()), CALLEE),
    ] {
        let host = deployment.host();
        let deployed = deployment.deploy_on(host, &reference, id, DEFAULT_COUNT);
        deployed.await.expect("deployed");
    }
    let linked = deployment.link(CALLER, CALLEE, "echo").await;
    linked.expect("linked");
    let relay = deployment.peer(CALLER).await.expect("a peer");
    (deployment, relay)
}

#[tokio::test]
async fn a_callee_whose_callers_hold_all_the_room_does_not_run_and_that_is_said_at_once(
) -> anyhow::Result<()> {
    let nats = nats().await;
    for route in Route::LOCAL {
        for mode in ["require", "prefer"] {
            let (deployment, relay) = deploy_relay(&nats, route, mode, 1).await;
            // One that upstream's transport loses does not get there.
            let mut attempts = 0..ATTEMPTS;
            while used_up(&deployment).await == 0 {
                attempts.next().expect("a call gets there");
                let begun = Instant::now();
                let answer = relay.call::<_, (u32,)>(ECHO, "ping", (1_u32,)).await;
                answer.expect_err("there is no room for the callee");
                let took = begun.elapsed();
                assert!(took < AT_ONCE, "over {route:?}: {took:?}");
            }
            let status = deployment.host().status().await?;
            assert_eq!(status["calls"]["spilled"], 0, "over {route:?}");
            for part in [
                "--max-components",
                "had no room for the call",
                "did not run",
                &format!("{ECHO}.ping"),
                &format!(".{CALLEE}"),
            ] {
                let line = deployment.host().wait_for_log(part, PROMPTLY).await;
                line.unwrap_or_else(|error| panic!("over {route:?} `{part}`: {error:#}"));
            }
        }
        // Where there is room for both, they are answered.
        let (_deployment, relay) = deploy_relay(&nats, route, "prefer", 2).await;
        let mut failed = Vec::new();
        let answer = loop {
            match relay.call::<_, (u32,)>(ECHO, "ping", (1_u32,)).await {
                Ok((n,)) => break n,
                Err(error) => failed.push(format!("{error:#}")),
            }
            assert!(failed.len() < ATTEMPTS, "over {route:?}: {failed:#?}");
        };
        assert_eq!(answer, 2, "over {route:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_there_is_no_room_for_here_is_answered_by_the_other_host() -> anyhow::Result<()>
{
    /// NATS gives about half of them to this host, where they fail.
    const CALLS: u32 = 40;
    let nats = nats().await;
    for route in Route::LOCAL {
        let (mut deployment, relay) = deploy_relay(&nats, route, "prefer", 1).await;
        let number = deployment.add_host(route.host()).await?;
        let folder = tempfile::tempdir()?;
        let other = &deployment.hosts()[number];
        let callee = callee(folder.path());
        let deployed = deployment.deploy_on(other, &callee, CALLEE, DEFAULT_COUNT);
        deployed.await?;
        let mut failed = Vec::new();
        for n in 0..CALLS {
            match relay.call::<_, (u32,)>(ECHO, "ping", (n,)).await {
                Ok((answer,)) => {
                    assert_eq!(answer, n + 1, "over {route:?}");
                    break;
                }
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        assert!(failed.len() < CALLS as usize, "over {route:?}: {failed:#?}");
        let status = deployment.host().status().await?;
        let spilled = status["calls"]["spilled"].as_u64().expect("a number");
        assert!(spilled > 0, "over {route:?}: {status}");
    }
    Ok(())
}
