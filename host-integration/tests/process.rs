//! The process of a host, as the system sees it.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod cli;
    pub(crate) mod running;
}

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::cli::{run, wasmcloud};
use support::running::Running;

/// How long a host may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host that waits for the first word of its NATS server, and does not get it.
struct Waiting(Running);

impl Waiting {
    fn start(command: &mut Command) -> Self {
        let nats = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = nats.local_addr().expect("address").port();
        command.args(["--nats-host", "127.0.0.1", "--nats-port"]);
        let mut host = Self(Running::start(command.arg(port.to_string())));
        // It connects after all that is looked at here.
        nats.set_nonblocking(true).expect("a socket");
        let deadline = Instant::now() + PATIENCE;
        while nats.accept().is_err() {
            let ended = host.0.process.try_wait().expect("the state of the process");
            assert_eq!(ended, None, "the host ended before it connected");
            assert!(Instant::now() < deadline, "the host does not connect");
            thread::sleep(Duration::from_millis(10));
        }
        host
    }

    /// What the system knows of it.
    fn file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.0.process.id());
        fs::read_to_string(path).expect("the host runs")
    }

    /// The value of a variable of its environment.
    fn variable(&self, name: &str) -> Option<String> {
        let environment = self.file("environ");
        let mut variables = environment.split('\0').filter_map(|v| v.split_once('='));
        variables.find_map(|(other, value)| (other == name).then(|| value.to_owned()))
    }
}

#[test]
fn a_host_sets_its_allocator_up_in_its_own_process_and_keeps_name_and_arguments() {
    let mut command = wasmcloud();
    command
        .env_remove("MIMALLOC_PURGE_DELAY")
        .arg("--label=zone=a room");
    // That of the process that was started: the one that sets it up is no other.
    let host = Waiting::start(&mut command);
    assert_eq!(host.variable("MIMALLOC_PURGE_DELAY").as_deref(), Some("10"));
    assert_eq!(host.file("comm").trim_end(), "wasmcloud");
    let arguments = host.file("cmdline");
    let arguments: Vec<_> = arguments.split('\0').collect();
    assert_eq!(arguments[0], env!("CARGO_BIN_EXE_wasmcloud"));
    assert_eq!(
        arguments[1..4],
        ["--label=zone=a room", "--nats-host", "127.0.0.1"]
    );
}

#[test]
fn what_the_environment_says_of_the_allocator_stays() {
    let host = Waiting::start(wasmcloud().env("MIMALLOC_PURGE_DELAY", "77"));
    assert_eq!(host.variable("MIMALLOC_PURGE_DELAY").as_deref(), Some("77"));
}

#[test]
fn exit_code_and_output_are_those_of_the_program_that_was_started() {
    let mut command = wasmcloud();
    command.env_remove("MIMALLOC_PURGE_DELAY");
    let (code, stdout, stderr) = run(command.arg("--no-such-flag"));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--no-such-flag"), "{stderr}");
    assert_eq!(stdout, "");
}
