//! The log of a host looks as that of the stock host does, whoever writes it.

use std::sync::Arc;

use inhost_testbed::{Guest, HostBuilder, NatsServer, CALLEE};

use crate::support::{nats, promptly, Hosts as _, Route, PROMPTLY};

/// Says nothing, in words that only the subscriber of the published crates understands: a span of
/// that name is never made.
const OF_THE_PUBLISHED_CRATES: &str = "[no-such-span]=off";

/// What `host` logs of a call without a link, from the level on: the time is left out.
async fn warning(nats: &Arc<NatsServer>, host: HostBuilder) -> String {
    let deployment = host.start_pair_on(nats).await;
    let driver = deployment.driver().await.expect("the caller");
    let called = promptly("there is no answer", driver.call_unlinked()).await;
    called.expect_err("there is no link");
    let line = deployment.host().wait_for_log("not linked", PROMPTLY).await;
    let line = line.expect("the reason is in the log");
    let (_, rest) = line.split_once("WARN").expect("a warning");
    rest.to_owned()
}

#[tokio::test]
async fn a_line_has_the_same_span_and_the_same_fields_as_one_of_the_published_crates() {
    let nats = nats().await;
    for json in [false, true] {
        let host = || {
            let host = Route::Duplex.host();
            match json {
                true => host.arg("--enable-structured-logging"),
                false => host,
            }
        };
        let ours = warning(&nats, host()).await;
        let theirs = warning(&nats, host().env("RUST_LOG", OF_THE_PUBLISHED_CRATES)).await;
        assert_eq!(ours, theirs);
        for part in [
            "component_invocation",
            "inhost:demo/unlinked",
            "wasmcloud_host",
        ] {
            assert!(ours.contains(part), "`{part}` is missing in: {ours}");
        }
    }
}

#[tokio::test]
async fn rust_log_chooses_what_is_logged_of_which_part() -> anyhow::Result<()> {
    let nats = nats().await;
    let host = Route::Duplex
        .host()
        .env("RUST_LOG", "wasmcloud_host=error,inhost=debug");
    let deployment = host.start_pair_on(&nats).await;
    let driver = deployment.driver().await?;
    driver.call_unlinked().await.expect_err("there is no link");
    // Complete once the host has ended.
    let log = deployment.host().log().clone();
    deployment.stop().await.expect("it stops");
    let lines = log.lines();
    let of = |target: &str| lines.iter().filter(|line| line.contains(target)).count();
    assert_eq!(of(" WARN wasmcloud_host"), 0, "{lines:#?}");
    assert_ne!(of(" INFO inhost"), 0, "{lines:#?}");
    Ok(())
}

#[tokio::test]
async fn a_flood_of_events_is_no_flood_of_lines() {
    /// More than a subscription holds.
    const MANY: usize = 300_000;
    let nats = nats().await;
    let host = Route::Duplex.host().arg("--local-http=a.local=callee");
    let deployment = host.start_pair_on(&nats).await;
    let (client, lattice) = (deployment.client(), deployment.lattice());
    let event = serde_json::json!({"source": "A", "data": {
        "host_id": "A", "component_id": CALLEE, "image_ref": "file:///a", "max_instances": 1,
    }});
    let event = event.to_string();
    for name in [
        "config_set",
        "component_scaled",
        "component_scale_failed",
        "host_heartbeat",
    ] {
        let subject = format!("wasmbus.evt.{lattice}.{name}");
        for _ in 0..MANY {
            let sent = client.publish(subject.clone(), event.clone().into()).await;
            sent.expect("sent");
        }
    }
    client.flush().await.expect("flushed");
    let driver = deployment.driver().await.expect("the caller");
    assert_eq!(driver.ping(1).await.expect("an answer"), 2);
    let reference = Guest::Callee.reference().expect("the callee");
    let host = deployment.host();
    // It is heard after all that came before.
    let scaled = deployment
        .control()
        .scale(host.id(), &reference, CALLEE, 7)
        .await;
    scaled.expect("scaled");
    let lines = host.log().lines();
    let drops = lines
        .iter()
        .filter(|line| line.contains("slow consumer"))
        .count();
    assert!(drops < 60, "{drops} of {} lines", lines.len());
}
