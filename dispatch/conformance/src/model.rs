//! Random calls, compared with a simple model of one.
//!
//! A step is one thing that one side does: a poll of a write or a read, `shutdown`, a drop, `Index`, taking the call.
//! `state` says what it has to come to, `run` does it and compares. After each step, who waits for something that has
//! come about must have been woken.

use inhost_dispatch::Backend;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{limit, off_task};
use crate::Make;

mod half;
mod run;
mod state;

use run::Run;
use state::{Role, Side, Stage, Way};

/// The paths that are used, each way. The first is the root.
const PATHS: [&[usize]; 5] = [&[], &[0], &[1], &[0, 2], &[1, 0, 3]];

/// One of the streams of a call: its direction, and its place in [`PATHS`].
#[derive(Clone, Copy, Debug)]
struct Place(Way, usize);

#[derive(Clone, Debug)]
enum Step {
    Write(Place, usize),
    Flush(Place),
    Shutdown(Place),
    Read(Place, usize),
    Drop(Place, Role),
    /// `Index`, on the handle that leads to the place, or on the root if there is a choice and this says so.
    Open(Place, Role, bool),
    Take,
    StopServing,
    Leave(Side),
    /// What the callee says of itself; see [`Caller`](inhost_dispatch::Caller).
    Say(Stage),
    Answer(usize),
    Fail,
}

fn place() -> impl Strategy<Value = Place> {
    // The roots as often as all others.
    let path = prop_oneof![Just(0), 1..PATHS.len()];
    (prop_oneof![Just(Way::Params), Just(Way::Results)], path).prop_map(|(way, i)| Place(way, i))
}

fn step() -> impl Strategy<Value = Step> {
    let role = || prop_oneof![Just(Role::Writing), Just(Role::Reading)];
    let side = prop_oneof![Just(Side::Caller), Just(Side::Callee)];
    let said = prop_oneof![
        3 => (0..40_usize).prop_map(Step::Answer),
        2 => Just(Step::Say(Stage::Admitted)),
        1 => Just(Step::Say(Stage::Running)),
        1 => Just(Step::Fail),
    ];
    prop_oneof![
        40 => (place(), 0..20_usize).prop_map(|(place, len)| Step::Write(place, len)),
        40 => (place(), 0..20_usize).prop_map(|(place, len)| Step::Read(place, len)),
        30 => (place(), role(), any::<bool>()).prop_map(|(p, role, root)| Step::Open(p, role, root)),
        3 => place().prop_map(Step::Flush),
        6 => place().prop_map(Step::Shutdown),
        6 => (place(), role()).prop_map(|(place, role)| Step::Drop(place, role)),
        7 => said,
        1 => side.prop_map(Step::Leave),
        1 => Just(Step::StopServing),
    ]
}

/// Whatever the two sides do in whatever order, each sees the bytes of the other and the right end, and no one is left
/// waiting.
pub async fn a_call_agrees_with_a_model<B: Backend>(make: impl Make<B>) {
    let steps = prop::collection::vec(step(), 0..150);
    // Most calls are taken early.
    let take =
        prop_oneof![4 => Just(Some(0_usize)), 2 => (0..40_usize).prop_map(Some), 1 => Just(None)];
    let ends = prop_oneof![Just(Side::Caller), Just(Side::Callee)];
    let calls = (1..12_usize, 0..10_usize, steps, take, ends, any::<Index>());
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(1024)
    };
    let run = move || {
        TestRunner::new(config).run(&calls, |(room, first, mut steps, take, ends, at)| {
            if let Some(take) = take {
                steps.insert(take.min(steps.len()), Step::Take);
            }
            // Someone hangs up, now and then in the middle of it.
            let at = at.index(2 * (steps.len() + 1)).min(steps.len());
            steps.insert(at, Step::Leave(ends));
            let mut run = Run::new(&make(limit(room)), room, first);
            steps.iter().for_each(|step| run.step(step));
            run.finish();
            Ok(())
        })
    };
    if let Err(failure) = off_task(run).await {
        panic!("{failure}");
    }
}
