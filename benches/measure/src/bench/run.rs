//! A run from its beginning to its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use inhost_testbed::{start_nats, Binaries, Route, Search, Usage};

use super::case::{cases, Case, Load};
use super::composed::Composed;
use super::machine::Machine;
use super::measure::{measure, Budget};
use super::parked::{instances, parked};
use super::participant::{Participant, REST};
use super::results::{Rest, Results};
use super::scale::{components, lookups};
use super::worker::Worker;
use crate::progress::Progress;
use xtask::host::Profile;

/// What is run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) binaries: Binaries,
    pub(crate) worker: PathBuf,
    /// What composes components, if the route has a part.
    pub(crate) compose: Option<PathBuf>,
    /// How the host was built; nothing when it was given.
    pub(crate) profile: Option<Profile>,
    pub(crate) routes: Vec<Route>,
    pub(crate) quick: bool,
    /// Names of workloads; all if there is none.
    pub(crate) only: Vec<String>,
}

/// How long it takes to start a host and its components.
const START: Duration = Duration::from_millis(1_500);

/// How long it takes to see what waiting calls need on a route.
const PARKED: Duration = Duration::from_millis(4_000);

/// How long a component takes to start, with all else that a host with many needs.
const COMPONENT: Duration = Duration::from_millis(60);

/// How long the stock host takes for an echo of one byte.
const STOCK_BYTE: Duration = Duration::from_nanos(500);

impl Plan {
    fn cases(&self) -> Vec<Case> {
        cases(self.quick, &self.only)
    }

    /// How long a case may take on each route.
    fn budget(&self) -> Budget {
        let (milliseconds, rounds, least) = if self.quick {
            (700, 3, 2)
        } else {
            (6_000, 6, 3)
        };
        Budget {
            calls: Duration::from_millis(milliseconds),
            rounds,
            least,
        }
    }

    /// How long a case takes on all routes.
    fn planned(&self, case: Case) -> Duration {
        let budget = self.budget();
        let routes = self.routes.iter().filter(|route| case.is_on(**route));
        routes
            .map(|route| {
                let calls = budget.calls.mul_f64(share(*route, case.load));
                match (route, case.load) {
                    (Route::Stock, Load::Echo(bytes)) => {
                        calls.max(STOCK_BYTE * bytes * case.callers * budget.least)
                    }
                    _ => calls,
                }
            })
            .sum()
    }

    /// Whether the run looks at memory and at large numbers too.
    fn is_whole(&self) -> bool {
        self.only.is_empty()
    }

    /// How many calls wait at the same time.
    fn parked(&self) -> u32 {
        if self.quick {
            200
        } else {
            500
        }
    }

    /// How many components a host has at most.
    fn components(&self) -> u32 {
        if self.quick {
            100
        } else {
            1_000
        }
    }

    /// The routes on which waiting calls are looked at.
    fn parked_routes(&self) -> Vec<Route> {
        let host = |route: &Route| {
            matches!(
                route,
                Route::Stock | Route::Nats | Route::Duplex | Route::Mpsc
            )
        };
        self.routes.iter().copied().filter(host).collect()
    }

    /// How often a route is started to see its memory at rest, which differs by some percent from start to start.
    fn starts(&self, route: Route) -> u32 {
        let compared = matches!(route, Route::Stock | Route::Duplex | Route::Mpsc);
        match compared && self.is_whole() {
            true if !self.quick => 5,
            _ => 1,
        }
    }

    fn planned_in_all(&self) -> Duration {
        let starts: u32 = self.routes.iter().map(|route| self.starts(*route)).sum();
        let start = START * starts;
        let cases: Duration = self
            .cases()
            .into_iter()
            .map(|case| self.planned(case))
            .sum();
        let rest = match self.is_whole() {
            true => {
                PARKED * (1 + self.parked_routes().len() as u32) + COMPONENT * self.components()
            }
            false => Duration::ZERO,
        };
        start + cases + rest
    }
}

/// How much of its budget a case takes on a route, with warming up. There is a limit to the number
/// of calls, which short ones reach before.
fn share(route: Route, load: Load) -> f64 {
    let short = match load {
        Load::Ping | Load::Chain | Load::Record => true,
        Load::Echo(bytes) => bytes <= 16 << 10,
        Load::Strings(_) | Load::Http => false,
    };
    match route {
        Route::Composed | Route::Fresh | Route::Warm if short => 0.15,
        Route::Duplex | Route::Mpsc | Route::Reuse if short => 0.6,
        _ => 1.15,
    }
}

/// Starts all that takes part, measures, and stops it.
///
/// # Errors
///
/// When something cannot be started, or a call fails on a route that may not lose any.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Results> {
    let found = tokio::task::spawn_blocking(|| Search::from_env().find()).await??;
    let mut results = Results {
        machine: Machine::look(&found.binary),
        profile: plan.profile,
        quick: plan.quick,
        ..Results::default()
    };
    let nats = Arc::new(start_nats().await?);
    let composed = plan.compose.as_deref().map(Composed::make).transpose()?;
    let mut load = Worker::start(&plan.worker)?;
    let mut progress = Progress::start(plan.planned_in_all());

    // First, while nothing else of this run is in memory or at work.
    if plan.is_whole() {
        progress.step("instances of waiting calls", PARKED);
        results.instances = instances(&plan.worker, plan.parked()).await?;
        let routes = plan.parked_routes();
        progress.step("waiting calls", REST + PARKED * routes.len() as u32);
        if let Some(instances) = results.instances {
            let (binaries, calls) = (&plan.binaries, plan.parked());
            results.parked = parked(&routes, &nats, binaries, calls, instances).await?;
        }
        let most = plan.components();
        progress.step(&format!("up to {most} components"), COMPONENT * most);
        results.components = components(&nats, &plan.binaries, most).await?;
        results.lookups = lookups(&mut load).await?;
    }

    let mut participants = Vec::new();
    let mut copies = Vec::new();
    for &route in &plan.routes {
        progress.step(&format!("starting {route}"), START * plan.starts(route));
        for number in 0..plan.starts(route) {
            let lattice = format!("{route}-{number}");
            let (binaries, worker, composed) = (&plan.binaries, &plan.worker, composed.as_ref());
            let started = Participant::start(route, &lattice, &nats, binaries, worker, composed);
            let started = started.await;
            let started = started.with_context(|| format!("cannot start the route {route}"))?;
            match number {
                0 => participants.push(started),
                _ => copies.push(started),
            }
        }
    }
    if plan.is_whole() {
        progress.step("memory at rest", REST);
        tokio::time::sleep(REST).await;
    }
    results.rest = rest(participants.iter().chain(&copies));
    for copy in copies {
        copy.stop().await?;
    }
    for case in plan.cases() {
        progress.step(&case.describe(), plan.planned(case));
        let measured = measure(case, plan.budget(), &mut participants, &mut load, &nats);
        let (rows, missing) = measured.await?;
        results.rows.extend(rows);
        results.missing.extend(missing);
    }
    progress.finish();
    for participant in participants {
        participant.stop().await?;
    }
    Ok(results)
}

/// The memory of each route: the median of those who take it.
fn rest<'a>(participants: impl Iterator<Item = &'a Participant>) -> Vec<Rest> {
    let mut seen: BTreeMap<Route, Vec<u64>> = BTreeMap::new();
    for participant in participants {
        let bytes = participant.usage().and_then(Usage::resident_bytes);
        seen.entry(participant.route).or_default().extend(bytes);
    }
    let medians = seen.into_iter().filter_map(|(route, mut seen)| {
        seen.sort_unstable();
        let bytes = *seen.get(seen.len() / 2)?;
        Some(Rest { route, bytes })
    });
    medians.collect()
}
