//! What a host has left of calls and components, when there should be nothing.

use inhost_testbed::{Deployment, Host};
use serde::Serialize;
use serde_json::Value;

/// The numbers of the host's status that are zero when no call is under way, by where they are. One that a host does
/// not say is not looked at.
const ZERO_WHEN_IDLE: &[&str] = &["/in_flight", "/calls/in_flight"];

/// What the status of a host on which nothing runs shows all the same, in words. Empty when all is as it should be.
pub(super) fn in_status(status: &Value) -> Vec<String> {
    let mut left = Vec::new();
    match status["endpoints"].as_array() {
        Some(endpoints) => left.extend(endpoints.iter().map(|endpoint| {
            let text = |name: &str| endpoint[name].as_str().unwrap_or("?");
            let (prefix, function) = (text("prefix"), text("function"));
            format!(
                "{function} of {prefix} is registered, with {} calls in its queue",
                endpoint["queued"]
            )
        })),
        None => left.push("the status has no list of endpoints".to_owned()),
    }
    left.extend(calls_in_status(status));
    left
}

/// What the status of a host says of calls under way, in words. Empty when there are none.
pub(super) fn calls_in_status(status: &Value) -> Vec<String> {
    let endpoints = status["endpoints"].as_array();
    let queued: u64 = endpoints
        .into_iter()
        .flatten()
        .filter_map(|endpoint| endpoint["queued"].as_u64())
        .sum();
    let mut left = Vec::new();
    if queued > 0 {
        left.push(format!("{queued} calls are in queues"));
    }
    let numbers = ZERO_WHEN_IDLE.iter().filter_map(|path| {
        let number = status.pointer(path)?.as_u64()?;
        Some((path, number))
    });
    left.extend(
        numbers
            .filter(|(_, number)| *number > 0)
            .map(|(path, number)| format!("{path} is {number}")),
    );
    left
}

/// How many calls without results were lost, as the status of a host says: no one was left to run them.
pub(super) fn lost(status: &Value) -> u64 {
    let functions = status["functions"].as_array().into_iter().flatten();
    functions
        .filter_map(|function| function["failures"]["lost"].as_u64())
        .sum()
}

/// What the host lists, and what is still subscribed to on NATS, for these components.
pub(super) async fn of_components(
    deployment: &Deployment,
    components: &[&str],
) -> anyhow::Result<Vec<String>> {
    let host = deployment.host();
    let mut left = in_status(&host.status().await?);
    let inventory = deployment.control().inventory(host.id()).await?;
    for id in components {
        if inventory.component(id).is_some() {
            left.push(format!("{id} is still in the inventory"));
        }
        let subscribed = deployment.served(id).await?;
        if subscribed > 0 {
            left.push(format!("{subscribed} functions of {id} are subscribed to"));
        }
    }
    Ok(left)
}

/// What the process of a host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Footprint {
    /// Memory in RAM. Without what is mapped from files, such as the program itself: the system drops it from RAM and
    /// reads it again as it likes.
    pub(super) resident_bytes: u64,
    /// Threads of the operating system.
    pub(super) threads: u64,
}

impl Footprint {
    /// `None` where there is no `/proc`.
    pub(super) fn of(host: &Host) -> Option<Self> {
        let status = format!("/proc/{}/status", host.process_id());
        Self::read(&std::fs::read_to_string(status).ok()?)
    }

    /// Reads the text of `/proc/PID/status`.
    fn read(status: &str) -> Option<Self> {
        let number = |field: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        Some(Self {
            resident_bytes: (number("RssAnon:")? + number("RssShmem:")?) * 1024,
            threads: number("Threads:")?,
        })
    }

    /// The most memory that a host may have at the end which had this before.
    pub(super) fn memory_limit(self) -> u64 {
        self.resident_bytes + self.resident_bytes / 5 + (32 << 20)
    }

    /// Whether a host that had `before` has come back to it: with no more threads, and no more memory than what an
    /// allocator keeps for itself.
    pub(super) fn is_back_to(self, before: Self) -> bool {
        self.threads <= before.threads && self.resident_bytes <= before.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_idle_host_without_components_has_nothing_left() {
        let status = json!({ "endpoints": [], "calls": { "local": 5 } });
        assert!(in_status(&status).is_empty());
        let status = json!({ "endpoints": [], "in_flight": 0 });
        assert!(in_status(&status).is_empty());
    }

    #[test]
    fn what_is_left_is_named() {
        let status = json!({
            "endpoints": [{ "prefix": "default.callee", "function": "ping", "queued": 2 }],
            "in_flight": 3,
        });
        let left = in_status(&status);
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(left[0].contains("ping of default.callee"), "{left:?}");
        assert_eq!(left[1], "2 calls are in queues");
        assert_eq!(left[2], "/in_flight is 3");
    }

    #[test]
    fn lost_calls_are_those_of_all_functions() {
        let function = |lost: u64| json!({ "failures": { "failed": 3, "lost": lost } });
        let status = json!({ "functions": [function(2), function(0), function(5)] });
        assert_eq!((lost(&status), lost(&json!({}))), (7, 0));
    }

    #[test]
    fn served_functions_are_no_calls() {
        let status = json!({ "endpoints": [{ "function": "ping", "queued": 0 }] });
        assert!(calls_in_status(&status).is_empty());
        assert_eq!(in_status(&status).len(), 1);
    }

    #[test]
    fn a_status_without_a_list_is_not_taken_for_an_empty_one() {
        assert_eq!(in_status(&json!({})).len(), 1);
    }

    #[test]
    fn memory_may_grow_by_a_fifth_and_32_mib() {
        let mib = |mib: u64, threads| Footprint {
            resident_bytes: mib << 20,
            threads,
        };
        assert!(mib(152, 8).is_back_to(mib(100, 8)));
        assert!(!mib(153, 8).is_back_to(mib(100, 8)));
        assert!(!mib(100, 9).is_back_to(mib(100, 8)));
    }

    #[test]
    fn memory_is_what_is_not_mapped_from_files() {
        let status = "Name:\tx\nVmRSS:\t  9000 kB\nRssAnon:\t  2048 kB\nRssFile:\t  5928 kB\n\
                      RssShmem:\t  1024 kB\nThreads:\t17\nSigQ:\t0\n";
        let expected = Footprint {
            resident_bytes: 3 << 20,
            threads: 17,
        };
        assert_eq!(Footprint::read(status), Some(expected));
        assert_eq!(Footprint::read("Name:\tx\nThreads:\t17\n"), None);
    }
}
