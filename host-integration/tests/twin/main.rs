//! A stock host and this one are given the same random programs, and are compared from outside.
//!
//! What is done is in `program`, what is seen in `observer`, and what has to hold in `rules`. What
//! was found before comes first (`found`). A failure is made as short as it goes, and printed as a
//! program that can be run again:
//!
//! | variable | |
//! |---|---|
//! | `INHOST_TWIN_PROGRAM` | runs this program and no other, in all modes |
//! | `INHOST_TWIN_STEPS` | about how many steps there are in each mode, instead of those that a test run has time for |
//! | `INHOST_TWIN_SEED` | a number from which the programs follow |
//!
//! It needs both backends, as the end-to-end tests do.
#![cfg(all(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

mod found;
mod generate;
mod images;
mod model;
mod observer;
mod program;
mod rules;
mod twins;
mod world;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use inhost_testbed::variable;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Runtime;

use program::Program;
use rules::Broken;
use twins::{Mode, Twins};

/// How many steps there are in each mode.
const STEPS: usize = 22;

/// The number from which the programs follow.
const SEED: u64 = 1;

/// How long shorter programs are tried when one has failed.
const SHRINKING: Duration = Duration::from_secs(90);

/// How often a program is run that may be one that fails: what happens at once does not happen in
/// the same order each time.
const RUNS: usize = 3;

#[test]
fn prefer() {
    compare(Mode::Prefer);
}

#[test]
fn require() {
    compare(Mode::Require);
}

#[test]
fn off() {
    compare(Mode::Off);
}

#[test]
fn mixed() {
    compare(Mode::Mixed);
}

/// Two hosts, and others in their place when they have done enough.
struct Comparison {
    runtime: Runtime,
    mode: Mode,
    twins: RefCell<Option<Twins>>,
}

impl Comparison {
    fn new(mode: Mode) -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime"),
            mode,
            twins: RefCell::new(None),
        }
    }

    /// Runs a program. Returns the rule that does not hold.
    fn run(&self, program: &Program) -> Result<(), Broken> {
        let mut twins = self.twins.borrow_mut();
        let ran = self.runtime.block_on(async {
            if twins.as_ref().is_none_or(|twins| !twins.has_room()) {
                *twins = None;
                *twins = Some(Twins::start(self.mode).await?);
            }
            twins.as_mut().expect("it is there").run(program).await
        });
        let ran = ran.unwrap_or_else(|error| {
            let what = format!("{error:#}");
            Err(Broken { rule: 1, what })
        });
        if ran.is_err() {
            // What a failure leaves may be in the way of other programs.
            *twins = None;
        }
        ran
    }

    /// The shortest program that is found from one that has failed, and the rule that does not hold in it.
    fn shrink(
        &self,
        mut tree: impl ValueTree<Value = Program>,
        broken: Broken,
    ) -> (Program, Broken) {
        let mut failed = (tree.current(), broken);
        let began = Instant::now();
        let mut simpler = tree.simplify();
        while simpler && began.elapsed() < SHRINKING {
            let program = tree.current();
            simpler = match self.fails(&program) {
                Some(broken) => {
                    failed = (program, broken);
                    tree.simplify()
                }
                None => tree.complicate(),
            };
        }
        failed
    }

    /// The same several times, until it fails.
    fn fails(&self, program: &Program) -> Option<Broken> {
        (0..RUNS).find_map(|_| self.run(program).err())
    }
}

fn compare(mode: Mode) {
    let comparison = Comparison::new(mode);
    if let Some(program) = variable::<Program>("INHOST_TWIN_PROGRAM") {
        if let Err(broken) = comparison.run(&program) {
            panic!("{mode:?}: {broken}\n{program}");
        }
        return;
    }
    let asked = variable("INHOST_TWIN_STEPS");
    let mut left = asked.unwrap_or(STEPS);
    let seed: u64 = variable("INHOST_TWIN_SEED").unwrap_or(SEED);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = mode as u8;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut failures = Vec::new();
    for program in found::in_mode(mode) {
        if let Err(broken) = comparison.run(&program) {
            failures.push(report(&program, &broken));
        }
    }
    // Who asks for many steps wants all that does not hold.
    while left > 0 && (failures.is_empty() || asked.is_some()) {
        let tree = generate::program().new_tree(&mut runner);
        let tree = tree.expect("a program");
        left = left.saturating_sub(tree.current().0.len());
        if let Err(broken) = comparison.run(&tree.current()) {
            let (program, broken) = comparison.shrink(tree, broken);
            failures.push(report(&program, &broken));
        }
    }
    assert!(
        failures.is_empty(),
        "{mode:?}, seed {seed}:\n{}",
        failures.join("\n")
    );
}

/// Says what has been found before all is done, and returns it.
#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it with the failed test"
)]
fn report(program: &Program, broken: &Broken) -> String {
    let failure = format!("{broken}\n  INHOST_TWIN_PROGRAM=\"{program}\"");
    eprintln!("{failure}");
    failure
}
