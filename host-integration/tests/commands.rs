//! What the commands of the binary say, as a shell sees it.

mod support {
    pub(crate) mod cli;
}

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use support::cli::{run, wasmcloud};

#[test]
fn what_a_host_does_not_start_with_is_not_right_for_a_check_either() {
    let creds = ["--nats-creds", "/no/such/file"];
    let policy = ["--policy-changes-topic", "x"];
    let flags: [(&[&str], &str); 9] = [
        (&creds, "/no/such/file"),
        (&["--ctl-creds", "/no/such/file"], "--ctl-creds"),
        (&["--host-seed", "SN"], "--host-seed"),
        (&["--label", "x"], "key=value"),
        (&["--tls-ca-path", "/no/such/file"], "--tls-ca-path"),
        (&["--nats-host", "::1"], "brackets"),
        (&["--policy-topic", "a b"], "--policy-topic"),
        (&policy, "--policy-topic"),
        (&["--lattice", "a b"], "--lattice"),
    ];
    for (flags, says) in flags {
        let (code, stdout, stderr) = run(wasmcloud().args(flags).args(["config", "check"]));
        assert_eq!(code, 2, "{flags:?}: {stdout}{stderr}");
        assert_eq!(stdout, "", "{flags:?}");
        assert!(stderr.contains(says), "{flags:?}: {stderr}");
        let (code, _, by_host) = run(wasmcloud().args(flags));
        assert_ne!(code, 0, "{flags:?}");
        assert!(by_host.contains(says), "{flags:?}: {by_host}");
    }

    let mut seed = wasmcloud();
    seed.env("WASMCLOUD_NATS_JWT", "x")
        .env("WASMCLOUD_NATS_SEED", "SUX");
    let (code, _, stderr) = run(seed.args(["config", "check"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("--nats-seed") && !stderr.contains("SUX"),
        "{stderr}"
    );
    // Other commands are no host: what one has to be told is nothing to them.
    let (code, _, stderr) = run(wasmcloud().args(policy).args(["completions", "bash"]));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_check_shows_what_is_in_force_and_labels_of_the_environment() {
    let mut check = wasmcloud();
    check
        .env("WASMCLOUD_LABEL_zone", "a=b")
        .env("WASMCLOUD_ALLOW_FILE_LOAD", "false")
        .env("WASMCLOUD_OCI_ALLOW_LATEST", "true")
        .env("WASMCLOUD_MAX_EXECUTION_TIME_MS", "1");
    let (code, stdout, stderr) = run(check.args(["config", "check"]));
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<Vec<_>> = stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in [
        "--label zone=a=b environment variable WASMCLOUD_LABEL_zone",
        "--allow-file-load off environment variable WASMCLOUD_ALLOW_FILE_LOAD",
        "--allow-latest on environment variable WASMCLOUD_OCI_ALLOW_LATEST",
        "--max-execution-time-ms 1000 environment variable WASMCLOUD_MAX_EXECUTION_TIME_MS",
    ] {
        assert!(lines.iter().any(|line| line.join(" ") == row), "{stdout}");
    }
}

/// Answers one request after the other with `answer`, for as long as the test runs.
fn listener(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // The client closes it only when it has the answer: all of the request is read first.
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn whatever_answers_does_nothing_to_the_terminal() {
    let listing = "HTTP/1.1 200 OK\r\n\r\n{\"host\":\"\\u001b[2J\\u009b2J\",\"version\":\"\\u001b[31m\",\"mode\":\"\\u001bx\",\
        \"backend\":\"\\u001b\",\"calls\":{},\"targets\":{\"\\u001b[2J\":\"\\u001b[0m\"},\
        \"tap\":{\"subject\":\"\\u001b[2Jx\",\"published\":1,\"dropped\":0},\"others\":\"\u{9b}2J\u{7f}\"}";
    let error = "HTTP/1.1 500 \u{1b}[31m\r\n\r\n\u{1b}]0;title\u{7}\u{1b}[2Jevil\u{9b}2J";
    let status = "HTTP/1.1 \u{1b}[31m\r\n\r\nevil";
    let nothing = "\u{1b}[2J";
    for (answer, code) in [(listing, 0), (error, 1), (status, 1), (nothing, 1)] {
        let address = listener(answer).to_string();
        for command in [
            &["status", &address][..],
            &["status", "--json", &address],
            &["mode", "off", &address],
        ] {
            let (ended, stdout, stderr) = run(wasmcloud().args(command));
            assert_eq!(ended, code, "{command:?}: {stdout}{stderr}");
            let controls = |c: char| c.is_control() && c != '\n';
            for text in [stdout, stderr] {
                assert_eq!(text.find(controls), None, "{command:?}: {text:?}");
            }
        }
    }
    let address = listener(listing).to_string();
    let (_, json, _) = run(wasmcloud().args(["status", "--json", &address]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["others"], "\u{9b}2J\u{7f}");
}
