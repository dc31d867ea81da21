//! What is measured: the rows of the result, for each route.

use std::time::Duration;

use inhost_testbed::{Route, Workload};

/// How many calls the first row has by default.
pub(crate) const DEFAULT_CALLS: u32 = 5_000;

/// How long one run of the caller may take when its calls stay in the host, beyond [`BYTE`] for all calls of all
/// callers.
const LOCAL_RUN: Duration = Duration::from_secs(120);

/// How long one run of a caller over NATS may take, beyond [`NATS_CALL`] and [`BYTE`] for all calls of all callers. A
/// call is given up as lost after that; see [`super::round`].
const NATS_RUN: Duration = Duration::from_secs(15);

/// See [`NATS_RUN`].
const NATS_CALL: Duration = Duration::from_micros(500);

/// For each byte of payload.
const BYTE: Duration = Duration::from_micros(4);

/// What is measured in one row of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(super) workload: Workload,
    /// Bytes of an echo, or strings of a list.
    pub(super) size: u32,
    /// How many callers call at the same time.
    pub(super) concurrency: u32,
    /// In how many rounds.
    pub(super) rounds: u32,
    /// How many calls each caller makes in a round, over NATS.
    nats_calls: u32,
    /// How many times as many it makes in memory, so that rounds take about as long on each route. Starting the
    /// callers would weigh on short rounds.
    local_times: u32,
}

impl Case {
    /// A case with at least `calls` calls over NATS, in at most `rounds` rounds.
    pub(super) fn new(
        workload: Workload,
        size: u32,
        concurrency: u32,
        rounds: u32,
        calls: u32,
    ) -> Self {
        let per_caller = calls.div_ceil(concurrency).max(1);
        let rounds = rounds.min(per_caller);
        Self {
            workload,
            size,
            concurrency,
            rounds,
            nats_calls: per_caller.div_ceil(rounds),
            local_times: if concurrency > 1 { 4 } else { 1 },
        }
    }

    /// How many calls each caller makes in a round.
    pub(super) fn calls_per_run(&self, route: Route) -> u32 {
        match route.is_local() {
            false => self.nats_calls,
            true => self.nats_calls * self.local_times,
        }
    }

    /// How many calls a row has.
    fn calls(&self, route: Route) -> u32 {
        self.calls_per_run(route) * self.concurrency * self.rounds
    }

    /// Bytes of payload of a call, in each direction, where that can be chosen.
    pub(super) fn bytes(&self) -> u32 {
        match self.workload {
            Workload::Echo => self.size,
            Workload::Ping | Workload::Strings | Workload::Record => 0,
        }
    }

    /// Strings of a call, in each direction.
    pub(super) fn strings(&self) -> u32 {
        match self.workload {
            Workload::Strings => self.size,
            Workload::Ping | Workload::Echo | Workload::Record => 0,
        }
    }

    /// The workload's name in the result.
    pub(super) fn name(&self) -> &'static str {
        match self.workload {
            Workload::Ping => "ping",
            Workload::Echo => "echo",
            Workload::Strings => "strings",
            Workload::Record => "record",
        }
    }

    /// How long a run of `calls` calls of each caller may take on `route`.
    pub(super) fn deadline(&self, route: Route, calls: u32) -> Duration {
        let (run, call) = match route.is_local() {
            false => (NATS_RUN, NATS_CALL),
            true => (LOCAL_RUN, Duration::ZERO),
        };
        run + (call + BYTE * self.bytes()) * calls * self.concurrency
    }

    /// How long it takes on `route`, roughly: a forecast.
    pub(crate) fn planned(&self, route: Route) -> Duration {
        let call = Duration::from_micros(400)
            + Duration::from_nanos(8) * self.bytes()
            + Duration::from_micros(1) * self.strings();
        // Of the cores, and of a call in memory against one over NATS.
        let faster = if self.concurrency > 1 { 4 } else { 1 };
        let shorter = if route.is_local() { 4 } else { 1 };
        call * self.calls(route) / faster / shorter
    }

    /// The case in words, with its number of calls on each of `routes`.
    pub(crate) fn describe(&self, routes: impl Iterator<Item = Route>) -> String {
        let what = match self.workload {
            Workload::Ping => "ping".to_owned(),
            Workload::Echo => format!("echo of {} bytes", self.size),
            Workload::Strings => format!("echo of {} strings", self.size),
            Workload::Record => "echo of a record".to_owned(),
        };
        let callers = match self.concurrency {
            1 => "1 caller".to_owned(),
            n => format!("{n} callers at once"),
        };
        let calls = routes.map(|route| format!("{} over {route}", self.calls(route)));
        let calls = calls.collect::<Vec<_>>().join(", ");
        format!("{what}, {callers}, calls: {calls}")
    }
}

/// The cases of the demo. The first has `calls` calls and the others a number in proportion.
///
/// With [`DEFAULT_CALLS`] they take about a minute in all on a small machine, most of it over NATS.
pub(crate) fn cases(calls: u32) -> Vec<Case> {
    let case = |workload, size, concurrency, rounds, default: u32| {
        let calls = u64::from(default) * u64::from(calls) / u64::from(DEFAULT_CALLS);
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        Case::new(workload, size, concurrency, rounds, calls)
    };
    let times = calls.div_ceil(DEFAULT_CALLS);
    vec![
        case(Workload::Ping, 0, 1, 10, DEFAULT_CALLS),
        // Runs long enough that starting 32 of them does not weigh, and short enough to be repeated.
        case(Workload::Ping, 0, 32, 6 * times, 30_720),
        case(Workload::Echo, 1 << 10, 1, 10, 2_000),
        case(Workload::Echo, 64 << 10, 1, 10, 400),
        case(Workload::Echo, 1 << 20, 1, 5, 60),
        case(Workload::Strings, 1_000, 1, 10, 400),
        case(Workload::Record, 0, 1, 10, 2_000),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_divided_among_callers_and_rounds() {
        let case = Case::new(Workload::Ping, 0, 32, 3, 30_720);
        assert_eq!((case.nats_calls, case.calls(Route::Nats)), (320, 30_720));
        let few = Case::new(Workload::Ping, 0, 32, 3, 1);
        assert_eq!((few.rounds, few.nats_calls), (1, 1));
        assert_eq!(few.calls(Route::Nats), 32);
        let uneven = Case::new(Workload::Echo, 1, 1, 10, 11);
        assert_eq!((uneven.rounds, uneven.calls(Route::Nats)), (10, 20));
        for case in cases(1) {
            for route in Route::OURS {
                assert!(case.calls(route) >= case.concurrency, "{case:?}");
            }
        }
        let calls = |number, route| {
            let cases = cases(number).into_iter();
            cases.map(|case| case.calls(route)).collect::<Vec<_>>()
        };
        assert_eq!(
            calls(DEFAULT_CALLS, Route::Nats),
            [5_000, 30_720, 2_000, 400, 60, 400, 2_000]
        );
        assert_eq!(calls(500, Route::Nats), [500, 3_072, 200, 40, 10, 40, 200]);
    }
}
