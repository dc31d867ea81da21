//! `--local-dispatch-tap`: a record of each call in memory, on a NATS subject.
//!
//! A call in memory does not pass NATS, so there is nothing to subscribe to. This publishes what
//! would be seen of it there, without payloads. It is lossy: records wait in a bounded queue, and
//! those that find it full are dropped and counted. A call never waits for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use async_nats::{ConnectOptions, Event, HeaderMap, ServerError};
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};
use wasmcloud_host::WasmbusHostConfig;
use wrpc_transport_nats::invocation_subject;
use wrpc_transport_nats::local::{Ended, Local, Outcome, Target};

use super::listing::microseconds;
use crate::nats_credentials;

/// How many records may wait to be published.
const QUEUE: usize = 1024;

/// Takes records of calls. Its task ends with the set that it was spawned on.
pub(super) struct Tap {
    records: Lossy<Record>,
    subject: String,
}

/// The end of the queue that calls put their records in.
struct Lossy<T> {
    queue: Sender<T>,
    counts: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    published: AtomicU64,
    dropped: AtomicU64,
}

/// The tap as it is listed.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    subject: String,
    published: u64,
    dropped: u64,
}

/// A call that has ended, as it waits to be published.
struct Record {
    target: Arc<Target>,
    headers: Option<HeaderMap>,
    ended: SystemTime,
    outcome: Outcome,
    duration_us: u64,
    queued_us: u64,
    callee_us: Option<u64>,
    params_bytes: u64,
    results_bytes: u64,
}

/// What is published.
#[derive(Serialize)]
struct Published<'a> {
    /// The subject that the call would have had on NATS.
    subject: String,
    headers: BTreeMap<&'a str, Vec<&'a str>>,
    backend: &'a str,
    outcome: String,
    /// When it ended, in milliseconds since 1970.
    ended_unix_ms: u64,
    duration_us: u64,
    queued_us: u64,
    callee_us: Option<u64>,
    params_bytes: u64,
    results_bytes: u64,
}

impl Tap {
    /// Publishes records on `subject`, in which `{lattice}` stands for the lattice, over a
    /// connection of its own with the address and credentials of the host's connection for
    /// invocations. What publishes them is spawned on `task`.
    pub(super) fn start(
        subject: &str,
        config: &WasmbusHostConfig,
        local: &Local,
        task: &mut JoinSet<()>,
    ) -> Self {
        let subject = subject.replace("{lattice}", &config.lattice);
        let options = nats_credentials::connect_options(
            config.rpc_jwt.clone(),
            config.rpc_key.clone(),
            config.rpc_tls,
        )
        .name("wasmcloud tap");
        let backend = local.config().backend;
        let (records, waiting) = mpsc::channel(QUEUE);
        let counts = Arc::<Counters>::default();
        let publisher = Publisher {
            subject: subject.clone(),
            backend: backend.map(|it| it.to_string()).unwrap_or_default(),
            counts: Arc::clone(&counts),
        };
        let servers = config.rpc_nats_url.to_string();
        task.spawn(async move {
            if let Err(error) = publisher.run(options, &servers, waiting).await {
                warn!("`--local-dispatch-tap`: no records of calls are published: {error:#}");
            }
        });
        info!(
            subject,
            "a record of each call in memory is published, without its payload"
        );
        let records = Lossy {
            queue: records,
            counts,
        };
        Self { records, subject }
    }

    /// Has a record of `call` published, if there is room.
    pub(super) fn publish(&self, headers: Option<HeaderMap>, call: &Ended<'_>) {
        self.records.put(|| Record {
            target: Arc::clone(call.target),
            headers,
            ended: SystemTime::now(),
            outcome: call.outcome,
            duration_us: microseconds(call.duration),
            queued_us: microseconds(call.queued),
            callee_us: call.callee.map(microseconds),
            params_bytes: call.params_bytes,
            results_bytes: call.results_bytes,
        });
    }

    /// How many records were published, and how many were not.
    pub(super) fn counts(&self) -> Counts {
        let counts = &self.records.counts;
        Counts {
            subject: self.subject.clone(),
            published: counts.published.load(Ordering::Relaxed),
            dropped: counts.dropped.load(Ordering::Relaxed),
        }
    }
}

impl<T> Lossy<T> {
    /// Puts what is made in the queue if there is room, else counts it. Never waits.
    fn put(&self, make: impl FnOnce() -> T) {
        match self.queue.try_reserve() {
            Ok(room) => room.send(make()),
            // Full, or no one publishes any more.
            Err(_) => {
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

struct Publisher {
    subject: String,
    backend: String,
    counts: Arc<Counters>,
}

/// What the server said when it did not let a record be published.
type Denied = Option<String>;

/// How long it is waited, once, for the server to say that it does not. Records wait meanwhile.
const PROVE: Duration = Duration::from_millis(100);

impl Publisher {
    /// Publishes records until the tap is dropped.
    async fn run(
        &self,
        options: ConnectOptions,
        servers: &str,
        mut records: Receiver<Record>,
    ) -> anyhow::Result<()> {
        let (denies, mut denied) = watch::channel(Denied::None);
        let options = options.event_callback(move |event| {
            if let Some(reason) = denial(&event) {
                denies.send_replace(Some(reason));
            }
            std::future::ready(())
        });
        let client = options
            .connect(servers)
            .await
            .context("cannot connect to the NATS server for invocations")?;
        let mut proven = false;
        while let Some(record) = records.recv().await {
            if !self.may_publish(&denied) {
                // With those that wait. Further ones find no one who publishes, and are counted by who has them.
                let mut dropped = 1;
                records.close();
                while records.recv().await.is_some() {
                    dropped += 1;
                }
                self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
                break;
            }
            let payload = serde_json::to_vec(&self.published(&record))?;
            // Without a connection this waits when the client's own queue is full, and then ours fills up.
            let published = client.publish(self.subject.clone(), payload.into()).await;
            let mut published = published.is_ok();
            if !proven {
                proven = true;
                let denied = denied.wait_for(Option::is_some);
                published &= tokio::time::timeout(PROVE, denied).await.is_err();
            }
            let count = match published {
                true => &self.counts.published,
                false => &self.counts.dropped,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the server has let records be published so far. Says so once if not: the client logs a line each time.
    fn may_publish(&self, denied: &watch::Receiver<Denied>) -> bool {
        match &*denied.borrow() {
            None => true,
            Some(reason) => {
                warn!(
                    subject = self.subject,
                    "`--local-dispatch-tap`: the NATS server does not let this host publish there, so records of calls are \
                     dropped from here on: {reason}. Allow the user of the connection for invocations to publish on the \
                     subject, or choose another one, and start the host anew"
                );
                false
            }
        }
    }

    fn published<'a>(&'a self, record: &'a Record) -> Published<'a> {
        let target = &record.target;
        let ended = record.ended.duration_since(UNIX_EPOCH).unwrap_or_default();
        Published {
            subject: invocation_subject(target.prefix(), target.instance(), target.function()),
            headers: record.headers.iter().flat_map(HeaderMap::iter).fold(
                BTreeMap::new(),
                |mut headers, (name, values)| {
                    let values = values.iter().map(|value| value.as_str());
                    headers.insert(name.as_ref(), values.collect());
                    headers
                },
            ),
            backend: &self.backend,
            outcome: record.outcome.to_string(),
            ended_unix_ms: u64::try_from(ended.as_millis()).unwrap_or(u64::MAX),
            duration_us: record.duration_us,
            queued_us: record.queued_us,
            callee_us: record.callee_us,
            params_bytes: record.params_bytes,
            results_bytes: record.results_bytes,
        }
    }
}

/// What the server says, if it does not let something be published.
fn denial(event: &Event) -> Denied {
    match event {
        Event::ServerError(ServerError::Other(error)) => error
            .to_ascii_lowercase()
            .contains("permissions violation for publish")
            .then(|| error.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_denies_says_so() {
        let error = |text: &str| Event::ServerError(ServerError::Other(text.into()));
        let text = "Permissions Violation for Publish to \"wasmbus.local.default.tap\"";
        assert_eq!(denial(&error(text)).as_deref(), Some(text));
        assert_eq!(
            denial(&error("Permissions Violation for Subscription to \"x\"")),
            None
        );
        assert_eq!(denial(&Event::Disconnected), None);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_dropped_and_counted() {
        let (queue, mut waiting) = mpsc::channel(2);
        let records = Lossy {
            queue,
            counts: Arc::default(),
        };
        let dropped = || records.counts.dropped.load(Ordering::Relaxed);
        for n in 0..5 {
            records.put(|| n);
        }
        assert_eq!(dropped(), 3);
        assert_eq!(waiting.recv().await, Some(0));
        records.put(|| 5);
        assert_eq!(dropped(), 3);
        assert_eq!(
            (waiting.recv().await, waiting.recv().await),
            (Some(1), Some(5))
        );
        // The publisher has ended: that costs records, and no call.
        drop(waiting);
        records.put(|| unreachable!("it is not made"));
        assert_eq!(dropped(), 4);
    }
}
