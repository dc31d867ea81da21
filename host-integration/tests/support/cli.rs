//! Runs the built binary.

use std::process::{Command, Output};

/// The binary, without the variables of this environment that it would read.
pub(crate) fn wasmcloud() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmcloud"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["WASMCLOUD_", "OTEL_", "RUST_LOG"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` to its end; returns its exit code, standard output and standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (
        status.code().expect("it was not killed"),
        text(stdout),
        text(stderr),
    )
}
