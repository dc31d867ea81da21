//! One line of the result.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use inhost_testbed::{Counts, Route};

use super::case::Case;

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) route: Route,
    /// `ping`, `echo`, `strings` or `record`.
    pub(crate) workload: &'static str,
    /// Bytes of payload of a call, in each direction. 0 where the workload leaves no choice.
    pub(crate) bytes: u32,
    /// Strings of a call, in each direction, of 20 bytes on average. 0 for other workloads.
    pub(crate) strings: u32,
    /// Callers at the same time.
    pub(crate) concurrency: u32,
    /// How many calls were made.
    pub(crate) calls: u64,
    /// The median duration of a call, in microseconds.
    pub(crate) p50_us: f64,
    /// What 99 of 100 calls did not exceed, in microseconds.
    pub(crate) p99_us: f64,
    /// Calls a second, of all callers together.
    pub(crate) calls_per_s: f64,
    /// Which way the host says that they went.
    #[serde(flatten)]
    pub(crate) counts: Option<Counts>,
}

impl Row {
    /// Whether `other` is a row of the same case, on whatever route.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let case = |row: &Self| (row.workload, row.bytes, row.strings, row.concurrency);
        case(self) == case(other)
    }

    /// What is wrong with the way that the calls went, if anything is.
    pub(crate) fn wrong_way(&self) -> Option<String> {
        let counted = self.counts?;
        let expected = match self.route.is_local() {
            true => Counts {
                local: self.calls,
                remote: 0,
            },
            false => Counts {
                local: 0,
                remote: self.calls,
            },
        };
        (counted != expected).then(|| {
            format!(
                "{} of {} bytes with {} callers over {}: expected {} calls in memory and {} over NATS, the host \
                 counted {} and {}",
                self.workload,
                self.bytes,
                self.concurrency,
                self.route,
                expected.local,
                expected.remote,
                counted.local,
                counted.remote,
            )
        })
    }
}

/// An error when there are no rows, or when calls of a row went another way than they should.
pub(crate) fn check_routes(rows: &[Row]) -> anyhow::Result<()> {
    ensure!(!rows.is_empty(), "nothing was measured");
    let wrong: Vec<_> = rows.iter().filter_map(Row::wrong_way).collect();
    ensure!(
        wrong.is_empty(),
        "calls went the wrong way:\n  - {}",
        wrong.join("\n  - ")
    );
    Ok(())
}

/// What has been measured for a row so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    /// The duration of each call in nanoseconds.
    pub(super) durations: Vec<u64>,
    /// The duration of all batches together.
    pub(super) wall: Duration,
    /// `None` when the host does not count.
    pub(super) counts: Option<Counts>,
}

impl Samples {
    pub(super) fn row(mut self, case: &Case, route: Route) -> Row {
        self.durations.sort_unstable();
        let calls = self.durations.len() as u64;
        // One caller is measured by its own clock: what it does between calls is not counted.
        let seconds = match case.concurrency {
            1 => self.durations.iter().sum::<u64>() as f64 / 1e9,
            _ => self.wall.as_secs_f64(),
        };
        Row {
            route,
            workload: case.name(),
            bytes: case.bytes(),
            strings: case.strings(),
            concurrency: case.concurrency,
            calls,
            p50_us: percentile(&self.durations, 500) as f64 / 1e3,
            p99_us: percentile(&self.durations, 990) as f64 / 1e3,
            calls_per_s: if seconds > 0.0 {
                calls as f64 / seconds
            } else {
                0.0
            },
            counts: self.counts,
        }
    }
}

/// The smallest of `sorted` that at least `per_mille` of 1,000 do not exceed; 0 when there are none.
pub(crate) fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use inhost_testbed::Workload;

    use super::*;

    /// A row in which all went well.
    pub(crate) fn row(route: Route, calls: u64) -> Row {
        let counts = Counts {
            local: if route.is_local() { calls } else { 0 },
            remote: if route.is_local() { 0 } else { calls },
        };
        Row {
            route,
            workload: "ping",
            bytes: 0,
            strings: 0,
            concurrency: 1,
            calls,
            p50_us: 30.5,
            p99_us: 61.25,
            calls_per_s: 32_000.0,
            counts: Some(counts),
        }
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 500), 50);
        assert_eq!(percentile(&hundred, 990), 99);
        assert_eq!(percentile(&hundred, 999), 100);
        assert_eq!(percentile(&[7], 500), 7);
        assert_eq!(percentile(&[7], 990), 7);
        assert_eq!(percentile(&[1, 2, 3], 500), 2);
        assert_eq!(percentile(&[1, 2, 3, 4], 500), 2);
        assert_eq!(percentile(&(1..=20).collect::<Vec<_>>(), 990), 20);
        assert_eq!(percentile(&(1..=1_000).collect::<Vec<_>>(), 999), 999);
        assert_eq!(percentile(&[], 500), 0);
    }

    #[test]
    fn a_row_is_computed_from_its_samples() {
        let counts = Counts {
            local: 4,
            remote: 0,
        };
        let samples = Samples {
            durations: vec![3_000, 1_000, 2_000, 4_000],
            wall: Duration::from_micros(5),
            counts: Some(counts),
        };
        let case = Case::new(Workload::Echo, 1024, 1, 2, 4);
        let row = samples.clone().row(&case, Route::Duplex);
        assert_eq!((row.calls, row.p50_us, row.p99_us), (4, 2.0, 4.0));
        // 4 calls in 10 microseconds of calling.
        assert!((row.calls_per_s - 400_000.0).abs() < 1e-3);
        assert_eq!((row.workload, row.bytes), ("echo", 1024));
        assert_eq!((row.strings, row.counts), (0, Some(counts)));

        // With more callers, their clocks overlap and the wall's counts.
        let case = Case::new(Workload::Strings, 1024, 2, 2, 4);
        let row = samples.row(&case, Route::Duplex);
        assert!((row.calls_per_s - 800_000.0).abs() < 1e-3);
        assert_eq!((row.bytes, row.strings), (0, 1024));
    }

    #[test]
    fn rows_whose_calls_went_the_wrong_way_fail() {
        let good = Route::OURS.map(|route| row(route, 5));
        check_routes(&good).unwrap();

        let wrong = |route, local, remote| Row {
            counts: Some(Counts { local, remote }),
            ..row(route, 5)
        };
        let spilled = wrong(Route::Duplex, 4, 1);
        let lost = wrong(Route::Mpsc, 4, 0);
        let stayed = wrong(Route::Nats, 5, 0);
        for wrong in [spilled, lost, stayed] {
            let error = check_routes(&[good[0].clone(), wrong.clone()]).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&format!("over {}", wrong.route)), "{error}");
        }
        assert!(check_routes(&[]).is_err());
    }
}
