//! Records of calls in memory, as a subscriber sees them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use inhost_testbed::{found, settle, Deployment, NatsServer, Search, CALLEE, CALLER, ECHO};
use serde_json::Value;

use crate::support::{nats, promptly, until, Hosts as _, Route, PROMPTLY};

async fn next(records: &mut async_nats::Subscriber) -> Value {
    let message = promptly("there is no record", records.next()).await;
    let message = message.expect("a record");
    serde_json::from_slice(&message.payload).expect("JSON")
}

/// With all that is known of the call, and nothing of what it carried.
#[tokio::test]
async fn each_call_in_memory_has_a_record() -> anyhow::Result<()> {
    const SECRET: &str = "do not tell anyone";
    let nats = nats().await;
    for (route, backend) in [(Route::Duplex, "duplex"), (Route::Mpsc, "mpsc")] {
        let host = route.host().arg("--local-dispatch-tap");
        let deployment = host.start_pair_on(&nats).await;
        let lattice = deployment.lattice();
        let subject = format!("wasmbus.local.{lattice}.tap");
        let records = deployment.client().subscribe(subject.clone()).await;
        let mut records = records.expect("subscribed");
        settle(deployment.client()).await?;
        let driver = deployment.driver().await?;

        assert_eq!(driver.ping(1).await?, 2);
        let record = next(&mut records).await;
        let keys: Vec<_> = record.as_object().expect("an object").keys().collect();
        let expected = [
            "backend",
            "callee_us",
            "duration_us",
            "ended_unix_ms",
            "headers",
            "outcome",
            "params_bytes",
            "queued_us",
            "results_bytes",
            "subject",
        ];
        assert_eq!(keys, expected);
        let called = format!("{lattice}.{CALLEE}.wrpc.0.0.1.{ECHO}.ping");
        assert_eq!(record["subject"], called);
        assert_eq!(record["headers"]["source-id"][0], CALLER);
        assert_eq!(record["headers"]["link-name"][0], "default");
        assert_eq!(record["backend"], backend);
        assert_eq!(record["outcome"], "completed");
        assert_eq!(
            (&record["params_bytes"], &record["results_bytes"]),
            (&1.into(), &1.into())
        );
        let duration = record["duration_us"].as_u64().expect("a number");
        assert!(record["callee_us"].as_u64().expect("a number") <= duration);

        let trapped = driver.call_trap(SECRET).await;
        trapped.expect_err("the callee traps");
        let record = next(&mut records).await;
        assert_eq!(record["outcome"], "failed");
        assert!(!record.to_string().contains(SECRET), "{record}");

        // A record is counted a moment after it was sent.
        let counted = found("both are not counted", PROMPTLY, async || {
            let status = deployment.host().status().await?;
            Ok((status["tap"]["published"] == 2).then_some(status))
        });
        let tap = &counted.await.expect("both are counted")["tap"];
        assert_eq!(
            (&tap["subject"], &tap["dropped"]),
            (&subject.into(), &0.into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn records_go_to_the_subject_that_is_given_and_calls_over_nats_have_none(
) -> anyhow::Result<()> {
    let nats = nats().await;
    let tapped = |route: Route| {
        let host = route.host();
        host.env("WASMCLOUD_LOCAL_DISPATCH_TAP", "calls.{lattice}")
    };
    let remote = Deployment::start_on(nats.clone(), tapped(Route::Nats)).await?;
    let local = Deployment::start_on(nats, tapped(Route::Duplex)).await?;
    let records = remote.client().subscribe("calls.*").await;
    let mut records = records.expect("subscribed");
    settle(remote.client()).await?;
    for deployment in [&remote, &local] {
        deployment.deploy_pair().await?;
        let driver = deployment.driver().await?;
        assert_eq!(driver.ping(1).await?, 2);
    }
    let message = promptly("there is no record", records.next()).await;
    let message = message.expect("a record");
    assert_eq!(&*message.subject, format!("calls.{}", local.lattice()));
    let more = tokio::time::timeout(Duration::from_millis(50), records.next()).await;
    more.expect_err("one call was made in memory");
    Ok(())
}

/// A nats-server on which no one may publish where records of calls go.
async fn nats_that_denies(folder: &Path) -> NatsServer {
    let found = tokio::task::spawn_blocking(|| Search::from_env().find()).await;
    let found = found.expect("no panic").expect("there is a nats-server");
    let config = folder.join("nats.conf");
    let users =
        r#"{ user: any, password: any, permissions: { publish: { deny: "wasmbus.local.>" } } }"#;
    let text = format!("authorization {{ users: [ {users} ] }}\nno_auth_user: any\n");
    std::fs::write(&config, text).expect("written");
    let binary = folder.join("nats-server");
    let (server, config) = (found.binary.display(), config.display());
    let script = format!("#!/bin/sh\nexec '{server}' --config '{config}' \"$@\"\n");
    std::fs::write(&binary, script).expect("written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&binary, executable).expect("executable");
    let started = NatsServer::start_binary(&binary).await;
    started.expect("nats-server starts")
}

#[tokio::test]
async fn a_tap_that_is_denied_says_so_once() -> anyhow::Result<()> {
    const CALLS: u32 = 50;
    let folder = tempfile::tempdir()?;
    let nats = Arc::new(nats_that_denies(folder.path()).await);
    let host = Route::Duplex.host().arg("--local-dispatch-tap");
    let deployment = host.start_pair_on(&nats).await;
    let driver = deployment.driver().await?;
    for n in 0..CALLS {
        assert_eq!(driver.ping(n).await?, n + 1);
    }
    let host = deployment.host();
    let said = host.wait_for_log("does not let this host publish there", PROMPTLY);
    said.await.expect("it says so");
    until("records are not counted as dropped", async || {
        let status = host.status().await.expect("the host lists its tap");
        status["tap"]["dropped"] == CALLS && status["tap"]["published"] == 0
    })
    .await;
    let lines = host.log_lines();
    let about = |text: &str| {
        lines
            .iter()
            .filter(|line| line.to_lowercase().contains(text))
            .count()
    };
    assert_eq!(about("does not let this host publish there"), 1);
    // Once by the client for NATS, and once by the host, which repeats it.
    assert_eq!(about("permissions violation"), 2, "{}", lines.join("\n"));
    Ok(())
}
