//! What is measured: workloads, and how many callers at once.

use inhost_testbed::{Route, Workload};

use crate::report::units::{size, thousands};

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// A number there, a number back.
    Ping,
    /// That many bytes there and back.
    Echo(u32),
    /// That many strings there and back.
    Strings(u32),
    /// A record of ten mixed fields there and back.
    Record,
    /// A ping of a component that passes it on to another.
    Chain,
    /// An HTTP request to a component that makes a ping.
    Http,
}

impl Load {
    /// The name in the result, by which `--only` chooses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Echo(_) => "echo",
            Self::Strings(_) => "strings",
            Self::Record => "record",
            Self::Chain => "chain",
            Self::Http => "http",
        }
    }

    /// The names of all.
    pub(crate) const NAMES: [&'static str; 6] =
        ["ping", "echo", "strings", "record", "chain", "http"];

    /// Bytes of payload in each direction, where that can be chosen.
    pub(crate) fn bytes(self) -> Option<u32> {
        match self {
            Self::Echo(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Strings in each direction, where that can be chosen.
    pub(crate) fn strings(self) -> Option<u32> {
        match self {
            Self::Strings(strings) => Some(strings),
            _ => None,
        }
    }

    /// How many calls between components one call of the workload is.
    pub(crate) fn hops(self) -> u64 {
        match self {
            Self::Chain => 2,
            _ => 1,
        }
    }

    /// What the caller component, or a floor, is asked for. `None` when it is not asked.
    pub(crate) fn workload(self) -> Option<(Workload, u32)> {
        match self {
            Self::Ping | Self::Chain => Some((Workload::Ping, 0)),
            Self::Echo(bytes) => Some((Workload::Echo, bytes)),
            Self::Strings(strings) => Some((Workload::Strings, strings)),
            Self::Record => Some((Workload::Record, 0)),
            Self::Http => None,
        }
    }

    /// The workload in words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Ping => "ping".to_owned(),
            Self::Echo(bytes) => format!("echo {}", size(bytes)),
            Self::Strings(strings) => format!("{} strings", thousands(strings.into())),
            Self::Record => "record".to_owned(),
            Self::Chain => "chain A→B→C".to_owned(),
            Self::Http => "HTTP request".to_owned(),
        }
    }
}

/// A workload with a number of callers: a row for each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) load: Load,
    pub(crate) callers: u32,
}

/// As many callers as the routes over NATS are measured with. A stock host loses calls of more.
const MOST_CALLERS_OVER_NATS: u32 = 128;

/// Payloads that are measured on all routes. The sizes between them show how cost grows, on the routes in memory.
const COMMON_PAYLOADS: [u32; 4] = [1 << 10, 64 << 10, 1 << 20, 16 << 20];

impl Case {
    /// Whether the case is measured on `route`.
    pub(crate) fn is_on(self, route: Route) -> bool {
        let over_nats = matches!(route, Route::Stock | Route::Nats);
        let floor = matches!(route, Route::Fresh | Route::Warm);
        match self.load {
            _ if over_nats && self.callers > MOST_CALLERS_OVER_NATS => false,
            Load::Echo(bytes) => !over_nats || COMMON_PAYLOADS.contains(&bytes),
            // A floor has no host to pass a call on.
            Load::Chain | Load::Http => !floor,
            Load::Ping | Load::Strings(_) | Load::Record => true,
        }
    }

    /// The case in words.
    pub(crate) fn describe(self) -> String {
        let callers = match self.callers {
            1 => "1 caller".to_owned(),
            n => format!("{} callers", thousands(n.into())),
        };
        format!("{}, {callers}", self.load.describe())
    }
}

/// The cases of a run whose workloads have one of the names in `only`, or of all if that is empty.
pub(crate) fn cases(quick: bool, only: &[String]) -> Vec<Case> {
    const KIB: u32 = 1 << 10;
    const MIB: u32 = 1 << 20;
    let quick_cases: &[(Load, &[u32])] = &[
        (Load::Ping, &[1]),
        (Load::Echo(KIB), &[1]),
        (Load::Echo(64 * KIB), &[1]),
        (Load::Echo(MIB), &[1]),
        (Load::Echo(16 * MIB), &[1]),
        (Load::Record, &[1]),
        (Load::Strings(1_000), &[1]),
        (Load::Chain, &[1]),
        (Load::Http, &[1, 32]),
        (Load::Ping, &[32]),
    ];
    // Many callers come last: what a host has had in memory for them stays there for a while.
    let full_cases: &[(Load, &[u32])] = &[
        (Load::Ping, &[1]),
        (Load::Echo(0), &[1]),
        (Load::Echo(KIB), &[1]),
        (Load::Echo(16 * KIB), &[1]),
        (Load::Echo(64 * KIB), &[1]),
        (Load::Echo(256 * KIB), &[1]),
        (Load::Echo(MIB), &[1]),
        (Load::Echo(4 * MIB), &[1]),
        (Load::Echo(16 * MIB), &[1]),
        (Load::Record, &[1]),
        (Load::Strings(1_000), &[1]),
        (Load::Chain, &[1]),
        (Load::Http, &[1, 32]),
        (Load::Ping, &[8, 32]),
        (Load::Echo(KIB), &[32]),
        (Load::Echo(64 * KIB), &[8]),
        (Load::Record, &[32]),
        (Load::Chain, &[32]),
        (Load::Ping, &[128, 1_000]),
    ];
    let cases = if quick { quick_cases } else { full_cases };
    let chosen = |load: Load| only.is_empty() || only.iter().any(|name| name == load.name());
    cases
        .iter()
        .filter(|(load, _)| chosen(*load))
        .flat_map(|&(load, callers)| callers.iter().map(move |&callers| Case { load, callers }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_is_a_part_of_a_full_one() {
        let full = cases(false, &[]);
        for case in cases(true, &[]) {
            assert!(full.contains(&case), "{case:?}");
        }
    }

    #[test]
    fn what_a_route_cannot_do_is_not_asked_of_it() {
        let case = |load, callers| Case { load, callers };
        assert!(!case(Load::Ping, 1_000).is_on(Route::Stock));
        assert!(case(Load::Ping, 1_000).is_on(Route::Mpsc));
        assert!(!case(Load::Chain, 1).is_on(Route::Warm));
        assert!(case(Load::Chain, 1).is_on(Route::Composed));
        assert!(!case(Load::Echo(4 << 20), 1).is_on(Route::Stock));
        assert!(case(Load::Echo(16 << 20), 1).is_on(Route::Stock));
    }
}
