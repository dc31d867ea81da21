//! A host whose processors are all taken, by guests that compute or by components that are compiled. All else goes on
//! meanwhile.

use std::future::Future;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::StreamExt as _;
use inhost_testbed::{
    reference, stock_host, variable, write_computing, write_large, Control, Deployment, Driver,
    Guest, Host, HostBuilder, CALLEE, DEFAULT_COUNT, ECHO,
};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::errors::spinning;
use crate::support::{nats, until, Hosts as _, Route, PROMPTLY};

/// How many times each thing is asked for meanwhile.
const ANSWERS: u32 = 40;

/// What a host does not use of the processors unless guests compute.
const MUCH: Duration = Duration::from_millis(300);

/// How often a host says that it is alive here.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often it is looked at: something else may take processors for a while.
const ATTEMPTS: usize = 4;

/// How long answers may take.
#[derive(Clone, Copy)]
struct Limits {
    median: Duration,
    longest: Duration,
}

/// Set where nothing else takes processors: then what is promised of the time holds, and is looked
/// at. Else it is looked at whether all goes on.
const ALONE: &str = "INHOST_ALONE";

fn is_alone() -> bool {
    variable::<u8>(ALONE).is_some()
}

const FOUR_TIMES: Limits = Limits {
    median: PROMPTLY,
    longest: PROMPTLY,
};

/// With as many as there are processors.
fn as_many_limits() -> Limits {
    match is_alone() {
        true => Limits {
            median: Duration::from_millis(100),
            longest: Duration::from_secs(1),
        },
        false => FOUR_TIMES,
    }
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// How long something took, time and again.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// Waits for an answer, for longer than it may take.
    async fn note<T>(&mut self, what: &str, answer: impl Future<Output = anyhow::Result<T>>) -> T {
        let begun = Instant::now();
        let answer = tokio::time::timeout(4 * PROMPTLY, answer).await;
        self.0.push(begun.elapsed());
        let answer = answer.unwrap_or_else(|_| panic!("{what}: no answer"));
        answer.unwrap_or_else(|error| panic!("{what}: {error:#}"))
    }

    /// What is wrong with them.
    fn beyond(&mut self, limits: Limits) -> Option<String> {
        self.0.sort_unstable();
        let (median, longest) = (self.0[self.0.len() / 2], self.0[self.0.len() - 1]);
        let is_within = median <= limits.median && longest <= limits.longest;
        (!is_within).then(|| format!("median {median:?}, longest {longest:?}"))
    }
}

/// What is asked of a host while its processors are taken.
struct Asked {
    driver: Driver,
    control: Control,
    host: String,
    heartbeats: async_nats::Subscriber,
}

impl Asked {
    async fn of(deployment: &Deployment) -> Self {
        let subject = format!("wasmbus.evt.{}.host_heartbeat", deployment.lattice());
        let heartbeats = deployment.client().subscribe(subject).await;
        Self {
            driver: deployment.driver().await.expect("the caller"),
            control: deployment.control().clone(),
            host: deployment.host().id().to_owned(),
            heartbeats: heartbeats.expect("subscribed"),
        }
    }

    /// Calls another component, and asks the host whether it is there, for as long as `goes_on`. Says which of the
    /// answers took too long.
    async fn answers(
        &mut self,
        what: &str,
        limits: Limits,
        goes_on: impl Fn(u32) -> bool,
    ) -> Vec<String> {
        let (mut pings, mut asked) = (Times::default(), Times::default());
        let mut n = 0;
        while goes_on(n) {
            let answer = pings.note(what, self.driver.ping(n)).await;
            assert_eq!(answer, n + 1, "{what}");
            asked
                .note(what, self.control.request("host.ping", &Value::Null))
                .await;
            n += 1;
        }
        let late = [
            ("ping", pings.beyond(limits)),
            ("host.ping", asked.beyond(limits)),
        ];
        late.into_iter()
            .filter_map(|(asked, beyond)| Some(format!("{what}: {asked}: {}", beyond?)))
            .collect()
    }

    /// Asks the host what it runs, and waits for its heartbeats. Says which of them took too long.
    async fn state(&mut self, what: &str, limits: Limits) -> Vec<String> {
        let mut inventories = Times::default();
        for _ in 0..ANSWERS {
            let inventory = inventories
                .note(what, self.control.inventory(&self.host))
                .await;
            assert!(inventory.components.len() >= 2, "{what}");
        }
        // The first one may be an old one.
        let mut late = Times::default();
        let mut last = None;
        while late.0.len() < 2 {
            let mut beats = Times::default();
            let beat = async { Ok(self.heartbeats.next().await) };
            beats.note(what, beat).await.expect("connected");
            let now = Instant::now();
            let since = last.replace(now).map(|last| now.duration_since(last));
            late.0
                .extend(since.map(|since| since.saturating_sub(HEARTBEAT)));
        }
        let late = [
            ("inventory", inventories.beyond(limits)),
            ("heartbeats", late.beyond(limits)),
        ];
        late.into_iter()
            .filter_map(|(asked, beyond)| Some(format!("{what}: {asked}: {}", beyond?)))
            .collect()
    }
}

fn host(route: Route) -> HostBuilder {
    let interval = format!("--heartbeat-interval-seconds={}", HEARTBEAT.as_secs());
    route.host().arg(interval)
}

/// So many guests that compute without end, and have begun to.
async fn compute(deployment: &Deployment, computing: usize) -> Vec<JoinHandle<()>> {
    let folder = tempfile::tempdir().expect("a folder");
    let spins = spinning(folder.path());
    let deployed = deployment.deploy_on(deployment.host(), &spins, "spins", 100);
    deployed.await.expect("deployed");
    let deployed = deployment.deploy(Guest::Caller, "computes", 100);
    deployed.await.expect("deployed");
    let linked = deployment.link("computes", "spins", "echo").await;
    linked.expect("linked");
    let computes = Driver::new(deployment.peer("computes").await.expect("the other one"));
    let used = || deployment.host().usage().cpu_time().expect("it is told");
    let enough = used() + MUCH;
    let calls = (0..computing).map(|_| {
        let computes = computes.clone();
        tokio::spawn(async move {
            let _ended = computes.ping(1).await;
        })
    });
    let calls = calls.collect();
    until("nothing computes", async || used() >= enough).await;
    calls
}

#[tokio::test]
async fn calls_commands_and_heartbeats_go_on_in_time_beside_guests_that_compute() {
    let (as_many, nats) = (processors(), nats().await);
    for (route, workers, computing, limits) in [
        (Route::Duplex, None, as_many, as_many_limits()),
        (Route::Nats, None, as_many, as_many_limits()),
        (Route::Duplex, None, 4 * as_many, FOUR_TIMES),
        (Route::Mpsc, Some(1), 4, FOUR_TIMES),
        (Route::Nats, None, 4 * as_many, FOUR_TIMES),
    ] {
        let what = format!("over {route:?} while {computing} guests compute");
        let host = host(route);
        let host = match workers {
            None => host,
            Some(workers) => host.env("TOKIO_WORKER_THREADS", format!("{workers}")),
        };
        let deployment = host.start_pair_on(&nats).await;
        let mut asked = Asked::of(&deployment).await;
        let calls = compute(&deployment, computing).await;
        let mut late = Vec::new();
        for _ in 0..ATTEMPTS {
            late = asked.answers(&what, limits, |n| n < ANSWERS).await;
            late.extend(asked.state(&what, limits).await);
            if late.is_empty() {
                break;
            }
        }
        assert!(late.is_empty(), "{late:#?}");
        let ended = calls.iter().filter(|call| call.is_finished()).count();
        assert_eq!(ended, 0, "{what}, which some do no more");
        calls.iter().for_each(JoinHandle::abort);
    }
}

/// For how many milliseconds each guest computes, or a little more.
const WORK_MS: u32 = 300;

/// How often the same work is done on each host.
const ROUNDS: usize = 3;

/// How much of the processors a host may take for what another one does with a hundred.
fn percent() -> u32 {
    if is_alone() {
        110
    } else {
        200
    }
}

/// How much of the processors a host takes for `guests` guests that compute at once.
async fn work(deployment: &Deployment, guests: usize) -> Duration {
    let peer = deployment.peer(CALLEE).await.expect("a peer");
    let peer = peer.with_deadline(12 * PROMPTLY);
    let used = || deployment.host().usage().cpu_time().expect("it is told");
    let before = used();
    let calls = (0..guests).map(|_| peer.call::<_, (u32,)>(ECHO, "ping", (WORK_MS,)));
    for answer in join_all(calls).await {
        assert_eq!(answer.expect("an answer"), (WORK_MS + 1,));
    }
    used() - before
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn guests_that_take_turns_take_no_more_of_the_processors_than_those_that_do_not() {
    let nats = nats().await;
    let folder = tempfile::tempdir().expect("a folder");
    let computing = write_computing(folder.path()).expect("written");
    let computing = reference(&computing).expect("written");
    let stock = Host::stock(stock_host().expect("a stock host"));
    let mut hosts = Vec::new();
    for host in [
        stock.lattice("stock"),
        Route::Duplex.host(),
        Route::Nats.host(),
    ] {
        let deployment = host.start_on(&nats).await;
        let deployed = deployment.deploy_on(deployment.host(), &computing, CALLEE, DEFAULT_COUNT);
        deployed.await.expect("deployed");
        hosts.push(deployment);
    }
    for guests in [2, 8] {
        let mut used = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut times = vec![Vec::new(); hosts.len()];
            for _ in 0..ROUNDS {
                for (host, times) in hosts.iter().zip(&mut times) {
                    times.push(work(host, guests).await);
                }
            }
            used = times.into_iter().map(median).collect();
            if is_within(&used) {
                break;
            }
        }
        assert!(
            is_within(&used),
            "{guests} guests: stock, here, off: {used:?}"
        );
    }
}

/// Whether all of them are not much more than the first one.
fn is_within(used: &[Duration]) -> bool {
    used.iter().all(|it| *it * 100 <= used[0] * percent())
}

/// How many functions a component has that takes a host a second or so to compile.
const LARGE: usize = 1_500;

/// All of them are compiled in that time, also beside other tests.
const COMPILED: Duration = Duration::from_secs(240);

/// The references of so many components that take long to compile, none of which is the same as another.
fn large(folder: &Path, count: usize, first: usize) -> Vec<String> {
    let files = (0..count).map(|number| {
        let number = first + number;
        let file = write_large(folder, &format!("large-{number}"), LARGE + number);
        file.and_then(|file| reference(&file)).expect("written")
    });
    files.collect()
}

#[tokio::test]
async fn calls_and_questions_go_on_in_time_beside_components_that_are_compiled() {
    let (as_many, nats) = (processors(), nats().await);
    let folder = tempfile::tempdir().expect("a folder");
    for (route, compiling, limits) in [
        (Route::Duplex, as_many, as_many_limits()),
        (Route::Nats, as_many, as_many_limits()),
        (Route::Duplex, 4 * as_many, FOUR_TIMES),
    ] {
        let what = format!("over {route:?} while {compiling} components are compiled");
        let deployment = host(route).start_pair_on(&nats).await;
        let mut asked = Asked::of(&deployment).await;
        let mut late = Vec::new();
        for attempt in 0..ATTEMPTS {
            let components = large(folder.path(), compiling, attempt * compiling);
            let starts: Vec<_> = components
                .into_iter()
                .enumerate()
                .map(|(number, component)| {
                    let control = deployment.control().clone().with_deadline(COMPILED);
                    let host = deployment.host().id().to_owned();
                    let id = format!("large-{attempt}-{number}");
                    tokio::spawn(async move { control.scale(&host, &component, &id, 1).await })
                })
                .collect();
            let goes_on = |_| !starts.iter().all(JoinHandle::is_finished);
            late = asked.answers(&what, limits, goes_on).await;
            for start in starts {
                start.await.expect("no panic").expect("it is started");
            }
            if late.is_empty() {
                break;
            }
        }
        assert!(late.is_empty(), "{late:#?}");
    }
}
