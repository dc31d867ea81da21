//! The program, asked as `cargo xtask bench` asks it.
#![allow(missing_docs)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::{json, Value};

struct Worker {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_inhost-bench-worker"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            input,
            output,
        }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Lets it end with its input.
    fn end(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

fn guest(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../host-integration/guests")
        .join(name)
        .join(format!("{name}.wasm"))
}

#[test]
fn both_floors_make_all_calls_of_each_workload() {
    let mut worker = Worker::start();
    let answer = worker.ask(&json!({ "do": "load", "callee": guest("callee") }));
    assert_eq!(answer, json!({}));
    for floor in ["fresh", "warm"] {
        for (workload, size) in [
            ("ping", 0),
            ("echo", 70_000),
            ("strings", 10),
            ("record", 0),
        ] {
            let answer = worker.ask(&json!({
                "do": "run", "floor": floor, "workload": workload, "size": size, "callers": 3, "calls": 2,
            }));
            let durations = answer["durations"].as_array().map(Vec::len);
            assert_eq!(durations, Some(6), "{floor} {workload}: {answer}");
            assert!(answer["wall_ns"].as_u64() > Some(0), "{answer}");
        }
    }
    worker.end();
}

#[test]
fn calls_of_callee_and_caller_are_parked() {
    let mut worker = Worker::start();
    for name in ["callee", "caller"] {
        for parked in [3, 6] {
            let request = json!({ "do": "park", "component": guest(name), "count": 3 });
            assert_eq!(worker.ask(&request), json!({ "parked": parked }), "{name}");
        }
    }
    worker.end();
}

#[test]
fn requests_are_made_over_connections_that_stay_and_answers_are_checked() {
    for (answer, right) in [("1", true), ("2", false)] {
        let (address, server) = serve_one_connection(answer);
        let mut worker = Worker::start();
        let request = json!({
            "do": "http", "address": address, "callers": 1, "calls": 1, "deadline_ms": 60_000,
        });
        let got = worker.ask(&request);
        let durations = got["durations"].as_array().map(Vec::len);
        assert_eq!(durations, right.then_some(1), "{got}");
        assert_eq!(got["error"].is_string(), !right, "{got}");
        worker.end();
        server.join().unwrap();
    }
}

/// A server that answers the first request, whatever it is.
fn serve_one_connection(body: &'static str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "GET /ping?n=0 HTTP/1.1");
        while !lines.next().unwrap().unwrap().is_empty() {}
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
    });
    (address, server)
}

#[test]
fn lookups_are_measured_beside_a_writer() {
    let mut worker = Worker::start();
    for writer in [false, true] {
        let request = json!({
            "do": "lookup", "functions": 100, "spread": 64, "readers": 2, "writer": writer,
        });
        let answer = worker.ask(&request);
        assert!(answer["ns"].as_f64() > Some(0.0), "{answer}");
    }
    worker.end();
}

#[test]
fn a_request_that_cannot_be_answered_is_an_error_and_the_next_one_is_answered() {
    let mut worker = Worker::start();
    let run = json!({ "do": "run", "floor": "warm", "workload": "ping", "size": 0, "callers": 1, "calls": 1 });
    for (request, reason) in [
        (json!({ "do": "nothing" }), "not a request"),
        (run, "no callee has been loaded"),
        (
            json!({ "do": "load", "callee": "/missing.wasm" }),
            "/missing.wasm",
        ),
    ] {
        let answer = worker.ask(&request);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(reason), "{answer}");
    }
    worker.end();
}
