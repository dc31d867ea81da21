//! All that a run has measured, and what follows from it.

use serde::Serialize;

use inhost_testbed::Route;

use super::case::Load;
use super::growth::Curve;
use super::machine::Machine;
use super::measure::Missing;
use super::parked::{Instances, Parked};
use super::samples::Row;
use super::scale::{Components, Lookup, SPREAD};
use xtask::host::Profile;

/// What a run has measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// How the host was built; nothing when one was given.
    pub(crate) profile: Option<Profile>,
    /// Whether it was a quick run.
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
    /// Rows that there should have been.
    pub(crate) missing: Vec<Missing>,
    pub(crate) rest: Vec<Rest>,
    pub(crate) instances: Option<Instances>,
    pub(crate) parked: Vec<Parked>,
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) components: Vec<Components>,
}

/// Memory in RAM before any call: the median of some starts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rest {
    pub(crate) route: Route,
    pub(crate) bytes: u64,
}

/// The routes in memory of which the better one counts.
pub(crate) const LOCAL: [Route; 2] = [Route::Duplex, Route::Mpsc];

impl Results {
    /// The row of a case on `route`.
    pub(crate) fn row(&self, load: Load, callers: u32, route: Route) -> Option<&Row> {
        let case = (load.name(), load.bytes(), load.strings(), callers);
        self.rows.iter().find(|row| {
            row.route == route && (row.workload, row.bytes, row.strings, row.callers) == case
        })
    }

    /// The row of a case on the route in memory that has the better median.
    pub(crate) fn local(&self, load: Load, callers: u32) -> Option<&Row> {
        let rows = LOCAL.map(|route| self.row(load, callers, route));
        let rows = rows.into_iter().flatten();
        rows.min_by(|one, other| one.p50_us.total_cmp(&other.p50_us))
    }

    /// Memory in RAM before any call, in bytes.
    pub(crate) fn rest(&self, route: Route) -> Option<f64> {
        let rest = self.rest.iter().find(|rest| rest.route == route)?;
        Some(rest.bytes as f64)
    }

    /// How cost grows with work. A curve has at least two points.
    pub(crate) fn curves(&self) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (spread, readers, how) in [
            (1, 1, "of one again and again"),
            (SPREAD, 1, "of 64 in turn"),
            (1, 8, "of one, 8 readers and a writer"),
        ] {
            let lookups = self.lookups.iter();
            let lookups = lookups.filter(|l| (l.spread, l.readers) == (spread, readers));
            curves.push(Curve {
                title: format!("registry lookup {how}, by registered functions"),
                work: "functions",
                cost: "ns",
                points: lookups.map(|l| (l.functions as f64, l.ns)).collect(),
            });
        }
        let by_components = |cost: fn(&Components) -> Option<f64>| {
            let points = self.components.iter();
            let points = points.filter_map(|c| Some((f64::from(c.components), cost(c)?)));
            points.collect()
        };
        curves.push(Curve {
            title: "ping, duplex, by components on the host".to_owned(),
            work: "components",
            cost: "µs",
            points: by_components(|c| Some(c.p50_us)),
        });
        curves.push(Curve {
            title: "memory at rest, duplex, by components on the host".to_owned(),
            work: "components",
            cost: "MiB",
            points: by_components(|c| Some(c.resident_bytes? as f64 / f64::from(1 << 20))),
        });
        for route in Route::ALL {
            curves.push(Curve {
                title: format!("echo, {route}, 1 caller, by payload"),
                work: "bytes",
                cost: "µs",
                points: self.points(route, |row| {
                    let bytes = row.bytes.filter(|_| row.callers == 1)?;
                    Some((f64::from(bytes), row.p50_us))
                }),
            });
        }
        for route in Route::ALL {
            let pings = |cost: fn(&Row) -> f64| {
                self.points(route, move |row| {
                    (row.workload == "ping").then(|| (f64::from(row.callers), cost(row)))
                })
            };
            curves.push(Curve {
                title: format!("ping, {route}, calls a second by callers"),
                work: "callers",
                cost: "calls/s",
                points: pings(|row| row.calls_per_s),
            });
            curves.push(Curve {
                title: format!("ping, {route}, median by callers"),
                work: "callers",
                cost: "µs",
                points: pings(|row| row.p50_us),
            });
        }
        curves.retain(|curve| curve.points.len() > 1);
        curves
    }

    /// What `point` finds in the rows of `route`, in ascending order of work.
    pub(crate) fn points(
        &self,
        route: Route,
        point: impl Fn(&Row) -> Option<(f64, f64)>,
    ) -> Vec<(f64, f64)> {
        let rows = self.rows.iter().filter(|row| row.route == route);
        let mut points: Vec<_> = rows.filter_map(point).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        points
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bench::samples::tests::{like, row};

    /// A run in which a ping takes 400 µs on a stock host and so on.
    pub(crate) fn results() -> Results {
        let echo = |route, p50_us| like(Load::Echo(64 << 10), 1, route, p50_us);
        Results {
            rows: vec![
                row(Route::Stock, 400.0),
                row(Route::Nats, 300.0),
                row(Route::Duplex, 20.0),
                row(Route::Mpsc, 18.0),
                row(Route::Fresh, 10.0),
                row(Route::Warm, 1.0),
                echo(Route::Stock, 25_000.0),
                echo(Route::Duplex, 100.0),
                echo(Route::Fresh, 30.0),
                like(Load::Ping, 32, Route::Duplex, 600.0),
            ],
            rest: vec![
                Rest {
                    route: Route::Stock,
                    bytes: 100,
                },
                Rest {
                    route: Route::Mpsc,
                    bytes: 104,
                },
            ],
            lookups: vec![
                Lookup {
                    functions: 1,
                    spread: 1,
                    readers: 1,
                    writer: false,
                    ns: 40.0,
                },
                Lookup {
                    functions: 10_000,
                    spread: 1,
                    readers: 1,
                    writer: false,
                    ns: 44.0,
                },
            ],
            ..Results::default()
        }
    }

    #[test]
    fn the_better_route_in_memory_counts() {
        let results = results();
        let local = results.local(Load::Ping, 1).unwrap();
        assert_eq!((local.route, local.p50_us), (Route::Mpsc, 18.0));
        assert_eq!(results.local(Load::Record, 1), None);
        assert_eq!(results.row(Load::Ping, 32, Route::Mpsc), None);
        assert_eq!(results.rest(Route::Mpsc), Some(104.0));
    }
}
