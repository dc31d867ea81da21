//! What can be seen of calls: metrics, span attributes, the slowest ones, and the tap.
//!
//! The transport counts calls by itself. This adds what needs a look at each call, and only when
//! someone asked for it: with none of it, no observer is installed, and a call pays for none of it.

mod callers;
mod listing;
mod metrics;
mod slowest;
mod spans;
mod tap;

use std::sync::Arc;
use std::time::Instant;

use async_nats::{HeaderMap, HeaderName};
use tokio::task::JoinSet;
use wasmcloud_host::WasmbusHostConfig;
use wrpc_transport_nats::local::{self, Ended, Ending, Observer};

use crate::args::Args;
use crate::steer::Steering;
use crate::{host_config, observability};

use listing::{Kept, Listing};
use metrics::Durations;
use slowest::Slowest;
use tap::Tap;

/// Looks at calls for as long as the process runs. Dropping it ends the tap.
pub(crate) struct Watch {
    seen: Arc<Seen>,
    host: String,
    /// Publishes the tap's records.
    _tap: JoinSet<()>,
}

/// Who is told about calls.
struct Seen {
    /// Kept for the listing.
    slowest: Option<Slowest<Kept>>,
    durations: Option<Durations>,
    tap: Option<Tap>,
}

impl Watch {
    /// Starts what the flags ask for: to be called once, after the transport was configured and before the first call.
    ///
    /// A host whose tap cannot connect runs all the same, and the log says so.
    pub(crate) fn start(args: &Args, config: &mut WasmbusHostConfig) -> Self {
        let otel = observability::otel_config(args);
        let host = host_config::host_id(config);
        let local = local::installed();
        let mut task = JoinSet::new();
        let seen = Arc::new(Seen {
            slowest: args.local.status.map(|_| Slowest::new()),
            durations: otel
                .metrics_enabled()
                .then(|| metrics::export(local.clone(), &host, &config.version)),
            tap: args
                .local
                .tap_subject()
                .map(|subject| Tap::start(subject, config, &local, &mut task)),
        });
        if otel.traces_enabled() {
            spans::mark(&local);
        }
        if seen.is_of_use() {
            local.observe(Observed(Arc::clone(&seen)));
        }
        Self {
            seen,
            host,
            _tap: task,
        }
    }

    /// What `--local-status` shows.
    pub(crate) fn listing(&self, steering: Option<Arc<Steering>>) -> Listing {
        Listing::new(self.host.clone(), Arc::clone(&self.seen), steering)
    }
}

impl Seen {
    fn is_of_use(&self) -> bool {
        self.slowest.is_some() || self.durations.is_some() || self.tap.is_some()
    }

    fn look(&self, call: &Ended<'_>) {
        if let Some(slowest) = &self.slowest {
            slowest.look(Instant::now(), call.duration, || Kept::of(call));
        }
        if let Some(durations) = &self.durations {
            durations.record(call);
        }
    }
}

/// The header in which the host library says which component calls.
const CALLER: HeaderName = HeaderName::from_static("source-id");

/// The transport's way to what is seen.
struct Observed(Arc<Seen>);

impl Observer<Option<HeaderMap>> for Observed {
    fn begins(&self, headers: &Option<HeaderMap>) -> Arc<dyn Ending> {
        match &self.0.tap {
            // The callee takes the headers along, so the tap needs its own.
            Some(_) => Arc::new(Tapped {
                headers: headers.clone(),
                seen: Arc::clone(&self.0),
            }),
            None => Arc::clone(&self.0) as Arc<dyn Ending>,
        }
    }

    /// For the listing, which is there if the slowest calls are kept for it.
    fn caller(&self, headers: &Option<HeaderMap>) -> Option<Arc<str>> {
        self.0.slowest.as_ref()?;
        let name = headers.as_ref().and_then(|headers| headers.get(CALLER));
        Some(callers::shared(name.map_or("", |name| name.as_str())))
    }
}

impl Ending for Seen {
    fn ended(self: Arc<Self>, call: &Ended<'_>) {
        self.look(call);
    }
}

/// A call of which a record is published.
struct Tapped {
    headers: Option<HeaderMap>,
    seen: Arc<Seen>,
}

impl Ending for Tapped {
    fn ended(self: Arc<Self>, call: &Ended<'_>) {
        self.seen.look(call);
        let seen = Arc::clone(&self.seen);
        if let Some(tap) = &seen.tap {
            // The transport has let go of it, so this is the only handle.
            let headers = Arc::into_inner(self).and_then(|call| call.headers);
            tap.publish(headers, call);
        }
    }
}
