//! From the durations of calls to a row of the result.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use inhost_testbed::{Counts, Route};

use super::case::{Case, Load};

/// Calls that were made together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The duration of each call in nanoseconds.
    pub(crate) durations: Vec<u64>,
    /// The duration of it all.
    pub(crate) wall: Duration,
}

/// What has been measured for a row so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    batch: Batch,
    /// What processors spent on the process that made the calls.
    process: Option<Duration>,
    /// What they spent on the nats-server.
    nats: Option<Duration>,
    counts: Option<Counts>,
    /// How often a batch was made again, because a call was lost.
    pub(crate) repeated: u32,
    /// The most memory that the process had in RAM, in bytes.
    pub(crate) peak_bytes: Option<u64>,
}

/// What a batch cost beside its time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) process: Option<Duration>,
    pub(crate) nats: Option<Duration>,
    pub(crate) counts: Option<Counts>,
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) route: Route,
    /// The workload's name.
    pub(crate) workload: &'static str,
    /// The workload in words.
    pub(crate) title: String,
    /// Bytes of payload of a call, in each direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u32>,
    /// Strings of a call, in each direction, of 20 bytes on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strings: Option<u32>,
    /// Callers at the same time.
    pub(crate) callers: u32,
    /// How many calls were made.
    pub(crate) calls: u64,
    /// How many batches were made again, because a call in them was lost.
    pub(crate) repeated: u32,
    /// The median duration of a call, in microseconds.
    pub(crate) p50_us: f64,
    /// What 99 of 100 calls did not exceed, in microseconds.
    pub(crate) p99_us: f64,
    /// What 999 of 1,000 calls did not exceed, in microseconds.
    pub(crate) p999_us: f64,
    /// Calls a second, of all callers together.
    pub(crate) calls_per_s: f64,
    /// Seconds that processors spent on the host, or on the floor, for 1,000 calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_s_per_1000: Option<f64>,
    /// Seconds that they spent on the nats-server for 1,000 calls, where it takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nats_cpu_s_per_1000: Option<f64>,
    /// The most memory that the host, or the floor, had in RAM during these calls, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_bytes: Option<u64>,
    /// Which way the host says that calls between components went. A stock host and a floor do not say.
    #[serde(flatten)]
    pub(crate) counts: Option<Counts>,
}

impl Samples {
    /// Adds a batch.
    pub(crate) fn add(&mut self, batch: Batch, cost: Cost) {
        self.batch.durations.extend(batch.durations);
        self.batch.wall += batch.wall;
        for (sum, more) in [
            (&mut self.process, cost.process),
            (&mut self.nats, cost.nats),
        ] {
            if let Some(more) = more {
                *sum.get_or_insert_default() += more;
            }
        }
        if let Some(counts) = cost.counts {
            *self.counts.get_or_insert_default() += counts;
        }
    }

    /// Forgets the calls so far, which were made to warm up.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            repeated: self.repeated,
            ..Self::default()
        };
    }

    /// The row.
    pub(crate) fn row(mut self, case: Case, route: Route) -> Row {
        let durations = &mut self.batch.durations;
        durations.sort_unstable();
        let calls = durations.len() as u64;
        // One caller is measured by its own clock: what it does between calls is not counted.
        let seconds = match case.callers {
            1 => durations.iter().sum::<u64>() as f64 / 1e9,
            _ => self.batch.wall.as_secs_f64(),
        };
        let microseconds = |per_mille| percentile(durations, per_mille) as f64 / 1e3;
        let per_1000 = |spent: Duration| spent.as_secs_f64() * 1e3 / calls.max(1) as f64;
        Row {
            route,
            workload: case.load.name(),
            title: case.load.describe(),
            bytes: case.load.bytes(),
            strings: case.load.strings(),
            callers: case.callers,
            calls,
            repeated: self.repeated,
            p50_us: microseconds(500),
            p99_us: microseconds(990),
            p999_us: microseconds(999),
            calls_per_s: if seconds > 0.0 {
                calls as f64 / seconds
            } else {
                0.0
            },
            cpu_s_per_1000: self.process.map(per_1000),
            nats_cpu_s_per_1000: self.nats.map(per_1000),
            peak_bytes: self.peak_bytes,
            counts: self.counts,
        }
    }
}

impl Row {
    /// Whether `other` is a row of the same case, on whatever route.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let case = |row: &Self| (row.workload, row.bytes, row.strings, row.callers);
        case(self) == case(other)
    }

    /// What is wrong with the way that the calls went, if anything is.
    fn wrong_way(&self) -> Option<String> {
        let counted = self.counts?;
        let hops = match self.workload == Load::Chain.name() {
            true => Load::Chain.hops(),
            false => 1,
        };
        let calls = self.calls * hops;
        let (local, remote) = match self.route {
            Route::Composed => (0, 0),
            route if route.is_local() => (calls, 0),
            _ => (0, calls),
        };
        (counted != Counts { local, remote }).then(|| {
            format!(
                "{} with {} callers, {}: expected {local} calls in memory and {remote} over NATS, the host counted {} \
                 and {}",
                self.title, self.callers, self.route, counted.local, counted.remote,
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

/// The smallest of `sorted` that at least `per_mille` of 1,000 do not exceed; 0 when there are none.
pub(crate) fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of a ping with one caller.
    pub(crate) fn row(route: Route, p50_us: f64) -> Row {
        like(Load::Ping, 1, route, p50_us)
    }

    /// A row of any case.
    pub(crate) fn like(load: Load, callers: u32, route: Route, p50_us: f64) -> Row {
        let nanoseconds = (p50_us * 1e3) as u64;
        let mut samples = Samples::default();
        let batch = Batch {
            durations: vec![nanoseconds; 1_000],
            wall: Duration::from_nanos(nanoseconds * 1_000 / u64::from(callers)),
        };
        let cost = Cost {
            process: Some(Duration::from_millis(20)),
            ..Cost::default()
        };
        samples.add(batch, cost);
        samples.peak_bytes = Some(64 << 20);
        samples.row(Case { load, callers }, route)
    }

    #[test]
    fn a_row_is_computed_from_its_samples() {
        let case = |callers| Case {
            load: Load::Echo(1_024),
            callers,
        };
        let mut samples = Samples::default();
        let counts = Counts {
            local: 2,
            remote: 0,
        };
        let cost = Cost {
            process: Some(Duration::from_millis(10)),
            nats: None,
            counts: Some(counts),
        };
        for durations in [vec![3_000, 1_000], vec![2_000, 4_000]] {
            let wall = Duration::from_nanos(2_500);
            samples.add(Batch { durations, wall }, cost);
        }
        let row = samples.clone().row(case(1), Route::Duplex);
        assert_eq!(
            (row.calls, row.p50_us, row.p99_us, row.p999_us),
            (4, 2.0, 4.0, 4.0)
        );
        // 4 calls in 10 microseconds of calling.
        assert!((row.calls_per_s - 400_000.0).abs() < 1e-3);
        assert_eq!(row.cpu_s_per_1000, Some(5.0));
        assert_eq!((row.nats_cpu_s_per_1000, row.bytes), (None, Some(1_024)));
        assert_eq!(row.wrong_way(), None);
        let chain = Row {
            workload: Load::Chain.name(),
            ..row
        };
        let wrong = chain.wrong_way().unwrap();
        assert!(wrong.contains("expected 8 calls in memory"), "{wrong}");
        // With more callers, their clocks overlap and the wall's counts.
        let row = samples.clone().row(case(2), Route::Duplex);
        assert!((row.calls_per_s - 800_000.0).abs() < 1e-3);

        samples.clear();
        assert_eq!(samples.row(case(1), Route::Duplex).calls, 0);
    }

    #[test]
    fn calls_inside_a_composition_are_not_the_host_s() {
        let composed = |counts| Row {
            counts: Some(counts),
            ..row(Route::Composed, 1.0)
        };
        assert_eq!(composed(Counts::default()).wrong_way(), None);
        let counts = Counts {
            local: 0,
            remote: 1,
        };
        assert!(composed(counts).wrong_way().is_some());
        assert_eq!(row(Route::Stock, 1.0).wrong_way(), None);
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
    fn rows_whose_calls_went_the_wrong_way_fail() {
        let counted = |route, local, remote| Row {
            counts: Some(Counts { local, remote }),
            calls: 5,
            ..row(route, 1.0)
        };
        let good = [counted(Route::Nats, 0, 5), counted(Route::Duplex, 5, 0)];
        check_routes(&good).unwrap();
        let spilled = counted(Route::Duplex, 4, 1);
        let lost = counted(Route::Mpsc, 4, 0);
        let stayed = counted(Route::Nats, 5, 0);
        for wrong in [spilled, lost, stayed] {
            let error = check_routes(&[good[0].clone(), wrong.clone()]).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(&format!("callers, {}:", wrong.route)),
                "{error}"
            );
        }
        assert!(check_routes(&[]).is_err());
    }
}
