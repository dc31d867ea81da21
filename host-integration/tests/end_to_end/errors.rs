//! A call that fails does so in the same way over each route and on a stock host, and the log says which call it was.

use std::path::Path;

use inhost_testbed::{
    reference, stock_host, write_spinning, Deployment, Driver, Host, HostBuilder, Link, CALLEE,
    CALLER,
};

use crate::support::{entries, nats, on_routes, until, Hosts as _, Route, PROMPTLY};

on_routes! { LOCAL:
    the_log_names_component_and_function_of_a_local_call_that_failed,
}

/// How often a call over NATS is tried: upstream's transport loses one now and then (see guarantees.md, "Calls over
/// NATS").
const ATTEMPTS: usize = 5;

/// Longest run of a component here. With the shortest one, a second, the host may interrupt a component that has just
/// been started.
const LONGEST_MS: &str = "2000";

/// Ways in which a call can fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    NoLink,
    NoFunction,
    NoComponent,
    Trap,
    /// The callee waits for longer than it may run.
    Waits,
    /// The callee computes for longer than it may run.
    Spins,
}

impl Failure {
    const ALL: [Self; 6] = [
        Self::NoLink,
        Self::NoFunction,
        Self::NoComponent,
        Self::Trap,
        Self::Waits,
        Self::Spins,
    ];

    /// Whether a stock host can be made to fail so in good time: it has no flag for the longest run.
    fn is_for_stock(self) -> bool {
        !matches!(self, Self::Waits | Self::Spins)
    }

    async fn call(self, driver: &Driver) -> anyhow::Result<u32> {
        match self {
            Self::NoLink => driver.call_unlinked().await,
            Self::NoFunction => driver.call_absent().await,
            Self::NoComponent => driver
                .ping_via("nobody", 1)
                .await?
                .map_err(anyhow::Error::msg),
            Self::Trap => driver.call_trap("on purpose").await,
            Self::Waits => driver.call_wait(60_000).await,
            Self::Spins => driver
                .ping_via("spins", 1)
                .await?
                .map_err(anyhow::Error::msg),
        }
    }

    /// What the log of a host that calls in memory has to say together.
    fn named(self) -> &'static [&'static str] {
        match self {
            Self::NoLink => &["inhost:demo/unlinked@0.1.0", "`nothing`", "`caller`"],
            // These have left the host by the time that they fail.
            Self::NoFunction => &["`inhost:demo/absent@0.1.0.nothing`", "not connected"],
            Self::NoComponent => &["`inhost:demo/echo@0.1.0.ping`", "not connected"],
            Self::Trap => &["inhost:demo/echo@0.1.0", "trap", "callee", "unreachable"],
            Self::Waits => &["`inhost:demo/echo@0.1.0.wait` timed out"],
            // The caller's time is over when the callee's is: either may be the first to say so.
            Self::Spins => &["`inhost:demo/echo@0.1.0.ping`"],
        }
    }
}

/// A component whose `ping` never ends by itself.
pub(crate) fn spinning(folder: &Path) -> String {
    let file = write_spinning(folder);
    file.and_then(|file| reference(&file)).expect("a component")
}

/// The caller with a link to the callee, and links to one that spins and to one that is not there.
async fn start(host: HostBuilder, folder: &Path) -> Deployment {
    let deployment = host.start_pair_on(&nats().await).await;
    let deployed = deployment
        .deploy_on(deployment.host(), &spinning(folder), "spins", 10)
        .await;
    deployed.expect("deployed");
    for (name, target) in [
        ("default", CALLEE),
        ("spins", "spins"),
        ("nobody", "nobody"),
    ] {
        let mut link = Link::new(CALLER, target, "inhost:demo", "echo");
        if name == "default" {
            // One link for both interfaces: a second one for the package would replace the first.
            link.interfaces.push("absent".into());
        }
        let linked = deployment.control().link_put(&link.named(name)).await;
        linked.expect("linked");
    }
    deployment
}

/// The outcome of a call that hangs.
const NO_ANSWER: &str = "no answer in time";

/// The caller's error, without what names the lattice.
async fn outcome(failure: Failure, deployment: &Deployment, driver: &Driver) -> String {
    match tokio::time::timeout(PROMPTLY, failure.call(driver)).await {
        Ok(Ok(answer)) => format!("the answer {answer}"),
        Ok(Err(error)) => {
            let prefix = format!("{}.{CALLER}", deployment.lattice());
            format!("{error:#}").replace(&prefix, "the caller")
        }
        Err(_) => NO_ANSWER.to_owned(),
    }
}

/// Checks that calls still work. `ping-via` leaves its link set when it fails.
async fn still_works(name: &str, driver: &Driver) {
    for attempt in 1.. {
        let answer = tokio::time::timeout(PROMPTLY, driver.ping_via("default", 1)).await;
        match answer {
            Ok(Ok(Ok(2))) => return,
            _ if attempt < ATTEMPTS => {}
            answer => panic!("{name}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn each_kind_of_failure_is_the_same_for_the_caller_over_each_route_and_on_a_stock_host(
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stock = tokio::task::spawn_blocking(stock_host).await;
    let stock = stock.expect("no panic").expect("there is a stock host");
    let time = ["--max-execution-time-ms", LONGEST_MS];
    let mut hosts = Route::OURS
        .map(|route| (format!("{route:?}"), route.host().args(time)))
        .to_vec();
    hosts.push(("stock".to_owned(), Host::stock(stock).lattice("stock")));
    let mut outcomes = Vec::new();
    for (name, host) in hosts {
        let deployment = start(host, folder.path()).await;
        let driver = deployment.driver().await?;
        for failure in Failure::ALL {
            if name == "stock" && !failure.is_for_stock() {
                continue;
            }
            let mut got = outcome(failure, &deployment, &driver).await;
            for _ in 1..ATTEMPTS {
                // A stock host loses a call now and then (see guarantees.md, "Calls over NATS"), and ours do not.
                if name != "stock" || got != NO_ANSWER {
                    break;
                }
                got = outcome(failure, &deployment, &driver).await;
            }
            outcomes.push((failure, name.clone(), got));
            still_works(&name, &driver).await;
        }
    }
    for failure in Failure::ALL {
        let ours: Vec<_> = outcomes.iter().filter(|(f, ..)| *f == failure).collect();
        let (_, _, first) = ours[0];
        assert!(first.contains("failed"), "{failure:?}: {first}");
        assert!(
            ours.iter().all(|(.., outcome)| outcome == first),
            "{ours:#?}"
        );
    }
    Ok(())
}

async fn the_log_names_component_and_function_of_a_local_call_that_failed(
    route: Route,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let host = route.host().args(["--max-execution-time-ms", LONGEST_MS]);
    let deployment = start(host, folder.path()).await;
    let driver = deployment.driver().await?;
    for failure in Failure::ALL {
        let before = deployment.host().log_lines().len();
        let outcome = outcome(failure, &deployment, &driver).await;
        assert!(outcome.contains("failed"), "{failure:?}: {outcome}");
        let what = format!("no entry has all of {:?}", failure.named());
        until(&what, async || {
            let lines = deployment.host().log_lines();
            let all = |entry: String| failure.named().iter().all(|n| entry.contains(n));
            let named = entries(&lines[before..]).any(all);
            named
        })
        .await;
        still_works("over a local route", &driver).await;
    }
    Ok(())
}
