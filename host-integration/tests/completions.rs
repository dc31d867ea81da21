//! `wasmcloud completions`, from outside.

mod support {
    pub(crate) mod cli;
}

use support::cli::{run, wasmcloud};

#[test]
fn each_shell_gets_a_script_with_the_flags_and_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, stderr) = run(wasmcloud().args(["completions", shell]));
        assert_eq!(code, 0, "{shell}: {stderr}");
        for word in ["local-dispatch", "nats-port", "completions", "component"] {
            assert!(script.contains(word), "{shell} has no `{word}`");
        }
    }
}

#[test]
fn an_unknown_shell_is_refused_with_those_there_are() {
    let (code, script, stderr) = run(wasmcloud().args(["completions", "cmd"]));
    assert_eq!((code, script.as_str()), (2, ""));
    assert!(
        stderr.contains("bash") && stderr.contains("zsh"),
        "{stderr}"
    );
}

#[test]
fn help_has_examples() {
    let (code, help, _) = run(wasmcloud().args(["completions", "--help"]));
    assert_eq!(code, 0);
    assert!(help.contains("wasmcloud completions bash >"), "{help}");
}
