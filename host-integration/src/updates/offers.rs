//! Which components whoever deploys them offers for HTTP requests in memory, and under which names.
//!
//! The value `local-http` of a component's configuration says so: host names that are separated by
//! commas. The host library does not pass on what configurations a component has; the command that
//! scales it names them, and any host of the lattice says what is in one. It is looked at again
//! whenever the component was scaled, and when any configuration has changed.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use futures::stream::{select, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{info, warn};
use wrpc_transport_nats::local::InvalidHttpName;

use super::host::Host;

/// The value that offers a component.
const OFFER: &str = "local-http";

/// How long the value may be, in bytes.
const LONGEST: usize = 1024;

/// When it is asked again for a configuration that could not be had.
const AGAIN: Duration = Duration::from_secs(5);

/// What any host says of configurations.
pub(super) struct Changes {
    set: Subscriber,
    deleted: Subscriber,
}

impl Changes {
    /// Tells `changed` of them. Any number may come at once, while it is looked as what a component is offered.
    async fn hear(self, changed: &Notify) {
        let mut all = select(self.set, self.deleted);
        while all.next().await.is_some() {
            changed.notify_one();
        }
    }
}

/// The watch of what is offered.
pub(super) struct Offers {
    host: Arc<Host>,
    /// The components that requests may be answered by.
    ids: BTreeSet<String>,
    /// What each is offered as, as it is written.
    known: HashMap<String, String>,
}

impl Offers {
    /// The watch, and what it is to look at. `None` where no component answers requests.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub(super) async fn subscribe(host: &Arc<Host>) -> anyhow::Result<Option<(Self, Changes)>> {
        let ids: BTreeSet<_> = host.local().config().http.values().cloned().collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let (client, place) = (host.client(), host.place());
        let changes = Changes {
            set: client.subscribe(place.event("config_set")).await?,
            deleted: client.subscribe(place.event("config_deleted")).await?,
        };
        let offers = Self {
            host: Arc::clone(host),
            ids,
            known: HashMap::new(),
        };
        Ok(Some((offers, changes)))
    }

    /// Looks, and looks again when something has changed.
    pub(super) async fn watch(self, changes: Changes) {
        let changed = Notify::new();
        tokio::join!(changes.hear(&changed), self.look_whenever(&changed));
    }

    async fn look_whenever(mut self, changed: &Notify) {
        let host = Arc::clone(&self.host);
        let (mut looked, mut failed) = (HashMap::new(), BTreeSet::new());
        let (mut misses, mut stale) = (0, true);
        loop {
            let mut told = pin!(host.told().notified());
            // From here on nothing is missed.
            told.as_mut().enable();
            stale |= std::mem::replace(&mut misses, host.misses()) != misses;
            for id in self.ids.clone() {
                let config = host.config_of(&id);
                if !stale && looked.get(&id) == Some(&config) {
                    continue;
                }
                match self.look(&id, &config).await {
                    Ok(()) => {
                        failed.remove(&id);
                        looked.insert(id, config);
                    }
                    Err(error) => {
                        looked.remove(&id);
                        if failed.insert(id.clone()) {
                            warn!(
                                id,
                                "cannot see whether the component is offered for HTTP requests in memory; what was known stays \
                                 in force, and it is tried again: {error:#}"
                            );
                        }
                    }
                }
            }
            stale = tokio::select! {
                () = told => false,
                () = changed.notified() => true,
                () = sleep(AGAIN), if !failed.is_empty() => false,
            };
        }
    }

    /// Looks as what a component with these configurations is offered.
    async fn look(&mut self, id: &str, config: &[String]) -> anyhow::Result<()> {
        let mut offer = None;
        for name in config {
            // As for all of a component's values, that of the last configuration counts.
            offer = self.host.config(name).await?.remove(OFFER).or(offer);
        }
        let mut offer = offer.unwrap_or_default();
        let is_long = offer.len() > LONGEST || offer.chars().any(char::is_control);
        // Any configuration of the lattice may have changed: this one need not have.
        let known = self.known.entry(id.into()).or_default();
        let is_new = *known != offer;
        if is_new && is_long {
            warn!(
                id,
                "the value `{OFFER}` of a component's configuration has more than {LONGEST} bytes, or a control character: the \
                 component is not offered"
            );
        }
        known.clone_from(&offer);
        if is_long {
            offer.clear();
        }
        let texts = offer.split(',').map(str::trim);
        let (mut names, mut wrong) = (Vec::new(), None);
        for text in texts.filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(name) => names.push(name),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        // One is enough to look.
        if let Some(error) = wrong.filter(|_| is_new) {
            let error: InvalidHttpName = error;
            warn!(
                id,
                "the value `{OFFER}` of a component's configuration: {error}"
            );
        }
        if is_new && names.is_empty() {
            info!(
                id,
                "the component is not offered for HTTP requests in memory any more"
            );
        } else if is_new {
            info!(
                id,
                names = offer,
                "the component is offered for HTTP requests in memory"
            );
        }
        let prefix = self.host.place().prefix(id);
        self.host.local().offer_http(&prefix, names);
        Ok(())
    }
}
