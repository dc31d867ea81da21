//! Random programs of commands that come one upon the other: at the end, what was chosen last is on record, and serves.
//!
//! `PROPTEST_CASES` says how many of them.

use std::sync::Arc;
use std::time::Duration;

use inhost_testbed::NatsServer;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wrpc_transport_nats::local::Config;

use super::host::Simulated;

/// How many programs run at once.
const AT_ONCE: usize = 48;

/// How long it may take until all is well after the last command. An image that comes with a scale
/// waits for calm, and an update that has failed is waited for.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Command {
    Update(&'static str),
    Scale(&'static str, u64, &'static [&'static str]),
    Stop,
    Deny(bool),
    Load(u64),
}

/// A command, and how many milliseconds later the next one comes.
type Program = Vec<(Command, u64)>;

fn command() -> impl Strategy<Value = Command> {
    let reference = || prop::sample::select(vec!["v1", "v2", "v3"]);
    let config = prop::sample::select(vec![&[][..], &["a"], &["a", "b"], &["missing"]]);
    prop_oneof![
        4 => reference().prop_map(Command::Update),
        1 => Just(Command::Update("bad")),
        4 => (reference(), 1..5_u64, config).prop_map(|(image, count, config)| Command::Scale(image, count, config)),
        1 => Just(Command::Stop),
        1 => any::<bool>().prop_map(Command::Deny),
        1 => (0..40_u64).prop_map(Command::Load),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let gap = prop_oneof![2 => Just(0), 4 => 0..20_u64, 2 => 20..150_u64, 1 => Just(500)];
    prop::collection::vec((command(), gap), 1..8)
}

async fn run(host: &Simulated, program: &Program) -> Result<(), String> {
    host.scale("v1", 3, &["a"]).await;
    host.until_serves("v1").await;
    for (command, gap) in program {
        match *command {
            Command::Update(reference) => host.update(reference).await,
            Command::Scale(reference, count, config) => host.scale(reference, count, config).await,
            Command::Stop => host.scale("v1", 0, &[]).await,
            Command::Deny(denies) => host.deny(denies),
            Command::Load(time) => host.fetching_takes(Duration::from_millis(time)),
        }
        sleep(Duration::from_millis(*gap)).await;
    }
    // What was refused is tried again when something is heard of the component.
    host.deny(false);
    sleep(Duration::from_millis(100)).await;
    if let Some(reference) = host.reference().await {
        host.update(&reference).await;
    }
    let settled = async {
        let mut times = 0;
        // It may look so while something is under way.
        while times < 30 {
            let well = host.on_record().await == host.chosen()
                && match host.reference().await {
                    None => host.generations() == 0,
                    Some(_) => host.generations() == 1 && host.serving().await.is_some(),
                };
            times = if well { times + 1 } else { 0 };
            sleep(Duration::from_millis(50)).await;
        }
    };
    let settled = timeout(SETTLED, settled).await;
    if settled.is_ok() {
        return Ok(());
    }
    let (count, reference) = (host.on_record().await, host.reference().await);
    Err(format!(
        "{program:?}: {:?} serves, {} generations, {reference:?} {count:?} on record, {:?} chosen",
        host.call("version").await,
        host.generations(),
        host.chosen(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_chosen_last_serves_after_any_program() {
    let nats = NatsServer::start().await.expect("a NATS server");
    let nats = Arc::new(nats);
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases = cases.map_or(AT_ONCE, |cases| cases.parse().expect("a number"));
    let mut runner = TestRunner::deterministic();
    let (mut running, mut failed) = (JoinSet::new(), Vec::new());
    for case in 0..cases + AT_ONCE {
        if case >= AT_ONCE {
            let ran: Result<_, String> = running.join_next().await.expect("one").expect("no panic");
            failed.extend(ran.err());
        }
        if case < cases {
            let program = program().new_tree(&mut runner).expect("one").current();
            let nats = Arc::clone(&nats);
            running.spawn(async move {
                let host = Simulated::start(&nats, Config::default()).await;
                run(&host, &program).await
            });
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {cases}:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
