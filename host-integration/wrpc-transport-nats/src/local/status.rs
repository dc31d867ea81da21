//! What is served on this host and what was counted, as it is listed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use inhost_dispatch as dispatch;
use serde::Serialize;

use super::{Calls, Config, Endpoint, Failures, Shared};
use crate::http::{is_incoming, Http, HttpName};

/// What is served on this host, and which way its calls went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// `prefer`, `require` or `off`.
    pub mode: String,
    /// The modes of calls to single components, by component ID.
    pub targets: BTreeMap<String, String>,
    /// `duplex` or `mpsc`; nothing in a build without backends.
    pub backend: Option<String>,
    /// How many calls went which way since the process started.
    pub calls: Calls,
    /// How many local calls have a stream that has not been dropped, on either side.
    pub in_flight: usize,
    /// How many calls found the queue of their callee on this host full since the process started.
    /// They went over NATS, or waited for room.
    pub queue_full: u64,
    /// How many invocations found no room for an instance in the pool of their engine since the
    /// process started, from here or over NATS. They did not run.
    pub pool_used_up: u64,
    /// How many invocations were stopped because their guest computed for longer than the maximum
    /// execution time, since the process started, from here or over NATS.
    pub time_used_up: u64,
    /// The functions that can be called in memory, sorted.
    pub endpoints: Vec<Endpoint>,
    /// What was counted of each function that is served on this host or was called from it, sorted.
    pub functions: Vec<Function>,
    /// The names of components for HTTP requests, sorted.
    pub http: Vec<HttpTarget>,
}

/// A name under which a component of this host may answer HTTP requests in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HttpTarget {
    /// The host name, with a port unless it is that of the scheme.
    pub name: String,
    /// The component's ID.
    pub component: String,
    /// Whether a request to this name would be answered by the component: who deploys it offers it
    /// under the name, it serves HTTP requests here, and the mode of calls to it is not `off`.
    /// Requests go to the HTTP client provider otherwise.
    pub answered: bool,
}

/// What was counted of a function since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Function {
    /// The lattice and the component: `lattice.component-id`. Empty, as the other names, for all
    /// functions together that are too many to be told apart.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// Whether it can be called in memory.
    pub served: bool,
    /// How many invocations wait to be taken.
    pub queued: usize,
    /// Local calls of which a stream is left.
    pub in_flight: usize,
    /// How many calls went which way.
    pub calls: Calls,
    /// How many calls failed, and how.
    pub failures: Failures,
    /// Bytes of parameters of local calls that have ended.
    pub params_bytes: u64,
    /// Bytes of results of local calls that have ended.
    pub results_bytes: u64,
}

impl Status {
    pub(super) fn of(config: &Config, shared: &Shared, http: Option<&Arc<Http>>) -> Self {
        let (served, modes) = (shared.served(), shared.modes());
        let answers = |prefix: &str| {
            let mut served = served.iter();
            served.any(|it| &*it.prefix == prefix && is_incoming(&it.instance, &it.function))
        };
        let http = http.map(|http| http.names(answers).map(HttpTarget::from));
        let http = http.into_iter().flatten().collect();
        let mut queued = HashMap::new();
        for it in &served {
            let waiting = queued.entry((&*it.prefix, &*it.instance, &*it.function));
            *waiting.or_insert(0) += it.queued;
        }
        let functions = shared.counted();
        let functions = functions.into_iter().map(|counted| {
            let names = (&*counted.prefix, &*counted.instance, &*counted.function);
            let queued = queued.get(&names).copied();
            Function::new(counted, queued)
        });
        Self {
            mode: modes.host().to_string(),
            targets: modes
                .targets()
                .map(|(target, mode)| (target.to_owned(), mode.to_string()))
                .collect(),
            backend: config.backend.map(|backend| backend.to_string()),
            in_flight: shared.in_flight(),
            queue_full: dispatch::queue_full(),
            pool_used_up: dispatch::pool_used_up(),
            time_used_up: dispatch::time_used_up(),
            calls: shared.calls(),
            functions: functions.collect(),
            http,
            endpoints: served,
        }
    }
}

impl From<(&HttpName, &str, bool)> for HttpTarget {
    fn from((name, component, answered): (&HttpName, &str, bool)) -> Self {
        Self {
            name: name.to_string(),
            component: component.into(),
            answered,
        }
    }
}

impl Function {
    /// `queued` is that of its endpoints, if it has any.
    fn new(counted: dispatch::Counted, queued: Option<usize>) -> Self {
        Self {
            prefix: counted.prefix,
            instance: counted.instance,
            function: counted.function,
            served: queued.is_some(),
            queued: queued.unwrap_or_default(),
            in_flight: counted.in_flight,
            calls: counted.calls,
            failures: counted.failures,
            params_bytes: counted.params_bytes,
            results_bytes: counted.results_bytes,
        }
    }
}
