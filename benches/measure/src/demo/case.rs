//! What is measured: the rows of the result, for each route.

use std::time::Duration;

use inhost_testbed::Route;

use crate::bench::case::{self as bench, Load};

/// How many calls the first row has by default.
pub(crate) const DEFAULT_CALLS: u32 = 5_000;

/// How long one run of the caller may take when its calls stay in the host, beyond [`BYTE`] for all calls of all
/// callers.
const LOCAL_RUN: Duration = Duration::from_secs(120);

/// How long one run of a caller over NATS may take, beyond [`NATS_CALL`] and [`BYTE`] for all calls of all callers. A
/// call is given up as lost after that; see [`super::measure::round`].
const NATS_RUN: Duration = Duration::from_secs(15);

/// See [`NATS_RUN`].
const NATS_CALL: Duration = Duration::from_micros(500);

/// For each byte of payload.
const BYTE: Duration = Duration::from_micros(4);

/// What is measured in one row of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(super) case: bench::Case,
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
    fn new(load: Load, callers: u32, rounds: u32, calls: u32) -> Self {
        let per_caller = calls.div_ceil(callers).max(1);
        let rounds = rounds.min(per_caller);
        Self {
            case: bench::Case { load, callers },
            rounds,
            nats_calls: per_caller.div_ceil(rounds),
            local_times: if callers > 1 { 4 } else { 1 },
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
        self.calls_per_run(route) * self.case.callers * self.rounds
    }

    /// How long a run of `calls` calls of each caller may take on `route`.
    pub(super) fn deadline(&self, route: Route, calls: u32) -> Duration {
        let (run, call) = match route.is_local() {
            false => (NATS_RUN, NATS_CALL),
            true => (LOCAL_RUN, Duration::ZERO),
        };
        let bytes = self.case.load.bytes().unwrap_or(0);
        run + (call + BYTE * bytes) * calls * self.case.callers
    }

    /// How long it takes on `route`, roughly: a forecast.
    pub(crate) fn planned(&self, route: Route) -> Duration {
        let call = Duration::from_micros(400)
            + Duration::from_nanos(8) * self.case.load.bytes().unwrap_or(0)
            + Duration::from_micros(1) * self.case.load.strings().unwrap_or(0);
        // Of the cores, and of a call in memory against one over NATS.
        let faster = if self.case.callers > 1 { 4 } else { 1 };
        let shorter = if route.is_local() { 4 } else { 1 };
        call * self.calls(route) / faster / shorter
    }

    /// The case in words, with its number of calls on each of `routes`.
    pub(crate) fn describe(&self, routes: impl Iterator<Item = Route>) -> String {
        let calls = routes.map(|route| format!("{} over {route}", self.calls(route)));
        let calls = calls.collect::<Vec<_>>().join(", ");
        format!("{}, calls: {calls}", self.case.describe())
    }
}

/// The cases of the demo. The first has `calls` calls and the others a number in proportion.
///
/// With [`DEFAULT_CALLS`] they take about a minute in all on a small machine, most of it over NATS.
pub(crate) fn cases(calls: u32) -> Vec<Case> {
    let case = |load, callers, rounds, default: u32| {
        let calls = u64::from(default) * u64::from(calls) / u64::from(DEFAULT_CALLS);
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        Case::new(load, callers, rounds, calls)
    };
    let times = calls.div_ceil(DEFAULT_CALLS);
    vec![
        case(Load::Ping, 1, 10, DEFAULT_CALLS),
        // Runs long enough that starting 32 of them does not weigh, and short enough to be repeated.
        case(Load::Ping, 32, 6 * times, 30_720),
        case(Load::Echo(1 << 10), 1, 10, 2_000),
        case(Load::Echo(64 << 10), 1, 10, 400),
        case(Load::Echo(1 << 20), 1, 5, 60),
        case(Load::Strings(1_000), 1, 10, 400),
        case(Load::Record, 1, 10, 2_000),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_divided_among_callers_and_rounds() {
        let case = Case::new(Load::Ping, 32, 3, 30_720);
        assert_eq!((case.nats_calls, case.calls(Route::Nats)), (320, 30_720));
        let few = Case::new(Load::Ping, 32, 3, 1);
        assert_eq!((few.rounds, few.nats_calls), (1, 1));
        assert_eq!(few.calls(Route::Nats), 32);
        let uneven = Case::new(Load::Echo(1), 1, 10, 11);
        assert_eq!((uneven.rounds, uneven.calls(Route::Nats)), (10, 20));
        for case in cases(1) {
            for route in Route::OURS {
                assert!(case.calls(route) >= case.case.callers, "{case:?}");
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
