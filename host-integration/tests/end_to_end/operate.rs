//! What an operator does with a shell: `wasmcloud status` and `wasmcloud mode`.

use std::process::{Output, Stdio};
use std::time::Instant;

use inhost_testbed::{Deployment, Guest, Host, CALLEE, CALLER, ECHO};

use crate::mixed_lattice::stock;
use crate::support::{calls, nats, until, Hosts as _, Route, PROMPTLY};

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
async fn a_shell_is_enough_to_see_what_the_page_shows() -> anyhow::Result<()> {
    let nats = nats().await;
    let deployment = Route::Duplex.start_pair_on(&nats).await;
    let (host, driver) = (deployment.host(), deployment.driver().await);
    let (address, driver) = (address(host), driver.expect("the caller"));
    assert_eq!(driver.ping(1).await?, 2);
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
    Ok(())
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

/// The pages with what an operator types and sees.
const PAGE: &str = include_str!("../../docs/operate.md");
const SWAP_IN: &str = include_str!("../../docs/swap-in.md");

/// What the page says that the command `line` prints.
fn transcript(page: &str, line: &str) -> Vec<String> {
    let (_, rest) = page
        .split_once(&format!("$ {line}\n"))
        .unwrap_or_else(|| panic!("`{line}` is not on the page"));
    let lines = rest.lines();
    let printed = lines.take_while(|line| !line.starts_with("```") && !line.starts_with("$ "));
    printed
        .map(comparable)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A line without what differs each time: times, and the ID of the host.
fn comparable(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.first() == Some(&"host") {
        words[1] = "HOST,";
    }
    for at in 1..words.len() {
        if ["µs", "ms", "s"].contains(&words[at]) {
            (words[at - 1], words[at]) = ("some", "time");
        }
    }
    words.join(" ")
}

/// What `wasmcloud status` prints of a host, without what differs each time.
async fn status_of(host: &Host) -> Vec<String> {
    let shown = printed(&["status", &address(host)]).await;
    let lines = shown.lines().map(comparable);
    lines.filter(|line| !line.is_empty()).collect()
}

/// The lattice has a stock host, which serves both components, too.
#[tokio::test]
async fn one_more_host_beside_a_stock_one_shows_its_calls_as_the_page_says() {
    let nats = nats().await;
    let mut deployment = stock().await.start_on(&nats).await;
    deployment.deploy_pair().await.expect("deployed and linked");
    let trial = Route::Duplex.host().args(["--label", "trial=yes"]);
    let number = deployment.add_host(trial).await.expect("it starts");
    let trial = &deployment.hosts()[number];
    for (guest, id) in [(Guest::Callee, CALLEE), (Guest::Caller, CALLER)] {
        let component = guest.reference().expect("the component");
        let deployed = deployment.deploy_on(trial, &component, id, 10).await;
        deployed.expect("deployed");
    }
    let driver = deployment.driver().await.expect("the caller");
    // Each call from outside is given to one of the two hosts. A stock one loses some.
    until("the trial has a part of the calls", async || {
        let _ = tokio::time::timeout(PROMPTLY, driver.ping(1)).await;
        calls(trial).await != (0, 0)
    })
    .await;
    until("the call has not ended", async || {
        trial.status().await.expect("a listing")["slowest"] != serde_json::json!([])
    })
    .await;
    let page = transcript(SWAP_IN, "target/dist/wasmcloud status 127.0.0.1:8081");
    let shown = status_of(trial).await;
    assert_eq!(shown, page, "{shown:#?}");
}

/// One call has the only instance of the callee, and two more want it.
#[tokio::test]
async fn calls_in_flight_are_listed_as_the_page_shows_them() -> anyhow::Result<()> {
    let nats = nats().await;
    let deployment = Route::Duplex.start_on(&nats).await;
    let host = deployment.host();
    deployment.deploy_pair_of(1, 10).await?;
    let driver = deployment.driver().await?;
    let mut calls = Vec::new();
    let running = async |count: usize, states: &[&str]| {
        until("the calls are not in flight", async || {
            let status = host.status().await.expect("a listing");
            let running = status["running"].as_array().expect("a list");
            let each = running.iter().map(|call| call["state"].as_str());
            running.len() == count && each.eq(states.iter().map(|state| Some(*state)))
        })
        .await;
    };
    let waits = driver.clone();
    calls.push(tokio::spawn(async move { waits.call_wait(4_000).await }));
    // Each was asked for over NATS, from outside.
    running(2, &["taken", "running"]).await;
    for states in [
        &["taken", "running", "taken", "waiting"][..],
        &["taken", "running", "taken", "waiting", "taken", "queued"],
    ] {
        let pings = driver.clone();
        calls.push(tokio::spawn(async move { pings.ping(1).await }));
        running(states.len(), states).await;
    }

    let shown = status_of(host).await;
    assert_eq!(
        shown,
        transcript(PAGE, "wasmcloud status 127.0.0.1:8081"),
        "{shown:#?}"
    );
    for call in calls {
        call.await??;
    }
    running(0, &[]).await;
    Ok(())
}

/// A host whose modes can be changed, with callee and caller on it.
async fn steerable(more: &[&str]) -> Deployment {
    let host = Route::Duplex
        .host()
        .args(["--local-steer", "on"])
        .args(more);
    let deployment = host.start_pair_on(&nats().await).await;
    deployment
}

#[tokio::test]
async fn a_mode_that_is_changed_holds_for_the_next_call() -> anyhow::Result<()> {
    let deployment = steerable(&[]).await;
    let host = deployment.host();
    let (address, driver) = (address(host), deployment.driver().await?);
    assert_eq!(driver.ping(1).await?, 2);
    assert_eq!(calls(host).await, (1, 0));

    let line = ["mode", "callee=off", &address, "--by", "alice"];
    let answer = printed(&line).await;
    let expected = transcript(PAGE, "wasmcloud mode callee=off 127.0.0.1:8081 --by alice");
    assert_eq!([comparable(answer.trim_end())], *expected);
    assert_eq!(driver.ping(1).await?, 2);
    assert_eq!(calls(host).await, (1, 1));
    let logged = host.wait_for_log("the mode of calls was changed", PROMPTLY);
    let logged = logged.await.expect("it is in the log");
    assert!(
        logged.contains("alice") && logged.contains(CALLEE),
        "{logged}"
    );

    let subject = format!("wasmbus.local.{}.mode.{}", deployment.lattice(), host.id());
    let command = r#"{"target":"callee","mode":"default","by":"bob"}"#;
    let answer = deployment
        .client()
        .request(subject.clone(), command.into())
        .await;
    assert_eq!(
        &*answer.expect("an answer").payload,
        br#"{"accepted":true}"#
    );
    assert_eq!(driver.ping(1).await?, 2);
    assert_eq!(calls(host).await, (2, 1));

    let refused = deployment
        .client()
        .request(subject, r#"{"mode":"on"}"#.into())
        .await;
    let refused = refused.expect("an answer").payload;
    assert!(
        refused.starts_with(br#"{"accepted":false,"error":""#),
        "{refused:?}"
    );

    let shown = printed(&["status", &address]).await;
    let (_, changes) = shown
        .split_once("Modes that were changed")
        .expect("they are shown");
    let changes: Vec<_> = changes.lines().skip(1).map(comparable).collect();
    let page = transcript(PAGE, "wasmcloud status 127.0.0.1:8081 | tail -n 3");
    assert_eq!(changes, page[..], "{shown}");
    Ok(())
}

/// The components have versions from the beginning, so that memory can be switched on.
#[tokio::test]
async fn a_host_that_started_with_off_is_switched_to_memory_and_back() -> anyhow::Result<()> {
    let deployment = steerable(&["--local-dispatch", "off"]).await;
    let host = deployment.host();
    let (address, driver) = (address(host), deployment.driver().await?);
    for (mode, expected) in [
        ("off", (0, 1)),
        ("prefer", (1, 1)),
        ("require", (2, 1)),
        ("off", (2, 2)),
    ] {
        printed(&["mode", mode, &address]).await;
        assert_eq!(driver.ping(1).await?, 2, "{mode}");
        assert_eq!(calls(host).await, expected, "{mode}");
    }
    Ok(())
}

#[tokio::test]
async fn commands_that_are_refused_are_few_lines_in_the_log_with_who_sent_them(
) -> anyhow::Result<()> {
    const REFUSED: &str = "a command to change the mode of calls is refused";
    let deployment = steerable(&[]).await;
    let host = deployment.host();
    let subject = format!("wasmbus.local.{}.mode.{}", deployment.lattice(), host.id());
    let client = deployment.client();
    let started = Instant::now();
    let command = r#"{"mode":"off\n2026-11-29 INFO stopped by admin","by":"eve"}"#;
    client.request(subject.clone(), command.into()).await?;
    let line = host.wait_for_log(REFUSED, PROMPTLY).await;
    let line = line.expect("it is in the log");
    for part in [r#"by="eve""#, "nats", r"off\n2026-11-29 INFO stopped"] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }

    let lines = || {
        let lines = host.log_lines().into_iter();
        let lines = lines.filter(|line| line.contains(REFUSED));
        lines.collect::<Vec<_>>()
    };
    let mut sent = 1;
    while lines().len() < 2 {
        assert!(started.elapsed() < PROMPTLY, "the next one is not logged");
        for _ in 0..100 {
            let answer = client.request(subject.clone(), "{}".into()).await;
            answer.expect("an answer");
            sent += 1;
        }
    }
    let lines = lines();
    assert!(
        lines.len() as u64 <= 1 + started.elapsed().as_secs(),
        "{lines:?}"
    );
    // All but those that were logged, and those that came after the last line.
    let left_out = lines[1].split("left_out=").nth(1).expect("how many");
    let left_out = left_out.split(' ').next().and_then(|it| it.parse().ok());
    assert!(
        (1..sent).contains(&left_out.expect("a number")),
        "{lines:?}"
    );
    Ok(())
}

/// Sends `head` with a command to turn memory off, and returns the status line.
async fn post(host: &Host, head: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = host.status_address().expect("an address");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let body = r#"{"mode":"off"}"#;
    let length = body.len();
    let request = format!("POST /mode HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_web_page_changes_no_mode_and_no_one_does_without_the_flag() -> anyhow::Result<()> {
    let deployment = steerable(&[]).await;
    let host = deployment.host();
    for (head, status) in [
        (
            "host: localhost\r\norigin: http://example.com\r\ncontent-type: text/plain\r\n",
            "403",
        ),
        ("host: example.com\r\nx-wasmcloud-steer: yes\r\n", "421"),
    ] {
        let answer = post(host, head).await;
        assert!(answer.contains(status), "{head}: {answer}");
    }
    assert_eq!(host.status().await?["mode"], "prefer");
    let own = post(host, "host: localhost\r\nx-wasmcloud-steer: yes\r\n").await;
    assert!(own.contains("200"), "{own}");
    assert_eq!(host.status().await?["mode"], "off");

    let nats = nats().await;
    let deployment = Route::Duplex.start_on(&nats).await;
    let host = deployment.host();
    let output = wasmcloud(&["mode", "off", &address(host)]).await;
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--local-steer on"), "{errors}");
    let status = host.status().await?;
    assert_eq!(
        (&status["mode"], &status["changes"]),
        (&"prefer".into(), &serde_json::Value::Null)
    );
    Ok(())
}
