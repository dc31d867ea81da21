//! Makes the version of a component serve that the host has on record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::time::{sleep, Instant};
use tracing::{info, warn};

use super::host::{Component, Host};
use super::known::{HeldBack, Scaling, Seen, Step, LOADING};

/// How long the host may take to carry out a command: it fetches the image each time.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the inventory is looked at while nothing else tells of a change.
const LOOK: Duration = Duration::from_secs(1);

/// How long a generation has to be there before it is believed to be on record. What an update
/// makes is gone by then: it lives for as long as it takes to publish an event.
const SETTLE: Duration = Duration::from_millis(50);

/// How long no command about a component may have come before its reference is changed back and
/// forth. The host library puts what it made for one command over what another one has put on
/// record meanwhile, and commands often come together.
const CALM: Duration = Duration::from_secs(1);

/// The time before another attempt, when something has failed that may pass.
const SOON: Duration = Duration::from_secs(1);

/// As [`SOON`], after many attempts.
const LATER: Duration = Duration::from_secs(30);

/// As [`SOON`], when the host has refused: each attempt is an event, and a question to the policy service.
const MUCH_LATER: Duration = Duration::from_secs(300);

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
    /// The policy service would.
    Denied(String),
    /// It is not known how the component is scaled.
    Unknown,
    /// The host does not say what it runs: there may be nothing to do.
    Unseen(anyhow::Error),
    /// The host does not do what it was told.
    Failed(anyhow::Error),
    /// It has to be looked at again: something else has happened meanwhile, or is about to.
    Again,
}

impl From<anyhow::Error> for Stuck {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Sees to it that the version on record serves, or nothing if there is none. Returns the ID of the component.
pub(super) async fn component(host: Arc<Host>, id: String) -> String {
    let (mut said, mut soon, mut was_unknown, mut was_unseen) = (None, SOON, false, false);
    let mut held = HeldBack::default();
    loop {
        let (heard, told) = host.with(&id, |known| (known.heard, known.told));
        let stuck = match attempt(&host, &id, &mut held).await {
            Ok(made) => {
                if let Some(reference) = made {
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
        let what = match stuck {
            Stuck::Unseen(_) => {
                "it is not known whether the version of a component that is on record serves"
            }
            _ => "the new version of a component is on record, and the one before it serves",
        };
        let (why, remedy, retry) = match stuck {
            Stuck::Again => {
                sleep(LOOK / 4).await;
                continue;
            }
            Stuck::Unknown if !was_unknown => {
                // The host may just be saying what it has taken.
                was_unknown = true;
                sleep(SOON).await;
                continue;
            }
            Stuck::Unseen(_) if !was_unseen => {
                // It is slow at times: it loads a component, or compiles one.
                was_unseen = true;
                sleep(SOON).await;
                continue;
            }
            Stuck::Refused(why) => (
                format!("the host refused to make it anew: {why}"),
                "put right what it names, and send the update or a scale again; a policy service that permits now what it denied has to \
                 say so on the topic of policy changes, as the host remembers its answers",
                MUCH_LATER,
            ),
            Stuck::Denied(why) => (
                format!("the policy service does not let it be started: {why}"),
                "let the policy service permit it: it is asked again within half a minute, and when a command comes",
                soon,
            ),
            Stuck::Unknown => (
                "the names of its configuration are not known, as a command was missed".into(),
                "scale it, and name its configuration",
                MUCH_LATER,
            ),
            Stuck::Unseen(error) | Stuck::Failed(error) => (
                format!("{error:#}"),
                "it is tried again. An image that is named has to be there, also the one before; where the NATS server has refused it, let the \
                 credentials of the control interface publish it",
                soon,
            ),
        };
        if said.as_ref() != Some(&why) {
            warn!(
                component = id,
                "{what}: {why}. What to do: {remedy}. Or stop the component and start it again"
            );
            said = Some(why);
        }
        soon = (soon * 2).min(LATER);
        until_news(&host, &id, (heard, told), retry).await;
    }
}

/// Waits until there is a command about a component, the host has carried one out, or does not run
/// it any more, or it is time to try again.
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

/// Does what there is to do. Returns the reference of the version that serves from now on, unless
/// nothing had to be done.
async fn attempt(host: &Host, id: &str, held: &mut HeldBack) -> Result<Option<String>, Stuck> {
    quiet(host, id).await;
    let (newest, lapsed) = (host.newest(id), host.lapsed(id));
    let told = host.with(id, |known| known.told);
    let component = host.component(id).await.map_err(Stuck::Unseen)?;
    let is_old = host.with(id, |known| known.told) != told;
    if component.is_none() {
        end_below(host, id, newest + 1);
    }
    if is_old {
        // What the host has said since it was asked may have changed what is on record, or be about to.
        return Err(Stuck::Again);
    }
    let Some(component) = component else {
        return gone(host, id, newest).map(|()| None);
    };
    host.runs(id);
    let seen = Seen {
        reference: &component.image_ref,
        count: component.max_instances,
        serves: newest > 0,
        lapsed,
    };
    let hears = host.hears();
    match host.with(id, |known| known.step(seen, hears)) {
        Step::Nothing => Ok(None),
        Step::Wait => Err(Stuck::Again),
        // Whatever the host carries out meanwhile would wait for the image, too.
        _ if held.goes_on(host.is_updating()) => {
            if held.says() {
                info!(
                    component = id,
                    "the new version of a component waits while the host may be loading the image of an update: it says nothing \
                     if that fails. No longer than {LOADING:?}"
                );
            }
            Err(Stuck::Again)
        }
        Step::Stop => {
            // A start may be on its way here, which the host has carried out.
            sleep(CALM).await;
            if host.with(id, |known| known.step(seen, hears)) != Step::Stop {
                return Err(Stuck::Again);
            }
            permitted(host, id, &component, &Scaling::default()).await?;
            make(host, id, &component, &Scaling::default()).await?;
            Err(Stuck::Again)
        }
        Step::Exchange { through, to } => {
            exchange(host, id, &component, &through, &to).await?;
            Err(Stuck::Again)
        }
        Step::Remake(scaling) => {
            if made_by_others(host, id, &component).is_some() {
                permitted(host, id, &component, &scaling).await?;
                if let Some(made) = made_by_others(host, id, &component) {
                    serves(host, id, made);
                    return Ok(Some(component.image_ref));
                }
            }
            remake(host, id, component, scaling).await.map(Some)
        }
        Step::Unknown => Err(Stuck::Unknown),
    }
}

/// The generation that is on record, if a scale of others has made it after all that an update has
/// made: then there is nothing left to do but to let it serve, if policy permits its code. No command
/// need be sent for that.
fn made_by_others(host: &Host, id: &str, component: &Component) -> Option<u64> {
    let before = host.with(id, |known| known.scaled(component.max_instances))?;
    let made = first_after(host, id, before)?;
    // An update that is under way has made a newer one.
    (host.lapsed(id) < made && host.newest(id) == made).then_some(made)
}

/// The generation `made` is of what is on record.
fn serves(host: &Host, id: &str, made: u64) {
    end_older(host, id, made);
    host.with(id, |known| {
        known.varied = false;
        known.settle(made);
    });
}

/// Has the host make a component anew as `scaling` says, and what it has made serve. Returns its reference.
async fn remake(
    host: &Host,
    id: &str,
    component: Component,
    scaling: Scaling,
) -> Result<String, Stuck> {
    // What was begun is finished.
    if !host.with(id, |known| known.varied) {
        permitted(host, id, &component, &scaling).await?;
    }
    let (made, mut making) = (host.made(id), 1);
    let varied = host.with(id, |known| std::mem::replace(&mut known.varied, true));
    if !varied {
        making += 1;
        let varied = make(host, id, &component, &scaling.varied()).await;
        if let Err(Stuck::Refused(_)) = varied {
            // Unless it was a command of someone else that was refused at the same time.
            let on_record = host.component(id).await?;
            let still = on_record.is_none_or(|it| it.max_instances != scaling.count);
            host.with(id, |known| known.varied = still);
        }
        varied?;
        // Someone may have asked for something else meanwhile, none included.
        if host.with(id, |known| known.taken()).as_ref() != Some(&scaling) {
            return Err(Stuck::Again);
        }
    }
    let middle = host.newest(id);
    make(host, id, &component, &scaling).await?;
    // What an update of someone else has made is no version to rely on.
    sleep(SETTLE).await;
    let on_record = host.component(id).await?;
    let as_wanted = on_record
        .is_some_and(|it| it.max_instances == scaling.count && it.image_ref == component.image_ref);
    // What was heard late counts as well.
    let current = host.with(id, |known| known.taken()).as_ref() == Some(&scaling);
    if !as_wanted || !current {
        return Err(Stuck::Again);
    }
    host.with(id, |known| known.varied = false);
    if host.made(id) > made + making {
        // Something else was made meanwhile. It may have been an update.
        return Err(Stuck::Again);
    }
    let made = first_after(host, id, middle).ok_or(Stuck::Again)?;
    serves(host, id, made);
    Ok(component.image_ref)
}

/// Asks the policy service about the code that is to serve, before the host asks, which would
/// remember a denial. Where the host has asked, its answer counts. Ends with the next command.
async fn permitted(
    host: &Host,
    id: &str,
    component: &Component,
    to: &Scaling,
) -> Result<(), Stuck> {
    let (heard, code, decided) = host.with(id, |known| {
        // A scale may have changed the reference alone.
        let code = known.code().unwrap_or(&component.image_ref).to_owned();
        (known.heard, code.clone(), known.is_decided(&code))
    });
    if decided || !host.asks_policy() {
        return Ok(());
    }
    let denial = tokio::select! {
        denial = host.denial(component, &code, to.count) => denial?,
        () = heard_more(host, id, heard) => return Err(Stuck::Again),
    };
    if let Some(why) = denial {
        return Err(Stuck::Denied(why));
    }
    if code == component.image_ref && to.count > 0 {
        // There is nothing for the host to do, and it asks and remembers the answer to the number
        // that was chosen: not to the one that comes next.
        make(host, id, component, to).await?;
    }
    Ok(())
}

/// Waits until others have sent a command about a component.
async fn heard_more(host: &Host, id: &str, heard: u64) {
    loop {
        let told = host.told().notified();
        if host.with(id, |known| known.heard) != heard {
            return;
        }
        told.await;
    }
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
                return Err(Stuck::Again);
            }
            return outcome.map_err(Stuck::Refused);
        }
        if !host.hears() {
            let Some(on_record) = host.component(id).await? else {
                return Err(Stuck::Again);
            };
            if host.newest(id) > newest && on_record.max_instances == to.count {
                return Ok(());
            }
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

/// The reference on record is not that of the code. Has the host put the code of `to` on record: to
/// the host there is nothing to do while that is the reference.
async fn exchange(
    host: &Host,
    id: &str,
    component: &Component,
    through: &str,
    to: &str,
) -> Result<(), Stuck> {
    let heard = host.with(id, |known| known.heard);
    if component.image_ref == to {
        // What others ask for meanwhile counts, and not what follows from their last command.
        sleep(CALM).await;
        let still = host.component(id).await?;
        let calm = host.with(id, |known| known.heard == heard);
        if !calm || still.is_none_or(|it| it.image_ref != to) {
            return Err(Stuck::Again);
        }
        host.with(id, |known| known.exchanging = true);
        host.update(component, through).await?;
        on_record(host, id, through, heard).await?;
    }
    host.update(component, to).await?;
    let updated = on_record(host, id, to, heard).await;
    match &updated {
        Ok(()) => host.with(id, |known| known.exchanged(to)),
        // It would again.
        Err(Stuck::Failed(_)) => host.with(id, |known| known.exchanged(through)),
        Err(_) => {}
    }
    updated
}

/// Waits until the host has `reference` on record, with its code: the reference alone may come with
/// a scale. Another command and the end of the component end the wait, too. No longer than an image
/// may take to load: of one that fails the host says nothing, and meanwhile what is on record may
/// not serve.
async fn on_record(host: &Host, id: &str, reference: &str, heard: u64) -> Result<(), Stuck> {
    let deadline = Instant::now() + LOADING;
    loop {
        let (changed, told) = (host.local().changed(), host.told().notified());
        let Some(component) = host.component(id).await? else {
            return Err(Stuck::Again);
        };
        let hears = host.hears();
        let (calm, code) = host.with(id, |known| {
            (known.heard == heard, known.has_code_of(reference) || !hears)
        });
        match (calm, component.image_ref == reference && code) {
            (false, _) => return Err(Stuck::Again),
            (true, true) => return Ok(()),
            (true, false) => {}
        }
        if Instant::now() > deadline {
            return Err(
                anyhow!("the host does not update it to `{reference}`; its log says why").into(),
            );
        }
        tokio::select! {
            () = changed => {}
            () = told => {}
            () = sleep(LOOK / 4) => {}
        }
    }
}

/// The host has stopped the component, or does not run it: neither does anyone else on its
/// connection. Those that were made since belong to a start: they have the number `below`, or a
/// higher one.
pub(super) fn end_below(host: &Host, id: &str, below: u64) {
    // Of two hosts in one process, the other one may run it.
    if host.is_found() || Watched::is_alone() {
        end_older(host, id, below);
    }
}

/// The host does not run the component.
fn gone(host: &Host, id: &str, newest: u64) -> Result<(), Stuck> {
    // An update that is under way puts it on record again.
    if host.with(id, |known| known.is_updating()) {
        return Err(Stuck::Again);
    }
    host.with(id, |known| known.gone(newest));
    Ok(())
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
    let all = generations.iter().flat_map(|it| {
        let numbers = it.numbers.iter().copied();
        numbers.map(move |number| (number, it.scope))
    });
    let (number, scope) = all.filter(|(number, _)| *number > newest).min()?;
    host.serves_over(scope);
    Some(number)
}
