//! Where the time of one call goes, from the differences between routes.

use serde::Serialize;

use inhost_testbed::Route;

use super::case::Load;
use super::results::Results;

/// The parts of a call of one workload with one caller, in microseconds.
///
/// A part that came out below zero, as a difference of two figures that are about equal may, is zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Shares {
    pub(crate) title: String,
    /// The callee's own work: `warm`.
    pub(crate) callee_us: f64,
    /// A store and an instance for it: `fresh` less `warm`.
    pub(crate) instance_us: f64,
    /// All else that a call in memory takes: the caller's side, dispatch, and what the host does around it.
    pub(crate) dispatch_us: f64,
    /// The broker: `nats` less the call in memory.
    pub(crate) broker_us: f64,
    /// The published crates' codec and client: `stock` less `nats`.
    pub(crate) stock_us: f64,
}

impl Shares {
    /// Their names, and what is in a call in memory comes first.
    pub(crate) const NAMES: [&'static str; 5] = [
        "callee",
        "store and instance",
        "dispatch and caller",
        "broker",
        "stock codec and client",
    ];

    /// How many of the parts a call in memory has.
    pub(crate) const LOCAL: usize = 3;

    /// The parts, in the order of their names.
    pub(crate) fn parts(&self) -> [f64; 5] {
        [
            self.callee_us,
            self.instance_us,
            self.dispatch_us,
            self.broker_us,
            self.stock_us,
        ]
    }
}

/// The shares of each workload that was measured on all routes that it takes.
pub(crate) fn shares(results: &Results) -> Vec<Shares> {
    let loads = [
        Load::Ping,
        Load::Echo(1 << 10),
        Load::Echo(64 << 10),
        Load::Echo(1 << 20),
        Load::Echo(16 << 20),
        Load::Record,
        Load::Strings(1_000),
    ];
    loads
        .into_iter()
        .filter_map(|load| share(results, load))
        .collect()
}

fn share(results: &Results, load: Load) -> Option<Shares> {
    let median = |route| results.row(load, 1, route).map(|row| row.p50_us);
    let warm = median(Route::Warm)?;
    let fresh = median(Route::Fresh)?;
    let local = results.local(load, 1)?.p50_us;
    let nats = median(Route::Nats)?;
    let stock = median(Route::Stock)?;
    let more = |whole: f64, part: f64| (whole - part).max(0.0);
    Some(Shares {
        title: load.describe(),
        callee_us: warm,
        instance_us: more(fresh, warm),
        dispatch_us: more(local, fresh),
        broker_us: more(nats, local),
        stock_us: more(stock, nats),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::results;

    #[test]
    fn parts_are_differences_between_routes() {
        let shares = shares(&results());
        // The echo lacks a row.
        assert_eq!(shares.len(), 1);
        assert_eq!(shares[0].title, "ping");
        assert_eq!(shares[0].parts(), [1.0, 9.0, 8.0, 282.0, 100.0]);
        assert_eq!(shares[0].parts().iter().sum::<f64>(), 400.0);
    }

    #[test]
    fn no_part_is_below_zero() {
        let mut results = results();
        for row in &mut results.rows {
            if row.route == Route::Fresh {
                row.p50_us = 50.0;
            }
        }
        assert_eq!(shares(&results)[0].parts(), [1.0, 49.0, 0.0, 282.0, 100.0]);
    }
}
