//! Updates that the host cannot complete, time and again: the version before serves, for all who call it.

use std::sync::Arc;

use inhost_testbed::{
    Deployment, Driver, Guest, HostBuilder, Link, Log, NatsServer, Peer, CALLEE, CALLER,
    DEFAULT_COUNT,
};
use serde_json::json;

use crate::support::callers::{version_over_nats, Callers};
use crate::support::rounds::rounds;
use crate::support::{until, Hosts as _, Route};

/// How many calls are made after an update, from a component and over NATS.
const CALLS: usize = 20;

/// Why an update cannot be completed.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// The host's credentials may not publish `component.scale`.
    NotAllowed,
    /// The command names a configuration that does not exist.
    NoConfiguration,
}

impl Why {
    const ALL: [Self; 2] = [Self::NotAllowed, Self::NoConfiguration];

    /// What is written, and where, each time that the host was to make the component anew.
    fn tried(self, deployment: &Deployment) -> usize {
        let (log, line): (&Log, _) = match self {
            Self::NotAllowed => (deployment.nats().log(), "Publish Violation"),
            Self::NoConfiguration => (deployment.host().log(), "failed to scale component"),
        };
        let lines = log.lines();
        lines.iter().filter(|it| it.contains(line)).count()
    }
}

/// A host on which the caller runs.
struct Stage {
    why: Why,
    deployment: Deployment,
    driver: Driver,
}

/// A component that cannot be updated any more, which the caller is linked to.
struct Stuck {
    id: String,
    peer: Peer,
}

impl Stage {
    async fn start(why: Why, host: HostBuilder) -> Self {
        let nats = NatsServer::start_with(&nats_config("")).await;
        let nats = Arc::new(nats.expect("nats-server starts"));
        let deployment = host.start_on(&nats).await;
        let deployed = deployment.deploy(Guest::Caller, CALLER, DEFAULT_COUNT);
        deployed.await.expect("deployed");
        Self {
            why,
            driver: deployment.driver().await.expect("the caller"),
            deployment,
        }
    }

    /// Another component each time: the host goes on to try what it could not complete.
    async fn component(&self, round: usize) -> Stuck {
        const DENIED: &str = r#""wasmbus.ctl.v1.*.component.scale.>""#;
        let deployment = &self.deployment;
        let id = format!("{CALLEE}-{round}");
        let deployed = deployment.deploy(Guest::Callee, &id, DEFAULT_COUNT).await;
        deployed.expect("deployed");
        deployment.link(CALLER, &id, "echo").await.expect("linked");
        if let Why::NotAllowed = self.why {
            let denied = deployment.nats().reload(&nats_config(DENIED)).await;
            denied.expect("denied");
        }
        let peer = deployment.peer(&id).await.expect("a peer");
        Stuck { id, peer }
    }

    /// Updates the component, and returns when the host has failed to make the new version serve.
    async fn update(&self, component: &Stuck) {
        let before = self.why.tried(&self.deployment);
        let (control, host) = (self.deployment.control(), self.deployment.host());
        let reference = Guest::CalleeV2.reference().expect("a reference");
        match self.why {
            Why::NotAllowed => {
                let updated = control.update(host.id(), &reference, &component.id).await;
                updated.expect("the host has it on record");
            }
            Why::NoConfiguration => {
                let command = json!({
                    "host_id": host.id(),
                    "component_id": component.id,
                    "component_ref": reference,
                    "count": DEFAULT_COUNT,
                    "config": ["missing"],
                    "allow_update": true,
                });
                let operation = format!("component.scale.{}", host.id());
                let accepted = control.request(&operation, &command).await;
                accepted.expect("accepted before it is tried");
            }
        }
        until("the host does not try", async || {
            self.why.tried(&self.deployment) > before
        })
        .await;
    }

    /// Checks that the old version answers, from a component and over NATS.
    async fn assert_old_version(&self, component: &Stuck, what: &str) {
        for _ in 0..CALLS {
            let version = self.driver.call_version().await;
            assert_eq!(version.expect("an answer"), 1, "{what}");
            let version = version_over_nats(&component.peer).await;
            assert_eq!(version.expect("an answer"), 1, "{what}, over NATS");
        }
    }

    async fn end(&self, Stuck { id, .. }: Stuck) {
        let (control, host) = (self.deployment.control(), self.deployment.host());
        let allowed = self.deployment.nats().reload(&nats_config("")).await;
        allowed.expect("allowed");
        let stopped = control.stop_component(host.id(), &id).await;
        stopped.expect("stopped");
        let link = Link::new(CALLER, &id, "inhost:demo", "echo");
        control.link_del(&link).await.expect("removed");
    }
}

/// What those who do not say who they are, as all here, may not publish.
fn nats_config(denied: &str) -> String {
    let all =
        format!("user: all, password: all, permissions: {{ publish: {{ deny: [{denied}] }} }}");
    format!("authorization {{ users: [ {{ {all} }} ] }}\nno_auth_user: all\n")
}

/// Makes rounds of updates, with `callers` callers meanwhile.
async fn the_old_version_answers(callers: usize) {
    for route in Route::LOCAL {
        for why in Why::ALL {
            let stage = Stage::start(why, route.host()).await;
            for round in 0..rounds(3) {
                let what = format!("over {route:?}, {why:?}, round {round}");
                let component = stage.component(round).await;
                if callers == 0 {
                    stage.update(&component).await;
                } else {
                    let callers =
                        Callers::start(&stage.driver, callers).and_over_nats(&component.peer);
                    stage.update(&component).await;
                    callers.end().await.assert_all_of(1, &what);
                }
                stage.assert_old_version(&component, &what).await;
                stage.end(component).await;
            }
        }
    }
}

#[tokio::test]
async fn after_an_update_that_is_never_completed_the_old_version_answers() {
    the_old_version_answers(0).await;
}

#[tokio::test]
async fn callers_do_not_notice_an_update_that_is_never_completed() {
    the_old_version_answers(16).await;
}
