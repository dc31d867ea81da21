//! What `--help` says at its end: examples, and what the exit code means.

use xtask::help;

pub(crate) const TRIALS: &str = help!("cargo xtask demo", "cargo xtask up");

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

pub(crate) const BENCH: &str = help!(
    "cargo xtask bench",
    "cargo xtask bench --quick --out target/quick",
    "cargo xtask bench --only ping,http --routes nats,duplex --json bench.json",
    "cargo xtask bench --profile release --quick",
);

pub(crate) const LANGUAGES: &str = help!(
    "cargo xtask languages",
    "cargo xtask languages --calls 500 --host target/release/wasmcloud",
);

pub(crate) const TWO_HOSTS: &str = help!(
    "cargo xtask two-hosts",
    "cargo xtask two-hosts --calls 64 --host target/release/wasmcloud",
);

pub(crate) const SOAK: &str = help!(
    "cargo xtask soak",
    "cargo xtask soak --calls 1000000 --concurrency 128 --backend mpsc",
    "cargo xtask soak --seed 7 --json soak.json",
    "cargo xtask soak --tight --calls 100000",
);

pub(crate) const WASH: &str = help!(
    "cargo xtask wash",
    "cargo xtask wash --no-wadm --host target/release/wasmcloud",
    "cargo xtask wash --wash ~/.cargo/bin/wash",
);

pub(crate) const NATS_SERVER: &str = help!("cargo xtask nats-server");

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::Arguments;

    #[test]
    fn each_command_has_examples_that_it_takes() {
        let parse = |words: &[&str]| Arguments::try_parse_from(words).map(drop);
        xtask::help::check_examples(&Arguments::command(), parse).unwrap();
    }
}
