//! What `--help` says at its end: examples, and what the exit code means.

/// The help of one command: its examples, one a line, and what the exit code of each command means.
#[macro_export]
macro_rules! help {
    ($($example:literal),+ $(,)?) => {
        concat!(
            "Examples:\n", $("  ", $example, "\n",)+ "\n",
            "Exit codes: 0 when all went well, 1 when something failed, 2 when the command line is not right, 130 when it \
             was interrupted.",
        )
    };
}

/// What is wrong with the examples in the help of `program`'s commands: one that `parse` does not take, one of another
/// command, or none. For tests. `parse` is given an example's words.
///
/// # Errors
///
/// Says which example it is, and what is wrong with it.
pub fn check_examples(
    program: &clap::Command,
    parse: impl Fn(&[&str]) -> Result<(), clap::Error>,
) -> Result<(), String> {
    for command in program.get_subcommands().chain([program]) {
        let name = command.get_name();
        let help = command.get_after_help().unwrap_or_default().to_string();
        if !help.contains("Exit codes: 0") {
            return Err(format!("{name} has no exit codes: {help}"));
        }
        let lines = help.lines();
        let examples: Vec<_> = lines
            .filter_map(|line| line.strip_prefix("  cargo "))
            .collect();
        if examples.is_empty() {
            return Err(format!("{name} has no example"));
        }
        for example in examples {
            let words: Vec<_> = example.split(' ').collect();
            match parse(&words) {
                Err(error) if error.kind() != clap::error::ErrorKind::DisplayHelp => {
                    return Err(format!("{example}: {error}"));
                }
                _ => {}
            }
            if name != "cargo xtask" && !example.starts_with(&format!("xtask {name}")) {
                return Err(format!("{example} is not an example of {name}"));
            }
        }
    }
    Ok(())
}
