//! What no correct peer sends: parameters and results that are none, and components that are none.
//! Nobody suffers from it but the one who sent it.

use futures::stream::{self, StreamExt as _};
use inhost_testbed::{Deployment, Guest, HostBuilder, Link, Workload, CALLEE, CALLER, ECHO};

use crate::support::{nats, on_routes, until, Hosts as _, Route, PROMPTLY};

on_routes! { LOCAL:
    parameters_that_are_none_harm_no_one_else,
    a_file_that_is_no_component_is_refused_and_harms_no_one_else,
}

/// How much more memory the host may have after a lot of rubbish than after a little.
const GROWTH: u64 = 50 << 20;

/// How many calls are made at once.
const AT_ONCE: usize = 16;

/// How often a call over NATS is tried whose answer may be lost on its way (see guarantees.md, "Calls over NATS").
const ATTEMPTS: usize = 4;

/// The functions that random parameters do no harm to: those that pass for parameters make no large answer.
const FUNCTIONS: [&str; 17] = [
    "ping",
    "echo-bytes",
    "echo-scalars",
    "echo-string",
    "echo-strings",
    "echo-record",
    "echo-variant",
    "echo-enum",
    "echo-flags",
    "echo-option",
    "echo-result",
    "echo-nested",
    "echo-tuple",
    "echo-lists",
    "echo-options",
    "echo-results",
    "echo-many",
];

/// The length of a list or a string that is 4 GiB long.
const HUGE: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

/// Parameters that are none, whatever follows them.
const BAD: [(&str, &[u8]); 16] = [
    ("ping", &[]),
    ("ping", &[0x80]),
    ("ping", &[0xff; 12]),
    ("echo-bytes", &HUGE),
    ("echo-bytes", &[5, 1, 2]),
    ("echo-string", &HUGE),
    ("echo-string", &[5, b'a', b'b']),
    ("echo-string", &[2, 0xff, 0xfe]),
    ("echo-string", &[2, 0xc0, 0x80]),
    ("echo-strings", &HUGE),
    ("echo-nested", &HUGE),
    ("echo-variant", &[77]),
    ("echo-enum", &[200]),
    ("echo-option", &[2]),
    ("echo-result", &[9]),
    ("echo-scalars", &[7]),
];

fn host(route: Route) -> HostBuilder {
    route
        .host()
        // A call that gets no end of its parameters keeps an instance for this long.
        .args(["--max-execution-time-ms", "5000"])
}

/// Bytes that look random and are the same in each run (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 200;
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// Calls `function` of the callee with these bytes as parameters, message by message, and returns the bytes of the
/// results up to their end.
async fn call_once(
    deployment: &Deployment,
    function: &str,
    params: Vec<u8>,
) -> anyhow::Result<Vec<u8>> {
    let nats = deployment.client();
    let inbox = nats.new_inbox();
    let mut handshake = nats.subscribe(inbox.clone()).await?;
    let mut results = nats.subscribe(format!("{inbox}.results")).await?;
    let subject = format!(
        "{}.{CALLEE}.wrpc.0.0.1.{ECHO}.{function}",
        deployment.lattice()
    );
    nats.publish_with_reply(subject, inbox, params.into())
        .await?;
    let answer = async {
        let accepted = handshake.next().await;
        let peer = accepted.and_then(|message| message.reply);
        let peer = peer.ok_or_else(|| anyhow::anyhow!("the call is not taken"))?;
        // No more parameters come.
        let end = format!("{peer}.params");
        nats.publish(end, Vec::new().into()).await?;
        let mut bytes = Vec::new();
        while let Some(message) = results.next().await {
            if message.payload.is_empty() {
                break;
            }
            bytes.extend_from_slice(&message.payload);
        }
        anyhow::Ok(bytes)
    };
    tokio::time::timeout(PROMPTLY, answer)
        .await
        .map_err(|_| anyhow::anyhow!("{function} does not end"))?
}

/// As [`call_once`], and again when no end of the results comes: upstream's transport loses the end of parameters that
/// follow soon.
async fn call(deployment: &Deployment, function: &str, params: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut results = call_once(deployment, function, params.to_vec()).await;
    for _ in 1..ATTEMPTS {
        if results.is_ok() {
            break;
        }
        results = call_once(deployment, function, params.to_vec()).await;
    }
    results
}

/// Sends a lot of rubbish.
async fn rubbish(deployment: &Deployment, noise: &mut Noise) {
    let random = FUNCTIONS.iter().cycle().take(400);
    let random = random.map(|function| (*function, noise.bytes(), false));
    let bad = BAD.map(|(function, params)| (function, params.to_vec(), true));
    let calls: Vec<_> = random.chain(bad).collect();
    let mut answers = stream::iter(calls)
        .map(|(function, params, is_bad)| async move {
            let results = call(deployment, function, &params).await;
            (function, params, is_bad, results)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((function, params, is_bad, results)) = answers.next().await {
        let results = results.unwrap_or_else(|error| panic!("{function} {params:x?}: {error:#}"));
        assert!(
            !is_bad || results.is_empty(),
            "{function} {params:x?} was answered: {results:x?}"
        );
    }
}

async fn parameters_that_are_none_harm_no_one_else(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = host(route).pair().await?;
    let good = call(&deployment, "ping", &[41]).await;
    assert_eq!(good.expect("an answer"), [42], "the test's own call works");

    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    rubbish(&deployment, &mut noise).await;
    let before = deployment.host().usage().resident_bytes();
    for _ in 0..3 {
        rubbish(&deployment, &mut noise).await;
        assert_eq!(driver.ping(1).await?, 2);
    }
    if let (Some(before), Some(after)) = (before, deployment.host().usage().resident_bytes()) {
        let grown = after.saturating_sub(before);
        assert!(grown < GROWTH, "by {} MiB", grown >> 20);
    }
    Ok(())
}

/// Serves `function` as the component `liar`, and answers each call with `answer`.
async fn lie(
    deployment: &Deployment,
    function: &str,
    answer: Vec<u8>,
) -> tokio::task::JoinHandle<()> {
    let nats = deployment.client().clone();
    let lattice = deployment.lattice();
    let subject = format!("{lattice}.liar.wrpc.0.0.1.{ECHO}.{function}");
    let mut calls = nats.subscribe(subject).await.expect("subscribed");
    let liar = tokio::spawn(async move {
        while let Some(call) = calls.next().await {
            let Some(caller) = call.reply else { continue };
            let results = format!("{caller}.results");
            let inbox = nats.new_inbox();
            let accepted = nats.publish_with_reply(caller, inbox, Vec::new().into());
            accepted.await.expect("sent");
            for part in [answer.clone(), Vec::new()] {
                let sent = nats.publish(results.clone(), part.into()).await;
                sent.expect("sent");
            }
        }
    });
    // The host calls over another connection: the server has to know of the subscription before.
    until("the server does not know of it", async || {
        deployment.served("liar").await.expect("the server answers") > 0
    })
    .await;
    liar
}

/// Makes the caller call `to` instead of `from`.
async fn relink(deployment: &Deployment, from: &str, to: &str) {
    let link = Link::new(CALLER, from, "inhost:demo", "echo");
    let removed = deployment.control().link_del(&link).await;
    removed.expect("removed");
    let linked = deployment.link(CALLER, to, "echo").await;
    linked.expect("linked");
}

#[tokio::test]
async fn results_that_are_none_are_an_error_for_the_caller_and_harm_no_one_else(
) -> anyhow::Result<()> {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let nats = nats().await;
    for route in Route::LOCAL {
        let deployment = host(route).start_pair_on(&nats).await;
        let driver = deployment.driver().await?;
        assert_eq!(driver.ping(1).await?, 2);
        relink(&deployment, CALLEE, "liar").await;
        let before = deployment.host().usage().resident_bytes();
        for (function, answer) in [
            ("ping", vec![]),
            ("ping", vec![0x80]),
            ("ping", vec![0xff; 12]),
            ("echo-bytes", HUGE.to_vec()),
            ("echo-bytes", vec![5, 1]),
            ("echo-strings", HUGE.to_vec()),
            ("echo-strings", vec![1, 2, 0xff, 0xfe]),
            ("echo-record", vec![]),
            ("echo-record", vec![0xff; 40]),
            ("echo-record", noise.bytes()),
        ] {
            let liar = lie(&deployment, function, answer.clone()).await;
            let mut failed = false;
            for _ in 0..ATTEMPTS {
                let workload = match function {
                    "ping" => Workload::Ping,
                    "echo-bytes" => Workload::Echo,
                    "echo-strings" => Workload::Strings,
                    _ => Workload::Record,
                };
                let call = tokio::time::timeout(PROMPTLY, driver.run(workload, 3, 1)).await;
                if let Ok(outcome) = call {
                    outcome.expect_err("the answer is none");
                    failed = true;
                    break;
                }
            }
            assert!(failed, "over {route:?} {function} hangs on {answer:x?}");
            liar.abort();
            let _ended = liar.await;
        }
        if let (Some(before), Some(after)) = (before, deployment.host().usage().resident_bytes()) {
            let grown = after.saturating_sub(before);
            assert!(grown < GROWTH, "over {route:?} by {} MiB", grown >> 20);
        }
        relink(&deployment, "liar", CALLEE).await;
        assert_eq!(driver.ping(1).await?, 2);
    }
    Ok(())
}

/// A core module with an import that no component can be made of.
const CORE_MODULE: [u8; 25] = *b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0";

async fn a_file_that_is_no_component_is_refused_and_harms_no_one_else(
    route: Route,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let callee = std::fs::read(Guest::Callee.path()).expect("the callee");
    let mut noise = Noise(0x1234_5678_9abc_def1);
    let random = (0..10_000).map(|_| noise.next() as u8).collect();
    let (deployment, driver) = host(route).pair().await?;
    let id = deployment.host().id();
    let control = deployment.control().clone().with_deadline(2 * PROMPTLY);
    for (name, content) in [
        ("empty", &vec![]),
        ("random", &random),
        ("header", &callee[..7].to_vec()),
        ("truncated", &callee[..callee.len() / 2].to_vec()),
        ("core", &CORE_MODULE.to_vec()),
    ] {
        let path = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&path, content).expect("written");
        let reference = format!("file://{}", path.display());
        let started = control.scale(id, &reference, name, 1).await;
        let error = match started {
            Ok(()) => panic!("{name} was started over {route:?}"),
            Err(error) => format!("{error:#}"),
        };
        assert!(
            error.contains("the host says"),
            "{name} over {route:?}: {error}"
        );
        let inventory = control.inventory(id).await.expect("the host answers");
        assert!(inventory.component(name).is_none(), "{name} is listed");
        assert_eq!(driver.ping(1).await?, 2);
    }
    // The id is not taken by what was refused.
    deployment.deploy(Guest::Callee, "truncated", 1).await?;
    Ok(())
}
