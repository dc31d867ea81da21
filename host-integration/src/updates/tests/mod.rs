//! The watch beside a host that does what the host library does with commands.

use std::time::Duration;

use inhost_testbed::NatsServer;
use wrpc_transport_nats::local::{Config, Mode};

use host::{until, Simulated, NOTHING};

mod host;
mod programs;

async fn nats() -> NatsServer {
    NatsServer::start().await.expect("a NATS server")
}

async fn start(nats: &NatsServer) -> Simulated {
    Simulated::start(nats, Config::default()).await
}

/// One that runs three instances of `v1` with the configuration `a`.
async fn running(nats: &NatsServer) -> Simulated {
    let host = start(nats).await;
    host.scale("v1", 3, &["a"]).await;
    host.until_serves("v1").await;
    host
}

/// Waits until one version is there, and nothing is under way.
async fn settled(host: &Simulated, count: u64, config: &[&str]) {
    let config: Vec<_> = config.iter().map(ToString::to_string).collect();
    until(
        "the host has on record what was chosen, and serves it",
        || async {
            host.generations() == 1 && host.on_record().await == Some((count, config.clone()))
        },
    )
    .await;
}

#[tokio::test]
async fn an_update_takes_effect_in_each_mode() {
    let nats = nats().await;
    for (mode, own) in [
        (Mode::Prefer, None),
        (Mode::Require, None),
        (Mode::Prefer, Some(Mode::Off)),
        (Mode::Off, Some(Mode::Prefer)),
    ] {
        for config in [&[][..], &["a"], &["a", "b"]] {
            let mut local = Config {
                mode,
                ..Config::default()
            };
            let own = own.map(|own| (host::ID.into(), own));
            local.targets.extend(own);
            let host = Simulated::start(&nats, local).await;
            host.scale("v1", 3, config).await;
            host.until_serves("v1").await;
            host.update("v2").await;
            host.until_serves("v2").await;
            settled(&host, 3, config).await;
            for _ in 0..10 {
                assert_eq!(host.call("version").await.as_deref(), Ok("v2"));
            }
            if !config.is_empty() {
                assert!(
                    host.asked().iter().all(|count| *count == 3),
                    "{:?}",
                    host.asked()
                );
            }
            host.scale("v2", 0, &[]).await;
            until("no one serves", || async { host.generations() == 0 }).await;
            host.call("version").await.expect_err("it was stopped");
        }
    }
}

#[tokio::test]
async fn an_update_takes_effect_whatever_is_said_of_components_that_there_are_not() {
    let nats = nats().await;
    let host = running(&nats).await;
    let (long, longer) = ("e".repeat(10_000), "e".repeat(100_000));
    for number in 0..3000 {
        let error = match number % 100 {
            0 => &*longer,
            1..=50 => &*long,
            _ => "",
        };
        host.make_up(&format!("made-up-{number}"), error).await;
        host.make_up(host::ID, &longer[..number]).await;
    }
    host.make_up(&longer, "").await;
    host.make_up(host::ID, &longer).await;
    host.update("v2").await;
    host.until_serves("v2").await;
    settled(&host, 3, &["a"]).await;
}

#[tokio::test]
async fn what_the_new_version_lacks_is_not_served_any_more() {
    let nats = nats().await;
    let host = start(&nats).await;
    host.scale("v1+old", 3, &["a"]).await;
    host.until_serves("v1+old").await;
    assert_eq!(host.call("v1+old").await.as_deref(), Ok("v1+old"));
    host.update("v2+new").await;
    host.until_serves("v2+new").await;
    assert_eq!(host.call("v2+new").await.as_deref(), Ok("v2+new"));
    host.call("v1+old").await.expect_err("no version has it");
}

#[tokio::test]
async fn an_update_that_is_refused_leaves_the_old_version_until_it_is_permitted() {
    let nats = nats().await;
    for config in [&[][..], &["a"]] {
        let host = start(&nats).await;
        host.scale("v1", 3, config).await;
        host.until_serves("v1").await;
        host.deny(true);
        host.update("v2").await;
        until("policy was asked", || async { host.asked().len() > 1 }).await;
        for _ in 0..100 {
            assert_eq!(host.call("version").await.as_deref(), Ok("v1"));
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        assert_eq!(host.asked().len(), 2, "it is not asked over and over");
        host.deny(false);
        // The host has it on record: it does nothing.
        host.update("v2").await;
        host.until_serves("v2").await;
        settled(&host, 3, config).await;
    }
}

#[tokio::test]
async fn a_scale_of_others_makes_the_new_version_serve_where_the_watch_may_send_none() {
    let users = r#"authorization { users: [
        { user: all, password: all },
        { user: watch, password: watch, permissions: { publish: { deny: ["wasmbus.ctl.v1.*.component.>"] } } },
    ] }
    no_auth_user: all
    "#;
    let nats = NatsServer::start_with(users).await.expect("a NATS server");
    let watch = nats
        .client_as("watch", "watch")
        .await
        .expect("a connection");
    let host = Simulated::start_with(&nats, Config::default(), watch).await;
    host.scale("v1", 1, &[]).await;
    host.until_serves("v1").await;
    host.update("v2").await;
    until("the host has it on record", || async {
        host.reference().await.as_deref() == Some("v2")
    })
    .await;
    assert_eq!(host.call("version").await.as_deref(), Ok("v1"));
    host.scale("v2", 3, &[]).await;
    host.until_serves("v2").await;
    settled(&host, 3, &[]).await;
}

#[tokio::test]
async fn after_a_stop_an_old_version_that_has_no_handle_does_not_serve() {
    let nats = nats().await;
    let host = running(&nats).await;
    host.deny(true);
    host.update("v2").await;
    until("policy was asked", || async { host.asked().len() > 1 }).await;
    assert_eq!(host.call("version").await.as_deref(), Ok("v1"));
    host.deny(false);
    host.scale("v2", 0, &[]).await;
    until("no one serves", || async { host.generations() == 0 }).await;
    host.call("version").await.expect_err("it was stopped");
    // And nothing of it comes back.
    host.scale("v3", 2, &[]).await;
    host.until_serves("v3").await;
    settled(&host, 2, &[]).await;
}

/// The host answers the inventory between the stop and the end of the update, which then puts the
/// component on record again.
#[tokio::test]
async fn a_stop_holds_when_an_update_ends_while_the_inventory_is_asked_for() {
    let nats = nats().await;
    let host = running(&nats).await;
    host.fetching_takes(Duration::from_millis(400));
    host.update("v2").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    host.fetching_takes(Duration::ZERO);
    host.scale("v1", 0, &[]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    host.reconnected();
    until("it was stopped twice, and is not on record", || async {
        host.asked() == [3, 0, 0] && host.on_record().await.is_none()
    })
    .await;
    assert_eq!(host.generations(), 0);
}

#[tokio::test]
async fn updates_of_another_component_that_fail_again_and_again_do_not_keep_one_from_taking_effect()
{
    let nats = nats().await;
    let host = running(&nats).await;
    host.start_other().await;
    let fail = async {
        loop {
            host.update_other().await;
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
    };
    let takes_effect = async {
        host.update("v2").await;
        host.until_serves("v2").await;
    };
    tokio::select! {
        () = fail => {}
        () = takes_effect => {}
    }
}

#[tokio::test]
async fn a_version_that_exports_nothing_is_not_made_anew_and_the_old_one_goes_on() {
    let nats = nats().await;
    let host = running(&nats).await;
    host.update(NOTHING).await;
    let on_record = || async { host.reference().await.as_deref() == Some(NOTHING) };
    until("it is on record", on_record).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(host.asked(), [3], "nothing is made");
    assert_eq!(host.call("version").await.as_deref(), Ok("v1"));
    host.update("v2").await;
    host.until_serves("v2").await;
    settled(&host, 3, &["a"]).await;
    host.update(NOTHING).await;
    until("it is on record", on_record).await;
    host.scale(NOTHING, 0, &[]).await;
    until("no one serves", || async { host.generations() == 0 }).await;
}

#[tokio::test]
async fn what_a_refused_command_named_is_not_sent() {
    let nats = nats().await;
    let host = running(&nats).await;
    host.scale("v1", 99, &["missing"]).await;
    host.update("v2").await;
    host.until_serves("v2").await;
    settled(&host, 3, &["a"]).await;
    assert_eq!(host.asked().iter().filter(|count| **count == 99).count(), 1);
}

#[tokio::test]
async fn an_image_and_a_scale_in_one_command() {
    let nats = nats().await;
    for (count, config) in [(5, &["a"][..]), (3, &["b"]), (3, &["a"])] {
        let host = running(&nats).await;
        host.scale("v2", count, config).await;
        host.until_serves("v2").await;
        settled(&host, count, config).await;
    }
}

/// The reference that the watch waits for comes with a scale, which leaves the code.
#[tokio::test]
async fn a_reference_that_comes_with_a_scale_is_not_taken_for_its_code() {
    let nats = nats().await;
    let host = running(&nats).await;
    host.scale("bad", 5, &["a"]).await;
    let back = || async { host.reference().await.as_deref() == Some("v1") };
    until(
        "the watch has it updated to v1, and then to what fails",
        back,
    )
    .await;
    host.scale_only("bad", 2, &["a"]).await;
    let taken = || async { host.reference().await.as_deref() == Some("bad") };
    until("the host has taken it", taken).await;
    until("the watch does so again", back).await;
    host.scale("v2", 4, &["a"]).await;
    host.until_serves("v2").await;
    settled(&host, 4, &["a"]).await;
}

#[tokio::test]
async fn commands_that_come_while_an_update_is_under_way_count() {
    let nats = nats().await;
    let host = start(&nats).await;
    host.fetching_takes(Duration::from_millis(20));
    host.scale("v1", 3, &[]).await;
    host.until_serves("v1").await;
    for round in 0..5 {
        let (one, two) = (format!("v2-{round}"), format!("v3-{round}"));
        host.update(&one).await;
        host.scale(&one, 7 + round, &["a"]).await;
        host.update(&two).await;
        until("what is on record serves", || async {
            let version = host.call("version").await.expect("no call fails");
            host.generations() == 1 && host.reference().await == Some(version)
        })
        .await;
        settled(&host, 7 + round, &["a"]).await;
    }
}

/// Callers see one change, and no call fails.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_versions_follow_each_other() {
    let nats = nats().await;
    let host = start(&nats).await;
    host.scale("1", 3, &["a"]).await;
    host.until_serves("1").await;
    let host = std::sync::Arc::new(host);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers = (0..8).map(|_| {
        let (host, over) = (std::sync::Arc::clone(&host), std::sync::Arc::clone(&over));
        tokio::spawn(async move {
            let mut newest = 1;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let version = host.call("version").await.expect("no call fails");
                let version: u32 = version.parse().expect("a number");
                assert!(version >= newest, "{version} after {newest}");
                newest = version;
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for version in 2..12 {
        host.update(&version.to_string()).await;
        host.until_serves(&version.to_string()).await;
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("a caller");
    }
}
