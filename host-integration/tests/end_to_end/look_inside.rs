//! What the host lists about itself, as JSON and in a browser.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use inhost_testbed::{found, get_text, Host, CALLEE, CALLER, ECHO};
use serde_json::{json, Value};

use crate::support::{nats, on_routes, Hosts as _, Route, PROMPTLY};

on_routes! { OURS:
    calls_are_counted_for_each_function,
}

/// A browser that has to start, on a busy machine.
const BROWSER_DEADLINE: Duration = Duration::from_secs(60);

/// What the host lists once no call is under way. An answer is there before the callee is done with its call.
async fn status_when_idle(host: &Host) -> Value {
    let idle = found("a call does not end", PROMPTLY, async || {
        let status = host.status().await?;
        Ok((status["in_flight"] == 0).then_some(status))
    });
    idle.await.expect("the calls end")
}

/// What was counted of the callee's function.
fn counted<'a>(status: &'a Value, function: &str) -> &'a Value {
    let functions = status["functions"].as_array().expect("a list");
    let mut of_callee = functions.iter().filter(|it| {
        let prefix = it["prefix"].as_str().unwrap_or_default();
        prefix.ends_with(&format!(".{CALLEE}"))
    });
    of_callee
        .find(|it| it["instance"] == ECHO && it["function"] == function)
        .unwrap_or_else(|| panic!("{function} is not listed: {status:#}"))
}

async fn calls_are_counted_for_each_function(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = route.pair().await?;
    for n in 0..3 {
        assert_eq!(driver.ping(n).await?, n + 1);
    }
    let trapped = driver.call_trap("on purpose").await;
    trapped.expect_err("the callee traps");

    let status = status_when_idle(deployment.host()).await;
    assert_eq!(status["host"], deployment.host().id());
    let (local, remote) = match route.is_local() {
        false => (0, 3),
        true => (3, 0),
    };
    let ping = counted(&status, "ping");
    let expected = json!({
        "local": local, "remote": remote, "spilled": 0, "fallback": 0, "refused": 0,
    });
    assert_eq!(ping["calls"], expected);
    assert_eq!(ping["served"], route != Route::Nats);
    assert_eq!(
        (&ping["in_flight"], &ping["queued"]),
        (&0.into(), &0.into())
    );
    let bytes = (&ping["params_bytes"], &ping["results_bytes"]);
    assert_eq!(bytes, (&local.into(), &local.into()));
    let failed = u64::from(route != Route::Nats);
    assert_eq!(counted(&status, "trap")["failures"]["failed"], failed);

    let slowest = status["slowest"].as_array().expect("a list");
    assert_eq!(slowest.len(), 4 * usize::from(route != Route::Nats));
    let durations: Vec<_> = slowest
        .iter()
        .map(|it| it["duration_us"].as_u64())
        .collect();
    assert!(durations.is_sorted_by(|a, b| a >= b), "{durations:?}");
    let traps = slowest.iter().filter(|it| it["outcome"] == "failed");
    assert_eq!(traps.count() as u64, failed);
    assert_eq!(status["tap"], Value::Null);
    Ok(())
}

/// The browser to test with: the environment variable CHROME, or one of these on PATH.
fn browser() -> Option<PathBuf> {
    if let Some(browser) = std::env::var_os("CHROME") {
        return Some(browser.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut folders = std::env::split_paths(&path);
    folders.find_map(|folder| {
        let mut found = names.iter().map(|name| folder.join(name));
        found.find(|browser| browser.is_file())
    })
}

/// What a page looks like to a browser after its script has run for some seconds.
async fn dom(browser: PathBuf, url: &str) -> String {
    let profile = tempfile::tempdir().expect("a folder");
    let mut data = std::ffi::OsString::from("--user-data-dir=");
    data.push(profile.path());
    let run = tokio::process::Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args(["--disable-sync", "--disable-dev-shm-usage"])
        .arg(data)
        .args(["--virtual-time-budget=5000", "--dump-dom", url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BROWSER_DEADLINE, run).await;
    let output = output.expect("in time").expect("the browser runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the browser failed: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[expect(
    clippy::print_stderr,
    reason = "that a test did not test is to be seen"
)]
#[tokio::test]
async fn a_browser_shows_the_page_and_keeps_it_up_to_date() -> anyhow::Result<()> {
    let Some(browser) = browser() else {
        eprintln!(
            "skipped: there is no browser. Put chromium on PATH, or name one in the environment variable CHROME"
        );
        return Ok(());
    };
    let deployment = Route::Duplex.start_pair_on(&nats().await).await;
    let driver = deployment.driver().await?;
    for n in 0..7 {
        assert_eq!(driver.ping(n).await?, n + 1);
    }
    let address = deployment.host().status_address().expect("an address");
    let page = dom(browser, &format!("http://{address}/")).await;
    // What the script made, and not what it was made of.
    let (_, body) = page.split_once("<body").expect("a body");
    let (shown, _) = body.split_once("<script").expect("its script");
    for part in [
        deployment.host().id(),
        "mode prefer · backend duplex",
        &format!("<b>{CALLEE}</b>"),
        &format!("<b>{CALLER}</b>"),
        ECHO,
        "served here, over duplex",
        "<td class=\"name mono\" title=\"inhost:demo/echo@0.1.0\">ping</td>",
        "<td class=\"memory\">7</td>",
        "<dd class=\"number memory\">7</dd>",
        "completed",
        "updated ",
    ] {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
    assert!(
        body.contains("data-updated=\"yes\""),
        "it was not refreshed"
    );
    Ok(())
}

#[tokio::test]
async fn the_page_has_an_address_of_its_own() -> anyhow::Result<()> {
    let nats = nats().await;
    let deployment = Route::Mpsc.start_on(&nats).await;
    let address = deployment.host().status_address().expect("an address");
    let page = get_text(address, "/ui").await?;
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(page.contains(deployment.host().id()));
    Ok(())
}
