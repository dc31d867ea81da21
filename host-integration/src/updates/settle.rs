//! Makes the version of a component serve that the host has on record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::time::{sleep, Instant};
use tracing::{info, warn};

use super::host::{Component, Host};
use super::known::{Mixed, Scaling};

/// How long the host may take to carry out a command: it fetches the image each time.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the host may take to fetch and compile a version that came with a scale.
const LONG_PATIENCE: Duration = Duration::from_secs(600);

/// How often the inventory is looked at while nothing else tells of a change.
const LOOK: Duration = Duration::from_secs(1);

/// How long a generation has to be there before it is believed to be on record. What an update makes is gone by then: it lives
/// for as long as it takes to publish an event.
const SETTLE: Duration = Duration::from_millis(50);

/// How long no command about a component may have come before its reference is changed back and forth. The host library puts
/// what it made for one command over what another one has put on record meanwhile, and commands often come together.
const CALM: Duration = Duration::from_secs(1);

/// The time before another attempt, when something has failed that may pass.
const SOON: Duration = Duration::from_secs(1);

/// As [`SOON`], after many attempts.
const LATER: Duration = Duration::from_secs(30);

/// As [`SOON`], when the host has refused: each attempt is an event, and a question to the policy service.
const MUCH_LATER: Duration = Duration::from_secs(300);

/// How many looks at an update of others that is under way are taken. One that takes longer is noticed when it is there.
const PATIENCE_FOR_UPDATES: u32 = 8;

/// How many hosts of this process are watched.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

/// Counts a host for as long as it lives.
pub(super) struct Watched(());

impl Watched {
    pub(super) fn begin() -> Self {
        WATCHED.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    fn is_alone() -> bool {
        WATCHED.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why the version on record does not serve yet.
enum Stuck {
    /// The host has refused.
    Refused(String),
    /// It is not known how the component is scaled.
    Unknown,
    /// The host does not answer, or does not do what it was told.
    Failed(anyhow::Error),
    /// It has to be looked at again: something else has happened meanwhile.
    Again,
    /// It has to be looked at again: the host has not carried out an update yet, or it has failed.
    Updating,
}

impl From<anyhow::Error> for Stuck {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// How it is about a component.
enum Settled {
    /// The version on record serves from now on. Its reference.
    Serves(String),
    /// There is nothing to do.
    Already,
    /// The host does not run it.
    Gone,
}

/// Sees to it that the version on record serves, or nothing if there is none. Returns the ID of the component.
pub(super) async fn component(host: Arc<Host>, id: String) -> String {
    let (mut said, mut soon, mut unknown, mut waits) = (None, SOON, 0, 0);
    loop {
        let (heard, told) = host.with(&id, |known| (known.heard, known.told));
        let stuck = match attempt(&host, &id, waits).await {
            Ok(Settled::Gone) if host.has_outlived(&id) => {
                // It may be that of another host of this process.
                sleep(LATER).await;
                continue;
            }
            Ok(settled) => {
                if let Settled::Serves(reference) = settled {
                    info!(
                        component = id,
                        reference, "the new version of a component serves"
                    );
                }
                return id;
            }
            Err(stuck) => stuck,
        };
        // What the host said of this attempt is no news.
        let told = match stuck {
            Stuck::Unknown => told,
            _ => host.with(&id, |known| known.told),
        };
        let (why, remedy, retry) = match stuck {
            Stuck::Again | Stuck::Updating => {
                waits += u32::from(matches!(stuck, Stuck::Updating));
                sleep(LOOK / 4).await;
                continue;
            }
            Stuck::Unknown if unknown == 0 => {
                // The host may just be saying what it has taken.
                unknown += 1;
                sleep(SOON).await;
                continue;
            }
            Stuck::Refused(why) => (
                format!("the host refused to make it anew: {why}"),
                "put right what it names, and send the update or a scale again",
                MUCH_LATER,
            ),
            Stuck::Unknown => (
                "the names of its configuration are not known, as a command was missed".into(),
                "scale it, and name its configuration",
                MUCH_LATER,
            ),
            Stuck::Failed(error) => (
                format!("{error:#}"),
                "see that the credentials of the control interface may publish this; it is tried again",
                soon,
            ),
        };
        if said.as_ref() != Some(&why) {
            warn!(
                component = id,
                "the new version of a component is on record, and the one before it serves: {why}. What to do: {remedy}. Or \
                 stop the component and start it again"
            );
            said = Some(why);
        }
        soon = (soon * 2).min(LATER);
        until_news(&host, &id, (heard, told), retry).await;
    }
}

/// Waits until there is a command about a component, the host has carried one out, or does not run it any more, or it is time
/// to try again.
async fn until_news(host: &Host, id: &str, (heard, told): (u64, u64), retry: Duration) {
    let deadline = Instant::now() + retry;
    while Instant::now() < deadline {
        tokio::select! {
            () = host.told().notified() => {}
            () = sleep(LOOK) => {}
        }
        if host.with(id, |known| known.told) > told {
            return;
        }
        if host.with(id, |known| known.heard) > heard {
            // The host answers a command before it carries it out.
            sleep(LOOK / 4).await;
            return;
        }
        if let Ok(None) = host.component(id).await {
            return;
        }
    }
}

/// `waits` is how often this has found that an update was under way.
async fn attempt(host: &Host, id: &str, waits: u32) -> Result<Settled, Stuck> {
    quiet(host, id).await;
    let newest = host.newest(id);
    let Some(component) = host.component(id).await? else {
        return gone(host, id, newest);
    };
    find_scope(host, id);
    if host.with(id, |known| known.is_stopping()) {
        return Err(Stuck::Again);
    }
    if let Some(mixed) = host.with(id, |known| known.mixed.clone()) {
        exchange(host, id, &component, &mixed).await?;
        return Err(Stuck::Again);
    }
    if !host.has_outlived(id) {
        return Ok(Settled::Already);
    }
    let updating = host.with(id, |known| known.is_updating(&component.image_ref));
    if updating && waits < PATIENCE_FOR_UPDATES {
        return Err(Stuck::Updating);
    }
    host.with(id, |known| known.on_record(&component.image_ref));
    let (made, mut making) = (host.made(id), 1);
    let count = component.max_instances;
    let wanted = host.with(id, |known| known.wanted(count));
    let wanted = wanted.ok_or(Stuck::Unknown)?;
    if !host.with(id, |known| known.varied) {
        let variation = wanted.varied();
        host.with(id, |known| known.vary(&variation));
        making += 1;
        let varied = make(host, id, &component, &variation).await;
        if let Err(Stuck::Refused(_)) = varied {
            // Unless it was a command of someone else that was refused at the same time.
            let on_record = host.component(id).await?;
            let still = on_record.is_none_or(|it| it.max_instances != wanted.count);
            host.with(id, |known| known.varied = still);
        }
        varied?;
    }
    // Someone may have asked for something else meanwhile, none included.
    if host.component(id).await?.is_none() || host.with(id, |known| known.is_stopping()) {
        return Err(Stuck::Again);
    }
    let wanted = host.with(id, |known| known.wanted(count)).unwrap_or(wanted);
    let middle = host.newest(id);
    make(host, id, &component, &wanted).await?;
    if host.with(id, |known| known.wanted(count)) != Some(wanted.clone()) {
        // That was not heard in time.
        return Err(Stuck::Again);
    }
    host.with(id, |known| known.varied = false);
    if host.made(id) > made + making {
        // Something else was made meanwhile. It may have been an update.
        host.with(id, |known| known.mix());
        return Err(Stuck::Again);
    }
    let made = first_after(host, id, middle).ok_or(Stuck::Again)?;
    // What an update of someone else has made is no version to rely on.
    sleep(SETTLE).await;
    let on_record = host.component(id).await?;
    let as_wanted = on_record
        .is_some_and(|it| it.max_instances == wanted.count && it.image_ref == component.image_ref);
    if !as_wanted || first_after(host, id, middle) != Some(made) {
        return Err(Stuck::Again);
    }
    end_older(host, id, made);
    Ok(Settled::Serves(component.image_ref))
}

/// Waits until no generation has come or gone for a moment: what an update makes is gone before it is on record.
async fn quiet(host: &Host, id: &str) {
    loop {
        let before = host.generations_of(id);
        sleep(SETTLE).await;
        if host.generations_of(id) == before {
            return;
        }
    }
}

/// Has the host make the component anew as it is told. Returns when it has, or found that there is nothing to do.
async fn make(host: &Host, id: &str, component: &Component, to: &Scaling) -> Result<(), Stuck> {
    let newest = host.newest(id);
    let told = host.with(id, |known| known.told);
    let is_same = host.scale(component, to).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (changed, said) = (host.local().changed(), host.told().notified());
        if let Some(outcome) = host.with(id, |known| known.said_of(to.count, told)) {
            if outcome.is_ok() && !is_same {
                host.with(id, |known| known.mix());
                return Err(Stuck::Again);
            }
            return outcome.map_err(Stuck::Refused);
        }
        let Some(on_record) = host.component(id).await? else {
            return Err(Stuck::Again);
        };
        if !host.hears() && host.newest(id) > newest && on_record.max_instances == to.count {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(anyhow!("the host does not scale it to {} instances", to.count).into());
        }
        tokio::select! {
            () = changed => {}
            () = said => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// A command to scale the component has changed the reference. Has the host put the code of it on record, too, if it did not.
async fn exchange(
    host: &Host,
    id: &str,
    component: &Component,
    mixed: &Mixed,
) -> Result<(), Stuck> {
    let Mixed {
        code,
        reference,
        begun,
    } = mixed;
    let heard = host.with(id, |known| known.heard);
    if !begun {
        let updated = on_record(host, id, reference, heard, LONG_PATIENCE).await;
        if updated.is_err() || host.has_outlived(id) {
            // The host has updated it, or has said why not. Or there is another command.
            host.with(id, |known| known.mixed = None);
            return updated;
        }
        // What others ask for meanwhile counts, and not what follows from this command.
        sleep(CALM).await;
        let calm = host.with(id, |known| {
            known.heard == heard && known.mixed.as_ref() == Some(mixed)
        });
        let still = host.component(id).await?;
        if !calm || still.is_none_or(|it| it.image_ref != component.image_ref) {
            return Err(Stuck::Again);
        }
        host.with(id, |known| {
            known.mixed = known.mixed.take().map(|it| Mixed { begun: true, ..it });
        });
    }
    if component.image_ref != *code {
        host.update(component, code).await?;
        on_record(host, id, code, heard, PATIENCE).await?;
    }
    host.update(component, reference).await?;
    let updated = on_record(host, id, reference, heard, PATIENCE).await;
    // If it has failed, it would again. What is on record has its own code now.
    host.with(id, |known| known.mixed = None);
    updated
}

/// Waits until the host has `reference` on record. Another command and the end of the component end the wait, too.
async fn on_record(
    host: &Host,
    id: &str,
    reference: &str,
    heard: u64,
    patience: Duration,
) -> Result<(), Stuck> {
    let deadline = Instant::now() + patience;
    loop {
        let changed = host.local().changed();
        match host.component(id).await? {
            Some(component) if component.image_ref == reference => return Ok(()),
            Some(_) if host.with(id, |known| known.heard) == heard => {}
            _ => return Err(Stuck::Again),
        }
        if Instant::now() > deadline {
            return Err(anyhow!("the host does not update it to `{reference}`").into());
        }
        tokio::select! {
            () = changed => {}
            () = sleep(LOOK / 4) => {}
        }
    }
}

/// The host does not run the component: neither does anyone else on its connection.
fn gone(host: &Host, id: &str, newest: u64) -> Result<Settled, Stuck> {
    host.with(id, |known| known.gone());
    // Of two hosts in one process, the other one may run it.
    if host.is_found() || Watched::is_alone() {
        // One that was made since belongs to a start.
        end_older(host, id, newest + 1);
    }
    Ok(Settled::Gone)
}

fn end_older(host: &Host, id: &str, than: u64) {
    let prefix = host.place().prefix(id);
    for it in host.generations_of(id) {
        host.local().end_older(it.scope, &prefix, than);
    }
}

/// The number of the oldest generation that is newer than `newest`. It tells over which connection the host serves.
fn first_after(host: &Host, id: &str, newest: u64) -> Option<u64> {
    let generations = host.generations_of(id);
    let mut later = generations.iter().flat_map(|it| {
        let numbers = it.numbers.iter().copied();
        numbers.map(move |number| (number, it.scope))
    });
    let (number, scope) = later
        .by_ref()
        .filter(|(number, _)| *number > newest)
        .min()?;
    host.serves_over(scope);
    Some(number)
}

/// The host runs the component. If it is served over one connection only, that is the host's.
fn find_scope(host: &Host, id: &str) {
    if let ([it], false) = (&*host.generations_of(id), host.is_found()) {
        host.serves_over(it.scope);
    }
}
