//! When this host is never worse than a stock host: the rules.
//!
//! 1. **A call is answered.** While the component runs, whatever is done to it, a call is answered
//!    within [`BOUND`], as it is on a stock host. A call without results whose caller went on is
//!    begun, and none is begun twice. A call that finds no one fails at once.
//! 2. **What is on record answers.** At rest, which is [`REST`] after the last step at the latest,
//!    or [`REST_AFTER_LOSS`], one version answers on all ways: that of the image on record, and
//!    none when nothing is on record. The record is one that a stock host can have after the same
//!    commands. Where a stock host has a reference on record that came with a scale, and other
//!    code, here it is the code of that reference if an update was to follow and the image loads.
//!    The old version may go on only if it does on a stock host, and what is on record is kept from
//!    serving: policy denies it, a configuration of it was removed, the host's credentials do not
//!    allow it, or another command took effect in the middle of an update. On the way each command
//!    brings one change from one version to another at most, and so does the end of what kept one
//!    from serving.
//! 3. **No more at once.** Between commands no more calls run at once than the version that serves
//!    has instances: those on record, unless the old version goes on. Where commands make the
//!    component anew, no more than the instances of all that they make, as with a stop and a start
//!    each. On a stock host all versions that go on without a handle run calls beside that on
//!    record, each with as many instances as it had.
//! 4. **The rest is equal.** After a command by itself, and with the same on record before: it is
//!    accepted or refused as on a stock host, and each event of the stock host is one of this host,
//!    too; the watch may cause more of them. The lattice has the same links. The policy service is
//!    asked about no number of instances that no one chose if the component has a configuration.
//!
//! "Can have" is decided by `model`: all orders in which the steps of the commands can come in the
//! host library. The stock host's own outcome has to be one of those, or the model is wrong, which
//! is a failure of the test, too. With `--local-dispatch off` for all components this host has to
//! be as that model says, and rules 3 and 4 hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::images::Image;
use crate::model::{Outcomes, Record, State, Surroundings};
use crate::observer::{Answer, Call, Event, Seen, Way};
use crate::program::Config;

/// How long a call may take.
pub(crate) const BOUND: Duration = Duration::from_secs(3);

/// How long it may take after the last step of a window until all is as it is at rest.
pub(crate) const REST: Duration = Duration::from_secs(6);

/// As [`REST`], once the NATS server was away or a permission was missing: a request that is lost is given up after ten
/// seconds, and then made again. Also once an update has failed: what is under way waits for twenty seconds for it.
pub(crate) const REST_AFTER_LOSS: Duration = Duration::from_secs(25);

/// How long a call may take that finds no one.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The number of the rule; 0: the stock host is not as the model says.
    pub(crate) rule: u8,
    pub(crate) what: String,
}

/// How a host is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// As this host, with a watch.
    Ours,
    /// As a stock host.
    AsStock,
}

/// What is known of a window without looking at a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) outcomes: Outcomes,
    pub(crate) surroundings: Surroundings,
    /// How many commands were sent.
    pub(crate) commands: usize,
    /// The instances of all versions that commands may have made in addition.
    pub(crate) added: usize,
    /// The numbers of instances that anyone has chosen since the program began.
    pub(crate) chosen: BTreeSet<u64>,
    /// Whether the link from the caller is there all the time, and whether it is at the end.
    pub(crate) linked: (bool, bool),
    /// Whether it is known that both hosts have the same on record before it.
    pub(crate) alike: bool,
    /// Whether what is on record before it may have been kept from serving until then.
    pub(crate) kept: bool,
}

impl Window {
    /// Whether the component runs all the time, with a function that only some images have.
    fn runs(&self, has: fn(Image) -> bool) -> bool {
        let states = &self.outcomes.on_the_way;
        !self.surroundings.cut
            && states.iter().all(|state| {
                let record = state.record;
                let is_whole = record.is_some_and(|it| has(it.reference) && has(it.code));
                is_whole && state.ghosts.iter().all(|(code, _)| has(*code)) && !state.overlapped
            })
    }

    /// The most instances that may be on record.
    pub(crate) fn instances(&self) -> usize {
        let records = self.outcomes.on_the_way.iter().filter_map(|it| it.record);
        records
            .map(|it| it.count as usize)
            .max()
            .unwrap_or_default()
    }

    /// The most instances that may serve at once, without those that commands make in addition. On
    /// a stock host all that serve do so at once, and on this host the oldest of them.
    fn at_once(&self, judged: Judged) -> usize {
        let serving = self.outcomes.on_the_way.iter().map(|state| {
            let serving = state.each_serving().into_iter();
            let counts = serving.map(|(_, count)| count as usize);
            match judged {
                Judged::AsStock => counts.sum(),
                Judged::Ours => {
                    let on_record = state.record.map(|it| it.count as usize);
                    counts.chain(on_record).max().unwrap_or_default()
                }
            }
        });
        serving.max().unwrap_or_default()
    }
}

/// A state in which a host may be at rest, and the versions of which some may answer. On this host it is one at most.
pub(crate) struct Allowed {
    record: Option<(Image, u32)>,
    versions: BTreeSet<u32>,
    state: State,
}

/// What a host may be like at rest.
pub(crate) fn allowed(judged: Judged, window: &Window) -> Vec<Allowed> {
    let states = window.outcomes.last.iter();
    match judged {
        Judged::AsStock => states
            .map(|state| as_it_is(state, state.serving()))
            .collect(),
        Judged::Ours => states
            .flat_map(|it| ours(it, &window.surroundings))
            .collect(),
    }
}

fn as_it_is(state: &State, serving: BTreeSet<Image>) -> Allowed {
    Allowed {
        record: state.record.map(|it| (it.reference, it.count)),
        versions: serving.iter().filter_map(|it| it.version()).collect(),
        state: state.clone(),
    }
}

/// Rule 2.
fn ours(state: &State, surroundings: &Surroundings) -> Vec<Allowed> {
    let Some(record) = state.record else {
        return vec![as_it_is(&State::default(), BTreeSet::new())];
    };
    let mut allowed = Vec::new();
    let mut serves = |reference, code| {
        let record = Record {
            reference,
            code,
            serves: true,
            mixed: false,
            ..record
        };
        let settled = State {
            record: Some(record),
            ..State::default()
        };
        allowed.push(as_it_is(&settled, BTreeSet::from([code])));
    };
    let loads = record.reference.loads();
    let code = if loads { record.reference } else { record.code };
    serves(code, code);
    if !record.mixed || !loads {
        serves(record.reference, record.code);
    }
    let is_kept = !surroundings.permits
        || !surroundings.publishes
        || record.config == Config::Missing
        || surroundings.removed.contains(&record.config);
    if is_kept || state.kept || state.overlapped {
        let serving = state.serving();
        let mut kept = state.clone();
        kept.kept |= is_kept;
        for code in &serving {
            let old = as_it_is(&kept, BTreeSet::from([*code]));
            // What answers as all should is not kept, unless another one with this code goes on.
            let is_settled = allowed.iter().any(|it| it.versions == old.versions);
            if !is_settled || state.ghosts.iter().any(|(ghost, _)| ghost == code) {
                allowed.push(old);
            }
        }
        if serving.is_empty() {
            allowed.push(as_it_is(&kept, BTreeSet::new()));
        }
    }
    allowed
}

/// The states that fit what was seen at rest; none if rule 2 does not hold.
pub(crate) fn fitting(
    judged: Judged,
    window: &Window,
    seen: &Seen,
    image: impl Fn(&str) -> Option<Image>,
) -> BTreeSet<State> {
    let record = seen.record.as_ref();
    let record = record.map(|(reference, count)| (image(reference), *count));
    let fits = |it: &Allowed| {
        let allowed = it.record.map(|(image, count)| (Some(image), count));
        allowed == record && answers(judged, window, &it.versions, &seen.rest)
    };
    let allowed = allowed(judged, window).into_iter();
    allowed.filter(fits).map(|it| it.state).collect()
}

/// Whether calls at rest are answered by one of these versions, if it has what is called and the caller is linked.
fn answers(judged: Judged, window: &Window, versions: &BTreeSet<u32>, calls: &[Call]) -> bool {
    let of = |version: u32| {
        Image::ALL
            .into_iter()
            .find(|it| it.version() == Some(version))
    };
    calls.iter().all(|call| {
        let mut can = versions
            .iter()
            .filter(|version| match (call.way, of(**version)) {
                (Way::Caller, Some(image)) => image.has_version() && window.linked.1,
                (Way::Outside, Some(image)) => image.has_version(),
                (Way::Bumped, Some(image)) => image == Image::Bumped,
                (_, None) => false,
            });
        match &call.answer {
            Answer::Version(version) => can.any(|it| it == version),
            // A stock host loses an answer now and then, and its own transport a call.
            Answer::None | Answer::Error(_) => judged == Judged::AsStock || can.next().is_none(),
        }
    })
}

/// Judges what was seen in a window.
///
/// # Errors
///
/// The first rule that does not hold.
pub(crate) fn judge(
    judged: Judged,
    window: &Window,
    stock: &Seen,
    ours: &Seen,
) -> Result<(), Broken> {
    if judged == Judged::Ours {
        answered(window, ours)?;
        changed_once(window, ours)?;
    }
    at_once(judged, window, ours)?;
    equal(judged, window, stock, ours)
}

/// Rule 1.
fn answered(window: &Window, ours: &Seen) -> Result<(), Broken> {
    let broken = |what| Err(Broken { rule: 1, what });
    let runs = window.runs(Image::has_version);
    for call in ours.calls.iter().flatten() {
        let is_there = runs && (call.way == Way::Outside || window.linked.0);
        let is_answered = matches!(call.answer, Answer::Version(_)) && call.took <= BOUND;
        if is_there && !is_answered {
            return broken(format!(
                "while the component runs, a call was not answered: {call:?}"
            ));
        }
    }
    let late = ours.rest.iter().find(|call| match call.answer {
        Answer::Version(_) => call.took > BOUND,
        Answer::Error(_) | Answer::None => call.took > AT_ONCE,
    });
    if let Some(call) = late {
        return broken(format!("at rest, a call took too long: {call:?}"));
    }
    let Some(notes) = &ours.notes else {
        return Ok(());
    };
    let begun: BTreeSet<_> = notes.begun.iter().copied().collect();
    if begun.len() != notes.begun.len() {
        return broken(format!("a call without results was begun twice: {notes:?}"));
    }
    if window.runs(Image::has_note) && window.linked.0 && !notes.accepted.is_subset(&begun) {
        return broken(format!("calls without results were lost: {notes:?}"));
    }
    Ok(())
}

/// Rule 2, on the way.
fn changed_once(window: &Window, ours: &Seen) -> Result<(), Broken> {
    for calls in &ours.calls {
        let answers = calls.iter().map(|call| &call.answer);
        let mut versions: Vec<_> = answers
            .filter(|it| matches!(it, Answer::Version(_)))
            .collect();
        versions.dedup();
        if versions.len() > 1 + window.commands + usize::from(window.kept) {
            let what = format!("one caller was answered by {versions:?}, in this order");
            return Err(Broken { rule: 2, what });
        }
    }
    Ok(())
}

/// Rule 3.
///
/// # Errors
///
/// When more calls ran at once than may.
pub(crate) fn at_once(judged: Judged, window: &Window, seen: &Seen) -> Result<(), Broken> {
    let most = window.at_once(judged) + window.added;
    match &seen.notes {
        Some(notes) if notes.peak > most => Err(Broken {
            rule: 3,
            what: format!(
                "{} calls ran at once, where {most} may: {notes:?}",
                notes.peak
            ),
        }),
        _ => Ok(()),
    }
}

/// Rule 4.
fn equal(judged: Judged, window: &Window, stock: &Seen, ours: &Seen) -> Result<(), Broken> {
    let broken = |what| Err(Broken { rule: 4, what });
    // Which of several commands at once finds what the one before it did is chance.
    let alone = window.commands <= 1 && !window.surroundings.cut && window.alike;
    if alone && stock.accepted != ours.accepted {
        return broken(format!(
            "commands are accepted: {:?}, and on a stock host {:?}",
            ours.accepted, stock.accepted
        ));
    }
    if (stock.linked, ours.linked) != (window.linked.1, window.linked.1) {
        return broken(format!(
            "links: {}, and on a stock host {}",
            ours.linked, stock.linked
        ));
    }
    // Where it is not known what was on record before, it may not have been the same.
    if alone && window.outcomes.last.len() == 1 {
        let (here, there) = (counted(&ours.events), counted(&stock.events));
        let missing = there
            .iter()
            .find(|(event, times)| here.get(*event) < Some(*times));
        if let Some((event, _)) = missing {
            return broken(format!(
                "{event:?} is missing: {here:?}, and on a stock host {there:?}"
            ));
        }
    }
    let states = window.outcomes.on_the_way.iter();
    let mut records = states.filter_map(|it| it.record);
    let has_config = records.all(|it| it.config != Config::None);
    let is_chosen = |asked: &u64| {
        let near = [asked.saturating_sub(1), asked + 1];
        let varied = !has_config && near.iter().any(|it| window.chosen.contains(it));
        window.chosen.contains(asked) || judged == Judged::Ours && varied
    };
    match ours.asked.iter().find(|asked| !is_chosen(asked)) {
        Some(asked) => broken(format!(
            "policy was asked about {asked}, where {:?} were chosen",
            window.chosen
        )),
        None => Ok(()),
    }
}

fn counted(events: &[Event]) -> BTreeMap<&Event, usize> {
    let mut counted = BTreeMap::new();
    for event in events {
        *counted.entry(event).or_default() += 1;
    }
    counted
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            0 => write!(f, "the stock host is not as the model says: {}", self.what),
            rule => write!(f, "rule {rule} does not hold: {}", self.what),
        }
    }
}

#[cfg(test)]
mod tests;
