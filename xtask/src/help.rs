//! What `--help` says at its end: examples, and what the exit code means.

/// What the exit code of each command means.
macro_rules! exit_codes {
    () => {
        "Exit codes: 0 when all went well, 1 when something failed, 2 when the command line is not right, 130 when it was \
         interrupted."
    };
}

/// The help of one command: its examples, one a line, with a comment before it where it needs one.
macro_rules! help {
    ($($example:literal),+ $(,)?) => {
        concat!("Examples:\n", $("  ", $example, "\n",)+ "\n", exit_codes!())
    };
}

pub(crate) const TASKS: &str = help!(
    "cargo xtask demo",
    "cargo xtask up",
    "cargo xtask test",
    "cargo xtask demo --help",
);

pub(crate) const DEMO: &str = help!(
    "cargo xtask demo",
    "cargo xtask demo --calls 500 --json demo.json",
    "cargo xtask demo --json -",
    "cargo xtask demo --host target/release/wasmcloud",
);

pub(crate) const UP: &str = help!(
    "cargo xtask up",
    "cargo xtask up --backend mpsc --lattice mine",
    "cargo xtask up --local-dispatch off",
);

pub(crate) const TEST: &str = help!("cargo xtask test");

pub(crate) const BENCH: &str = help!(
    "cargo xtask bench",
    "cargo xtask bench --quick --out target/quick",
    "cargo xtask bench --only ping,http --routes nats,duplex --json bench.json",
);

pub(crate) const SOAK: &str = help!(
    "cargo xtask soak",
    "cargo xtask soak --calls 1000000 --concurrency 128 --backend mpsc",
    "cargo xtask soak --seed 7 --json soak.json",
);

pub(crate) const WASH: &str = help!(
    "cargo xtask wash",
    "cargo xtask wash --no-wadm --host target/release/wasmcloud",
    "cargo xtask wash --wash ~/.cargo/bin/wash",
);

pub(crate) const LINT: &str = help!("cargo xtask lint");

pub(crate) const GUESTS: &str = help!("cargo xtask guests", "cargo xtask guests --check");

pub(crate) const VECTORS: &str = help!("cargo xtask vectors", "cargo xtask vectors --check");

pub(crate) const FUZZ: &str = help!("cargo xtask fuzz", "cargo xtask fuzz lift --seconds 60");

pub(crate) const TIDY: &str = help!("cargo xtask tidy");

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::Arguments;

    #[test]
    fn each_command_has_examples_that_it_takes() {
        let command = Arguments::command();
        let tasks = command.get_subcommands();
        for command in tasks.chain([&command]) {
            let name = command.get_name();
            let help = command.get_after_help().unwrap_or_default().to_string();
            assert!(help.contains("Exit codes: 0"), "{name}: {help}");
            let examples = help
                .lines()
                .filter_map(|line| line.strip_prefix("  cargo "));
            let mut count = 0;
            for example in examples {
                count += 1;
                let parsed = Arguments::try_parse_from(example.split(' '));
                let fine = match &parsed {
                    Ok(_) => true,
                    Err(error) => error.kind() == clap::error::ErrorKind::DisplayHelp,
                };
                assert!(fine, "{example}: {parsed:?}");
                let own = name == "cargo xtask" || example.starts_with(&format!("xtask {name}"));
                assert!(own, "{example} is not an example of {name}");
            }
            assert!(count > 0, "{name} has no example");
        }
    }
}
