//! Calls that wait for an instance while their callee is updated, scaled and stopped.

use std::sync::Arc;
use std::time::Duration;

use inhost_testbed::{Deployment, Guest, HeldTally, HostBuilder, NatsServer, Peer, CALLEE, ECHO};
use tokio::task::JoinSet;

use crate::support::{held_tally, nats, promptly, until, Hosts as _, Route, PROMPTLY};

fn reference(guest: Guest) -> String {
    guest.reference().expect("a reference")
}

/// A callee with one instance, which is busy for as long as its tally holds the answer.
struct Busy {
    deployment: Deployment,
    tally: HeldTally,
}

impl Busy {
    async fn start(nats: &Arc<NatsServer>, host: HostBuilder) -> Self {
        let deployment = host.start_on(nats).await;
        let deployed = deployment.deploy(Guest::Callee, CALLEE, 1).await;
        deployed.expect("deployed");
        let tally = held_tally(&deployment).await;
        Self { deployment, tally }
    }

    async fn peer(&self) -> Peer {
        let peer = self.deployment.peer(CALLEE).await.expect("a peer");
        peer.with_deadline(ALL_OF_THEM)
    }

    /// Answers one after the other until so many calls have begun.
    async fn release(&self, calls: usize) {
        let released = self.tally.release_until(calls, ALL_OF_THEM).await;
        released.expect("they are begun");
        while self.tally.release().is_some() {}
    }
}

/// Calls that wait for one instance.
const ALL_OF_THEM: Duration = Duration::from_secs(60);

/// Calls from elsewhere, of which at each scale one has left its subscription and waits for an instance.
#[tokio::test]
async fn what_was_taken_over_nats_and_waits_is_begun_once_through_scales_and_updates() {
    const CALLS: u64 = 30;
    let nats = nats().await;
    for route in Route::LOCAL {
        let busy = Busy::start(&nats, route.host()).await;
        let peer = busy.peer().await;
        let mut calls = JoinSet::new();
        for id in 0..CALLS {
            let peer = peer.clone();
            calls.spawn(async move {
                if id % 2 == 0 {
                    let answer = peer.call::<_, (u64,)>(ECHO, "count", (id,)).await;
                    assert_eq!(answer.expect("an answer"), (id,));
                } else {
                    let answer = peer.call::<_, ()>(ECHO, "note", (id,)).await;
                    answer.expect("it ran");
                }
            });
        }
        let (control, host) = (busy.deployment.control(), busy.deployment.host());
        for round in 0..6_u32 {
            // Until another one has begun, and with it the version that serves.
            let begun = busy.tally.wait_for(1 + round as usize, PROMPTLY).await;
            begun.expect("the new version begins one");
            if round % 3 == 2 {
                let guest = [Guest::CalleeV2, Guest::Callee][round as usize / 3];
                let updated = control.update(host.id(), &reference(guest), CALLEE).await;
                updated.expect("updated");
                let lattice = host.lattice();
                host.wait_for_log("the new version of a component serves", PROMPTLY)
                    .await
                    .unwrap_or_else(|error| panic!("{lattice}: {error}"));
            } else {
                let inventory = control.inventory(host.id()).await.expect("an inventory");
                let image = inventory
                    .component(CALLEE)
                    .expect("it runs")
                    .image_ref
                    .clone();
                let count =
                    1 + u32::from(inventory.component(CALLEE).expect("it runs").max_instances == 1);
                let scaled = control.scale(host.id(), &image, CALLEE, count).await;
                scaled.expect("scaled");
            }
        }
        busy.release(CALLS as usize).await;
        let mut begun = busy.tally.arrived();
        begun.sort_unstable();
        assert_eq!(begun, Vec::from_iter(0..CALLS), "over {route:?}");
        while let Some(answered) = calls.join_next().await {
            answered.expect("no call fails");
        }
    }
}

/// A caller that waits hears of it at once, and nothing of it runs afterwards.
#[tokio::test]
async fn what_was_taken_over_nats_and_waits_has_not_run_when_the_component_is_stopped() {
    /// What the host library says of a call that it has taken.
    const TAKEN: &str = "accepted invocation, acquiring permit";
    let nats = nats().await;
    for route in Route::LOCAL {
        let host = route.host().env("RUST_LOG", "info,wasmcloud_host=debug");
        let busy = Busy::start(&nats, host).await;
        let peer = busy.peer().await;
        let mut calls = JoinSet::new();
        for id in 0..2_u64 {
            let call = peer.clone();
            calls.spawn(async move { call.call::<_, (u64,)>(ECHO, "count", (id,)).await });
            let begun = busy.tally.wait_for(1, PROMPTLY).await;
            begun.expect("the first one begins");
        }
        let host = busy.deployment.host();
        until("the second is not taken", async || {
            let lines = host.log_lines();
            let taken = lines.iter().filter(|it| it.contains(TAKEN));
            taken.count() == 2
        })
        .await;
        let stopped = busy.deployment.control().stop_component(host.id(), CALLEE);
        stopped.await.expect("stopped");
        let failed = promptly("no call ends", calls.join_next()).await;
        let failed = failed.expect("a call").expect("it ends");
        failed.expect_err("it did not run");
        let said = host
            .wait_for_log("calls that waited for it did not run", PROMPTLY)
            .await;
        said.expect("the log says so");
        busy.release(1).await;
        assert_eq!(busy.tally.arrived().len(), 1, "over {route:?}");
    }
}
