//! The flags that this host adds, from outside. No NATS server is needed: what is tested happens before the host
//! connects to one, or while it tries to.

mod support {
    pub(crate) mod cli;
    pub(crate) mod running;
}

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use support::cli::{run, wasmcloud};
use support::running::Running;
use tokio::net::TcpSocket;
use wrpc_transport_nats::local::BackendKind;

struct Flag {
    name: &'static str,
    variable: &'static str,
    default: Option<&'static str>,
    /// `None` where it depends on what is compiled in.
    good: Option<&'static str>,
    bad: &'static [&'static str],
}

const FLAGS: [Flag; 14] = [
    Flag {
        name: "--local-dispatch",
        variable: "WASMCLOUD_LOCAL_DISPATCH",
        default: Some("prefer"),
        good: Some("require"),
        bad: &["on", "", "prefer "],
    },
    Flag {
        name: "--local-dispatch-target",
        variable: "WASMCLOUD_LOCAL_DISPATCH_TARGETS",
        default: None,
        good: Some("payments=require"),
        bad: &["", "payments", "=off", "payments=on", "a.b=off"],
    },
    Flag {
        name: "--local-http",
        variable: "WASMCLOUD_LOCAL_HTTP",
        default: None,
        good: Some("orders.local:8080=orders"),
        bad: &[
            "",
            "orders",
            "=orders",
            "orders=",
            "orders=a.b",
            "http://orders=orders",
            "orders:0=orders",
            ".orders=orders",
            "orders..local=orders",
            "orders=a=b",
        ],
    },
    Flag {
        name: "--local-backend",
        variable: "WASMCLOUD_LOCAL_BACKEND",
        default: None,
        good: None,
        bad: &["tcp", "", "duplex,mpsc"],
    },
    Flag {
        name: "--local-buffer-bytes",
        variable: "WASMCLOUD_LOCAL_BUFFER_BYTES",
        default: Some("65536"),
        good: Some("1"),
        bad: &["0", "-1", "64k", "", "18446744073709551615"],
    },
    Flag {
        name: "--local-queue-invocations",
        variable: "WASMCLOUD_LOCAL_QUEUE_INVOCATIONS",
        default: Some("1024"),
        good: Some("1"),
        bad: &["0", "-1", "many", "1k", "18446744073709551615"],
    },
    Flag {
        name: "--local-queue-bytes",
        variable: "WASMCLOUD_LOCAL_QUEUE_BYTES",
        default: Some("67108864"),
        good: Some("1"),
        bad: &["0", "-1", "64MiB", "1.5", "18446744073709551615"],
    },
    Flag {
        name: "--local-linger-us",
        variable: "WASMCLOUD_LOCAL_LINGER_US",
        default: Some("200"),
        good: Some("0"),
        bad: &["-1", "50us", "10001", ""],
    },
    Flag {
        name: "--drain-seconds",
        variable: "WASMCLOUD_DRAIN_SECONDS",
        default: Some("15"),
        good: Some("0"),
        bad: &["-1", "15s", "3601", ""],
    },
    Flag {
        name: "--reuse-instances",
        variable: "WASMCLOUD_REUSE_INSTANCES",
        default: None,
        good: Some("payments=1000"),
        bad: &[
            "",
            "payments",
            "=10",
            "payments=0",
            "payments=many",
            "payments=10s",
            "payments=4294967296",
            "a.b=10",
        ],
    },
    Flag {
        name: "--local-status",
        variable: "WASMCLOUD_LOCAL_STATUS",
        default: None,
        good: Some("127.0.0.1:0"),
        bad: &["8085", "localhost:8085", "127.0.0.1"],
    },
    Flag {
        name: "--local-status-host",
        variable: "WASMCLOUD_LOCAL_STATUS_HOSTS",
        default: None,
        good: Some("status.example.com"),
        bad: &[
            "",
            "*",
            "status.example.com:80",
            "http://status.example.com",
        ],
    },
    Flag {
        name: "--local-steer",
        variable: "WASMCLOUD_LOCAL_STEER",
        default: Some("off"),
        good: Some("on"),
        bad: &["", "prefer", "1"],
    },
    Flag {
        name: "--local-dispatch-tap",
        variable: "WASMCLOUD_LOCAL_DISPATCH_TAP",
        default: None,
        good: Some("calls.{lattice}"),
        bad: &["", "calls.>", "calls of mine", "calls..tap", "{host}.calls"],
    },
];

fn compiled_in() -> Option<BackendKind> {
    BackendKind::compiled_in().first().copied()
}

#[test]
fn help_shows_environment_variable_and_default() {
    let (_, help, _) = run(wasmcloud().arg("--help"));
    for flag in FLAGS {
        let shown = format!("[env: {}=]", flag.variable);
        let takes_value = [" <", "[=<"].map(|value| format!("{}{value}", flag.name));
        let shows_value = takes_value.iter().any(|usage| help.contains(usage));
        assert!(shows_value, "{}", flag.name);
        let (_, rest) = help.split_once(&shown).expect(&shown);
        if let Some(default) = flag.default {
            // It follows the variable, on the same line or on the next one.
            let mut lines = rest.lines().take(2);
            let default = format!("[default: {default}]");
            assert!(
                lines.any(|line| line.contains(&default)),
                "{}: {rest}",
                flag.name
            );
        }
    }
}

#[test]
fn the_list_of_this_test_is_complete() {
    let (_, help, _) = run(wasmcloud().arg("--help"));
    let (_, section) = help.split_once("In-host invocation:\n").expect("a section");
    // Up to the next heading.
    let section = section
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    let mut shown: Vec<_> = section
        .filter_map(|line| line.split([' ', '[']).find(|word| !word.is_empty()))
        .filter(|word| word.starts_with("--"))
        .collect();
    shown.sort_unstable();
    let mut listed = FLAGS.map(|flag| flag.name);
    listed.sort_unstable();
    assert_eq!(shown, listed);
}

#[test]
fn good_values_are_accepted_from_flag_and_environment() {
    let backend = compiled_in().map(|backend| backend.to_string());
    for Flag {
        name,
        variable,
        good,
        ..
    } in FLAGS
    {
        let Some(good) = good.or(backend.as_deref()) else {
            continue;
        };
        let flag = format!("{name}={good}");
        let (code, _, stderr) = run(wasmcloud().args(["--help-markdown", &flag]));
        assert_eq!(code, 0, "{flag}: {stderr}");
        let (code, _, stderr) = run(wasmcloud().arg("--help-markdown").env(variable, good));
        assert_eq!(code, 0, "{variable}={good}: {stderr}");
    }
}

#[test]
fn bad_values_exit_with_2_and_name_the_flag_and_the_value() {
    for Flag {
        name,
        variable,
        bad,
        ..
    } in FLAGS
    {
        for bad in bad {
            let mut by_flag = wasmcloud();
            by_flag.arg(format!("{name}={bad}"));
            let mut by_variable = wasmcloud();
            by_variable.env(variable, bad);
            // A variable that is empty is not set.
            let commands = [Some(by_flag), (!bad.is_empty()).then_some(by_variable)];
            for mut command in commands.into_iter().flatten() {
                let (code, _, stderr) = run(&mut command);
                assert_eq!(code, 2, "{name}={bad}: {stderr}");
                // An empty value is said in words of clap's.
                assert!(stderr.contains(name), "{name}={bad}: {stderr}");
                assert!(stderr.contains(bad), "{name}={bad}: {stderr}");
            }
        }
    }
}

#[test]
fn a_variable_that_is_empty_is_not_set() {
    for flag in FLAGS {
        let (code, _, stderr) = run(wasmcloud().arg("--help-markdown").env(flag.variable, ""));
        assert_eq!(code, 0, "{}: {stderr}", flag.variable);
        let mut check = wasmcloud();
        check.args(["config", "check"]).env(flag.variable, "");
        let (code, _, stderr) = run(&mut check);
        assert_eq!(code, 0, "{}: {stderr}", flag.variable);
    }
    for command in [&["status"][..], &["mode", "off"]] {
        let (code, _, stderr) = run(wasmcloud().args(command).env("WASMCLOUD_LOCAL_STATUS", ""));
        assert_eq!(code, 2, "{command:?}: {stderr}");
        assert!(stderr.contains("<ADDRESS>"), "{command:?}: {stderr}");
    }
    // What a stock host does not start with, this one does not start with either.
    let (code, _, _) = run(wasmcloud().env("WASMCLOUD_NATS_PORT", ""));
    assert_eq!(code, 2);
}

#[test]
fn limits_with_which_nothing_can_run_are_refused_with_an_example() {
    for (flag, example) in [
        ("--max-components", "`10000`"),
        ("--max-linear-memory-bytes", "`268435456` for 256 MiB"),
        ("--max-component-size-bytes", "`52428800` for 50 MiB"),
        ("--heartbeat-interval-seconds", "`30`"),
    ] {
        for bad in ["0", "256MiB"] {
            let (code, _, stderr) = run(wasmcloud().arg(format!("{flag}={bad}")));
            assert_eq!(code, 2, "{flag}={bad}: {stderr}");
            assert!(stderr.contains(example), "{flag}={bad}: {stderr}");
        }
        // A stock host works with these: it has no pool of instances then.
        let large = format!("{flag}={}", u32::MAX);
        let (code, _, stderr) = run(wasmcloud().args(["--help-markdown", &large]));
        assert_eq!(code, 0, "{large}: {stderr}");
    }
}

#[test]
fn a_number_of_our_flags_that_cannot_be_is_refused_with_an_example() {
    // 0, more than the machine has or than can be meant, and one with a unit. Where 0 is good, it turns something off.
    for (flag, example, bad) in [
        (
            "--local-buffer-bytes",
            "`65536` for 64 KiB",
            &["0", "18446744073709551615", "64KiB"][..],
        ),
        (
            "--local-queue-invocations",
            "`1024`",
            &["0", "18446744073709551615", "1k"],
        ),
        (
            "--local-queue-bytes",
            "`67108864` for 64 MiB",
            &["0", "18446744073709551615", "64MiB"],
        ),
        (
            "--reuse-instances=payments",
            "`payments=1000`",
            &["0", "4294967296", "10s"],
        ),
        ("--local-linger-us", "`200`", &["10001", "50us"]),
        (
            "--max-execution-time-ms",
            "`600000` for ten minutes",
            &["0", "10s"],
        ),
        ("--rpc-timeout-ms", "`2000`", &["2s"]),
        ("--drain-seconds", "`15`", &["3601", "15s"]),
    ] {
        for bad in bad {
            let argument = format!("{flag}={bad}");
            let (code, _, stderr) = run(wasmcloud().arg(&argument));
            assert_eq!(code, 2, "{argument}: {stderr}");
            assert!(stderr.contains(example), "{argument}: {stderr}");
            assert!(stderr.contains("without a unit"), "{argument}: {stderr}");
        }
    }
}

#[test]
fn a_command_is_not_taken_for_the_subject_of_the_tap() {
    let (code, help, stderr) = run(wasmcloud().args(["--local-dispatch-tap", "local", "--help"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(help.contains("--component"), "{help}");
}

#[test]
fn errors_say_what_was_expected() {
    for (argument, expected) in [
        ("--local-dispatch=on", "prefer"),
        ("--local-dispatch=on", "off"),
        ("--local-dispatch=on", "require"),
        ("--local-dispatch-target=a=off,b", "`payments=require`"),
        ("--local-backend=tcp", "duplex"),
        ("--local-backend=tcp", "mpsc"),
        ("--local-buffer-bytes=0", "`65536` for 64 KiB"),
        ("--local-queue-invocations=0", "from 1 to"),
        ("--local-queue-bytes=64MiB", "`67108864` for 64 MiB"),
        (
            "--local-dispatch-target=a=off,a=prefer",
            "`a` more than once",
        ),
        ("--reuse-instances=a=1,a=1", "`a` more than once"),
        (
            "--local-http=a=b,A=c",
            "the host name `a` to more than one component",
        ),
        ("--local-http=a=b,a=c", "as in `orders.local=orders`"),
        (
            "--local-http=a=b,a:80=c",
            "has `a` and `a:80`, and a request can go to both",
        ),
        ("--local-http=a:443=b,A=c", "as in `orders.local=orders`"),
        (
            "--local-http=[::1]=b,[0::1]=c",
            "the host name `[::1]` to more than one component",
        ),
        ("--local-http=a:+80=c", "its port is no number"),
        ("--local-http=a.=c", "begins or ends with a dot"),
        ("--local-http=a", "as in `orders.local=orders`"),
        ("--local-http=a=b=c", "as in `orders.local=orders`"),
        ("--local-http=a=", "Use one like `orders`"),
        ("--local-http=a/b=c", "`orders.local:8080`"),
        (
            "--local-http=a:0=c",
            "its port is no number from 1 to 65535",
        ),
        ("--local-http=.a=c", "begins or ends with a dot"),
        ("--local-http=a..b=c", "has two in a row"),
        ("--local-linger-us=10001", "from 0 to 10000"),
        ("--reuse-instances=a=0", "from 1 to"),
        ("--local-status=localhost:8085", "127.0.0.1:8085"),
        ("--local-status-host=*", "status.example.com"),
        ("--local-dispatch-tap=calls.>", "single dots"),
    ] {
        let (code, _, stderr) = run(wasmcloud().arg(argument));
        assert_eq!(code, 2, "{argument}: {stderr}");
        assert!(stderr.contains(expected), "{argument}: {stderr}");
    }
}

#[test]
fn a_backend_that_is_not_compiled_in_is_refused_at_once() {
    let closed = ClosedPort::reserve();
    for backend in [BackendKind::Duplex, BackendKind::Mpsc] {
        // With dispatch off as well: who names a backend expects it to be there.
        for dispatch in ["prefer", "off"] {
            let (code, _, stderr) = run(wasmcloud()
                .arg(format!("--local-backend={backend}"))
                .arg(format!("--local-dispatch={dispatch}"))
                .arg(closed.as_nats_port()));
            if backend.is_compiled_in() {
                assert_eq!(code, 1, "only the connection fails: {stderr}");
                continue;
            }
            assert_eq!(code, 2, "{stderr}");
            for part in [
                "--local-backend",
                &format!("built without the `{backend}` backend"),
                &format!("cargo build --features {backend}"),
            ] {
                assert!(stderr.contains(part), "`{part}` is not in: {stderr}");
            }
            if let Some(other) = compiled_in() {
                assert!(
                    stderr.contains(&format!("choose `--local-backend {other}`")),
                    "{stderr}"
                );
            }
        }
    }
}

#[test]
fn the_log_says_how_calls_are_made() {
    let closed = ClosedPort::reserve();
    let log = |arguments: &[&str]| {
        let (code, _, stderr) = run(wasmcloud().arg(closed.as_nats_port()).args(arguments));
        assert_eq!(code, 1, "there is no NATS server: {stderr}");
        assert!(
            stderr.contains(&format!("NATS server {}", closed.address())),
            "{stderr}"
        );
        stderr
    };
    let off = log(&["--local-dispatch=off"]);
    assert!(off.contains("in-host invocation is off"), "{off}");
    let off_but_one = log(&["--local-dispatch=off", "--local-dispatch-target=a=require"]);
    assert!(!off_but_one.contains("invocation is off"), "{off_but_one}");
    assert!(off_but_one.contains("a=require"), "{off_but_one}");

    let sizes = [
        "--local-buffer-bytes=11",
        "--local-queue-invocations=12",
        "--local-queue-bytes=13",
    ];
    let prefer = log(&sizes);
    match compiled_in() {
        Some(backend) => {
            let line = prefer
                .lines()
                .find(|line| line.contains("in-host invocation is on"));
            let line = line.unwrap_or_else(|| panic!("no such line: {prefer}"));
            for part in [
                "mode=prefer",
                &format!("backend={backend}"),
                "buffer_bytes=11",
                "queue_invocations=12",
                "queue_bytes=13",
            ] {
                assert!(line.contains(part), "`{part}` is not in: {line}");
            }
        }
        None => assert!(
            prefer.contains("no in-host backend is compiled in"),
            "{prefer}"
        ),
    }
}

#[test]
fn a_status_address_in_use_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let (code, _, stderr) = run(wasmcloud().arg(format!("--local-status={address}")));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains(&format!("--local-status {address}")),
        "{stderr}"
    );
    assert!(
        !stderr.contains("failed to connect to NATS"),
        "it came that far: {stderr}"
    );
}

#[test]
fn the_listing_is_served_at_the_logged_address() {
    // Accepts connections and never says a word, so the host waits for it.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = silent.local_addr().expect("address").port();
    let mut host = Running::start(
        wasmcloud()
            .arg(format!("--nats-port={port}"))
            .arg("--local-status=127.0.0.1:0")
            .arg("--enable-structured-logging")
            .stderr(Stdio::piped()),
    );
    let address = listing_address(&mut host);
    assert_ne!(address.port(), 0);

    let (head, body) = get(address, "/");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let status: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status["mode"], "prefer");
    assert_eq!(
        status["backend"].as_str(),
        compiled_in().map(|backend| backend.to_string()).as_deref()
    );
    for counter in ["local", "remote", "spilled", "fallback"] {
        assert_eq!(status["calls"][counter], 0, "{status}");
    }
    assert_eq!(status["endpoints"], serde_json::json!([]));

    let (head, _) = get(address, "/elsewhere");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

/// A port that refuses connections: bound, so that no one else gets it, and not listened on.
struct ClosedPort(TcpSocket);

impl ClosedPort {
    fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("socket");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("bind");
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("address")
    }

    fn as_nats_port(&self) -> String {
        format!("--nats-port={}", self.address().port())
    }
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("connect");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("send");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("receive");
    let (head, body) = response.split_once("\r\n\r\n").expect("head and body");
    (head.to_string(), body.to_string())
}

/// Reads the JSON log up to the line that says where the listing is.
fn listing_address(host: &mut Running) -> SocketAddr {
    let log = BufReader::new(host.process.stderr.as_mut().expect("piped"));
    for line in log.lines() {
        let line = line.expect("log");
        let event: serde_json::Value = serde_json::from_str(&line).expect(&line);
        if let Some(address) = event["fields"]["address"].as_str() {
            return address.parse().expect(&line);
        }
    }
    panic!("the host ended without saying where its listing is");
}
