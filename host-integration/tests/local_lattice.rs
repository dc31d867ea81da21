//! `wasmcloud local`, from outside. No NATS server is needed, and none is reached.

#![cfg(any(feature = "duplex", feature = "mpsc"))]

mod support {
    pub(crate) mod cli;
    pub(crate) mod running;
}

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::cli::{run, wasmcloud};
use support::running::Running;
use wrpc_transport_nats::local::BackendKind;

/// Where a committed component is.
fn guest(name: &str) -> String {
    let guests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("guests");
    let file = guests.join(name).join(format!("{name}.wasm"));
    file.to_str().expect("UTF-8").to_owned()
}

/// `wasmcloud local` with these components, which are named as they are committed.
fn local(components: &[&str], words: &[&str]) -> Command {
    let mut command = wasmcloud();
    command.arg("local");
    for name in components {
        command
            .arg("--component")
            .arg(format!("{name}={}", guest(name)));
    }
    command.args(words);
    // Were it to look for a broker after all, it would not find one.
    command.env("WASMCLOUD_NATS_PORT", "1");
    command
}

/// What it prints when it succeeds.
fn answer(command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!((code, &*stderr), (0, ""), "{stdout}");
    stdout
}

/// What it prints when it ends with `code`.
fn refusal(command: &mut Command, code: i32) -> String {
    let (ended, stdout, stderr) = run(command);
    assert_eq!((ended, &*stdout), (code, ""), "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    stderr
}

const LINK: [&str; 2] = ["--link", "caller=callee:inhost:demo/echo"];

fn linked(words: &[&str]) -> Command {
    local(&["caller", "callee"], &[&LINK, words].concat())
}

#[test]
fn a_component_calls_another_over_each_backend() {
    for backend in BackendKind::compiled_in() {
        let words = [
            "--backend",
            backend.feature(),
            "--call",
            "caller",
            "inhost:demo/driver.ping",
            "41",
        ];
        assert_eq!(answer(&mut linked(&words)), "42\n");
    }
}

#[test]
fn a_chain_of_three_answers_over_each_backend() {
    for backend in BackendKind::compiled_in() {
        let words = [
            "--link",
            "caller=middle:inhost:demo/echo",
            "--link",
            "middle=callee:inhost:demo/echo@0.1.0",
            "--backend",
            backend.feature(),
            "--call",
            "caller",
            "inhost:demo/driver@0.1.0.ping",
            "1",
            "--call",
            "caller",
            "inhost:demo/driver.echo-bytes",
            "[1, 2, 255]",
        ];
        let answer = answer(&mut local(&["caller", "middle", "callee"], &words));
        assert_eq!(answer, "2\n[1, 2, 255]\n");
    }
}

#[test]
fn values_of_all_kinds_are_read_and_printed() {
    for (function, arguments) in [
        ("echo-string", vec![r#""a \"b\" ß""#]),
        ("echo-nested", vec!["[[none], []]"]),
        ("echo-result", vec![r#"err("no")"#]),
        ("echo-flags", vec!["{fragile, upright}"]),
        ("echo-variant", vec!["radius(7)"]),
        ("echo-variant", vec!["nothing"]),
    ] {
        let function = format!("inhost:demo/echo.{function}");
        let mut words = vec!["--call", "callee", &function];
        words.extend(&arguments);
        let answer = answer(&mut local(&["callee"], &words));
        assert_eq!(answer, format!("{}\n", arguments.join(" ")));
    }
    let words = [
        "--call",
        "callee",
        "inhost:demo/echo.version",
        "--call",
        "callee",
        "inhost:demo/echo.ping",
        "4294967295",
    ];
    assert_eq!(answer(&mut local(&["callee"], &words)), "1\n0\n");
}

#[test]
fn without_a_call_it_lists_what_can_be_called() {
    let listed = answer(&mut local(&["callee", "streamer"], &[]));
    assert!(listed.starts_with("callee\n"), "{listed}");
    assert!(
        listed.contains("\n  inhost:demo/echo@0.1.0.ping: func(u32) -> u32\n"),
        "{listed}"
    );
    assert!(
        listed.contains("streamer\n  (nothing that can be called from here)\n"),
        "{listed}"
    );

    let listed = answer(&mut local(&["callee"], &["--json"]));
    let object: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(object["component"], "callee");
    assert!(object["functions"]
        .as_array()
        .is_some_and(|functions| functions.len() > 10));
}

#[test]
fn a_trap_is_told_with_its_cause() {
    let words = [
        "--call",
        "caller",
        "inhost:demo/driver.call-trap",
        r#""why""#,
    ];
    let error = refusal(&mut linked(&words), 1);
    for part in [
        "driver@0.1.0.call-trap",
        "`callee`",
        "unreachable",
        "caused by: ",
    ] {
        assert!(error.contains(part), "no `{part}` in {error}");
    }
}

#[test]
fn a_missing_link_is_told_with_those_that_are_there() {
    let words = ["--call", "caller", "inhost:demo/driver.call-unlinked"];
    let error = refusal(&mut linked(&words), 1);
    for part in [
        "`caller` has no link `default` of `inhost:demo/unlinked@0.1.0`",
        "`inhost:demo/echo` to `callee`",
    ] {
        assert!(error.contains(part), "no `{part}` in {error}");
    }
}

#[test]
fn what_is_not_possible_is_refused_with_what_is() {
    let call = |words: &[&str]| refusal(&mut linked(&[&["--call"], words].concat()), 2);
    let error = call(&["other", "inhost:demo/echo.ping", "1"]);
    assert!(
        error.contains("no component `other`") && error.contains("`callee`, `caller`"),
        "{error}"
    );
    let error = call(&["callee", "inhost:demo/echo.pong"]);
    assert!(
        error.contains("\n  inhost:demo/echo@0.1.0.ping\n"),
        "{error}"
    );
    let error = call(&["callee", "inhost:demo/echo.ping", "many"]);
    assert!(error.contains("argument 1 is not a `u32`"), "{error}");
    let error = call(&["callee", "inhost:demo/echo.ping"]);
    assert!(
        error.contains("it is `func(u32) -> u32`, with 1 parameters, and 0 arguments were given"),
        "{error}"
    );
    let error = call(&["callee", "inhost:demo/echo.ping", "-1"]);
    assert!(error.contains("argument 1"), "{error}");

    let link = ["--link", "callee=elsewhere:inhost:demo/tally"];
    let error = refusal(&mut local(&["callee"], &link), 2);
    assert!(
        error.contains("names the component `elsewhere`, which is not in this lattice"),
        "{error}"
    );
    let error = refusal(wasmcloud().args(["local", "-c", "a=no/such/file.wasm"]), 2);
    assert!(
        error.contains("cannot start the component `a`") && error.contains("no/such/file.wasm"),
        "{error}"
    );
    let (code, _, error) = run(&mut linked(&["--link", "caller=callee"]));
    assert!(
        code == 2 && error.contains("SOURCE=TARGET:NAMESPACE:PACKAGE/INTERFACE"),
        "{error}"
    );
}

#[test]
fn numbers_below_zero_are_arguments() {
    let words = [
        "--call",
        "callee",
        "inhost:demo/echo.echo-scalars",
        "true",
        "-1",
        "1",
        "-2",
        "2",
        "-3",
        "3",
        "-4",
        "4",
        "-inf",
        "-1.5e-9",
        "'x'",
    ];
    assert_eq!(
        answer(&mut local(&["callee"], &words)),
        "(true, -1, 1, -2, 2, -3, 3, -4, 4, -inf, -0.0000000015, 'x')\n"
    );
}

#[test]
fn what_does_not_end_is_no_component() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let refused = |path: &str, from: &str| {
        let mut command = wasmcloud();
        command.args(["local", "-c", &format!("a={path}")]);
        command.stdin(File::open(from).expect("it is there"));
        refusal(&mut command, 2)
    };
    let pipe = pipe.to_str().expect("UTF-8");
    for path in [pipe, "/dev/zero"] {
        let error = refused(path, "/dev/null");
        assert!(error.contains(path), "{error}");
        assert!(error.contains("no regular file"), "{error}");
    }
    let error = refused("/tmp", "/dev/null");
    assert!(error.contains("a directory"), "{error}");
    let error = refused("/dev/stdin", "/dev/zero");
    assert!(error.contains("no WebAssembly"), "{error}");
    // It is a file with a beginning and no content.
    let huge = folder.path().join("huge.wasm");
    let file = File::create(&huge).expect("it is made");
    (&file).write_all(b"\0asm").expect("it is written");
    file.set_len(1 << 40).expect("it takes no room");
    let error = refused(huge.to_str().expect("UTF-8"), "/dev/null");
    assert!(error.contains("more than 512 MiB"), "{error}");
}

#[test]
fn a_component_may_come_through_a_pipe_that_is_given() {
    let mut command = wasmcloud();
    let words = [
        "-c",
        "a=/dev/stdin",
        "--call",
        "a",
        "inhost:demo/echo.ping",
        "1",
    ];
    let mut sends = Command::new("cat")
        .arg(guest("callee"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat runs");
    let sent = sends.stdout.take().expect("it is piped");
    assert_eq!(answer(command.arg("local").args(words).stdin(sent)), "2\n");
    assert!(sends.wait().expect("it ends").success());
}

#[test]
fn programs_get_a_json_object_for_each_call_up_to_the_first_that_fails() {
    let words = [
        "--json",
        "--call",
        "caller",
        "inhost:demo/driver.ping",
        "1",
        "--call",
        "caller",
        "inhost:demo/driver.call-unlinked",
        "--call",
        "caller",
        "inhost:demo/driver.ping",
        "2",
    ];
    let (code, stdout, stderr) = run(&mut linked(&words));
    assert_eq!((code, &*stderr), (1, ""));
    let objects: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [answered, failed] = &objects[..] else {
        panic!("{stdout}");
    };
    assert_eq!(answered["function"], "inhost:demo/driver.ping");
    assert_eq!(answered["results"], serde_json::json!(["2"]));
    assert!(
        failed["error"]
            .as_str()
            .is_some_and(|error| error.contains("call-unlinked")),
        "{failed}"
    );
    assert!(failed["causes"].to_string().contains("no link"), "{failed}");
}

#[test]
fn a_call_that_takes_too_long_is_ended() {
    let words = [
        "--max-execution-time-ms",
        "1000",
        "--call",
        "caller",
        "inhost:demo/driver.call-wait",
        "60000",
    ];
    let error = refusal(&mut linked(&words), 1);
    assert!(error.contains("call-wait"), "{error}");
}

#[test]
fn a_log_that_goes_to_a_pipe_has_no_colours() {
    let mut command = local(&["callee"], &[]);
    let (code, _, stderr) = run(command.env("RUST_LOG", "inhost_lattice=debug"));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("serving"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
}

#[test]
fn help_shows_examples() {
    for flag in ["-h", "--help"] {
        let help = answer(wasmcloud().args(["local", flag]));
        assert!(
            help.contains("--link caller=callee:inhost:demo/echo"),
            "{help}"
        );
        assert!(help.contains("Exit codes"), "{help}");
        assert!(
            answer(wasmcloud().arg(flag)).contains("local"),
            "the host's help names it"
        );
    }
}

/// Looks at the sockets of the process while a call runs.
#[cfg(target_os = "linux")]
#[test]
fn nothing_listens_and_nothing_connects() {
    use std::fs;
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let words = ["--call", "caller", "inhost:demo/driver.call-wait", "60000"];
    let mut command = linked(&words);
    command.env("RUST_LOG", "inhost_lattice=debug");
    command.stderr(Stdio::piped());
    let mut running = Running::start(&mut command);
    let log = BufReader::new(running.process.stderr.take().expect("piped"));
    let serving = log
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.contains("serving"));
    assert_eq!(serving.take(2).count(), 2, "both components are served");

    let open = fs::read_dir(format!("/proc/{}/fd", running.process.id())).expect("it runs");
    let sockets: Vec<_> = open
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            Some(link.strip_suffix(']')?.to_owned())
        })
        .collect();
    let internet = ["tcp", "tcp6", "udp", "udp6"].map(|kind| {
        // A kind that the machine does not have is not used either.
        fs::read_to_string(format!("/proc/{}/net/{kind}", running.process.id())).unwrap_or_default()
    });
    drop(running);
    let mut lines = internet.iter().flat_map(|kind| kind.lines());
    let mine = lines.find(|line| {
        let inode = line.split_whitespace().nth(9);
        inode.is_some_and(|inode| sockets.iter().any(|socket| socket == inode))
    });
    assert_eq!(mine, None, "a socket of the process");
}

#[test]
fn what_components_log_is_on_standard_error_and_their_configuration_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.wasm");
    let component = include_str!("../lattice/tests/data/settings.wat");
    let component = wat::parse_str(component).expect("valid text");
    std::fs::write(&file, component).expect("written");
    let (code, stdout, stderr) = run(wasmcloud()
        .args([
            "local",
            "--config",
            "settings:greeting=hello: world",
            "--component",
        ])
        .arg(format!("settings={}", file.display()))
        .args(["--call", "settings", "get", r#""greeting""#]));
    assert_eq!(
        (code, &*stdout),
        (0, "ok(some(\"hello: world\"))\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("INFO") && stderr.contains("greeting"),
        "{stderr}"
    );
}
