//! What an operator does with a shell: `wasmcloud status`.

use std::process::{Output, Stdio};

use inhost_testbed::{Host, CALLEE, ECHO};

use crate::routes::{nats, until, Route};

/// Runs a command of the binary to its end.
async fn wasmcloud(args: &[&str]) -> Output {
    let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_wasmcloud"))
        .args(args)
        .env_remove("WASMCLOUD_LOCAL_STATUS")
        .stdin(Stdio::null())
        .output();
    command.await.expect("the binary runs")
}

/// What a command prints that succeeds.
async fn printed(args: &[&str]) -> String {
    let output = wasmcloud(args).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn address(host: &Host) -> String {
    host.status_address().expect("an address").to_string()
}

#[tokio::test]
async fn a_shell_is_enough_to_see_what_the_page_shows() {
    let nats = nats().await;
    let deployment = Route::Duplex.start_pair_on(&nats).await;
    let (host, driver) = (deployment.host(), deployment.driver().await);
    let (address, driver) = (address(host), driver.expect("the caller"));
    assert_eq!(driver.ping(1).await.expect("an answer"), 2);
    until("the call has not ended", async || {
        host.status().await.expect("a listing")["slowest"] != serde_json::json!([])
    })
    .await;

    let shown = printed(&["status", &address]).await;
    for part in [
        host.id(),
        "mode prefer; backend duplex",
        "calls: 1 in memory, 0 over NATS",
        &format!("{ECHO}.ping"),
        "completed",
    ] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
    let row = shown
        .lines()
        .find(|line| line.contains(&format!("{ECHO}.ping")));
    let row: Vec<_> = row.expect("the function").split_whitespace().collect();
    assert_eq!((row[0], row[2], row[3]), (CALLEE, "yes", "1"), "{row:?}");

    let json = printed(&["status", "--json", &format!("http://{address}/")]).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["calls"]["local"], 1);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_an_error_that_says_what_to_look_at() {
    // Bound, and not listened on.
    let closed = tokio::net::TcpSocket::new_v4().expect("a socket");
    closed.bind(([127, 0, 0, 1], 0).into()).expect("bound");
    let address = closed.local_addr().expect("an address").to_string();
    let output = wasmcloud(&["status", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains(&format!("--local-status {address}")),
        "{errors}"
    );
    assert_eq!(wasmcloud(&["status"]).await.status.code(), Some(2));
}
