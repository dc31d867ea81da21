//! What commands and events have said of a component, and what follows from it. Nothing here waits.
//!
//! A `component_scaled` event names a reference and a number of instances, and not the command that it is about:
//!
//! | of | reference | number |
//! |---|---|---|
//! | a start, twice | the new one | the new one |
//! | a scale | that on record before | the new one |
//! | an update, before it is on record | the new one | that on record |
//! | an update, at once after it | the new one | 0 |
//! | a stop | that on record before | 0 |
//!
//! So one that names what an update was asked for, and not what is on record, is about that. Of one
//! that has failed there is none. A `component_scale_failed` event has what the command asked for.
//! (`wasmcloud-host` 0.24.0, `handle_scale_component_task` and `handle_update_component_task`.)

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How many commands are kept that the host has not answered yet.
const MAX_ASKED: usize = 16;

/// For how many references of a component it is known that the host has asked a policy service. Of
/// one that is forgotten the service is asked once more.
const MAX_DECIDED: usize = 64;

/// How long a reference may be of which that is kept, in bytes.
const LONGEST_REFERENCE: usize = 1024;

/// How long the host may take to load the image of an update before nothing waits for it any more:
/// of one that has failed it says nothing. Meanwhile a command that makes a component anew would
/// have all that is asked of the host wait for the image.
pub(super) const LOADING: Duration = Duration::from_secs(20);

/// As [`LOADING`], of an update that is a part of a scale which has put the reference on record by
/// itself: the host has nothing to do, and does not say so, unless another command has changed that
/// in between.
const FOLLOWING: Duration = Duration::from_secs(1);

/// After how long someone may want to know that an image is waited for.
const LOADS_LONG: Duration = Duration::from_secs(3);

/// How long the host may take to stop a component.
const STOPPING: Duration = Duration::from_secs(600);

/// What is known of one component.
#[derive(Debug, Default)]
pub(super) struct Known {
    record: Record,
    /// The command that was taken last, and what was known before. What was believed to be the
    /// answer may have been said of something else.
    last: Option<(Asked, Record)>,
    /// What was asked for, and the host has neither taken nor refused yet.
    asked: VecDeque<Asked>,
    /// What the host was asked to update it to, and may be loading.
    updates: VecDeque<Update>,
    /// The reference of an update of which the host has yet to say that it has ended what it made.
    ending: Option<String>,
    /// Whether commands or events may have been missed since the last one.
    missed: bool,
    /// Whether an update was carried out, and what is on record was not made anew since.
    updated: bool,
    /// Whether the host may have something else on record than it took last from others: see `settle`.
    pub(super) varied: bool,
    /// Whether another reference than `record.wish` may have been put on record, to put that there after it.
    pub(super) exchanging: bool,
    /// The number of the last generation that was made of what is on record.
    settled: u64,
    /// The number of the newest generation before others had the component scaled to another number of
    /// instances, if that was the last thing that the host has done: it has made it anew.
    scaled: Option<u64>,
    /// Those generations have ended with a stop whose number is lower.
    stopped: Option<u64>,
    /// Whether there is something to look at.
    news: bool,
    /// How many generations of it there were when the last command or event was heard.
    pub(super) made: u64,
    /// How many commands of others were heard.
    pub(super) heard: u64,
    /// How many times the host said that it has scaled the component, or why not.
    pub(super) told: u64,
    /// What it said the last times: the number of instances, and why not.
    said: VecDeque<(u32, Result<(), String>)>,
    /// The references with which it was told to scale the component, the newest last: of each it has
    /// asked a policy service, and remembers the answer.
    decided: VecDeque<String>,
}

/// What the host has on record, as far as is known. Nothing of it is known of a component that does not run.
#[derive(Clone, Debug, Default)]
struct Record {
    /// How others had it scaled last. This stays when it is stopped.
    taken: Option<Scaling>,
    /// Its reference, as far as that is certain.
    reference: Option<String>,
    /// The reference of its code. That is another one after a command to scale it has changed the
    /// reference and something else.
    code: Option<String>,
    /// The reference that others wish it to have. `None` when a command has put another one on
    /// record, and said that the code is to stay.
    wish: Option<String>,
}

/// A command to scale a component.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) scaling: Scaling,
    pub(super) reference: String,
    /// Whether the component is updated after it was scaled, if the reference is another one.
    pub(super) allow_update: bool,
    /// Whether it was sent here, to make the component anew.
    pub(super) anew: bool,
    /// The number of the newest generation that there was.
    pub(super) newest: u64,
    pub(super) at: Instant,
}

/// An update that the host was asked for.
#[derive(Debug)]
struct Update {
    reference: String,
    /// Whether that was done here.
    anew: bool,
    /// How many generations there were before it.
    made: u64,
    at: Instant,
    /// How long the host may take.
    within: Duration,
}

/// How long the watch of one component has held back because the host may be loading images.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    since: Option<Instant>,
    said: bool,
}

/// How a component is scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scaling {
    pub(super) count: u32,
    /// The names of its configurations: scaling it has to name them again.
    pub(super) config: Vec<String>,
}

/// What there is to do about a component that the host runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What is on record serves.
    Nothing,
    /// The host is about to stop it.
    Wait,
    /// It was stopped, and an update has put it on record again.
    Stop,
    /// It is to be updated to `through`, unless that is what is on record, and then to `to`.
    Exchange { through: String, to: String },
    /// It is to be made anew.
    Remake(Scaling),
    /// It is to be made anew, and it is not known how it is scaled.
    Unknown,
}

/// What an inventory, and what serves, show of a component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) reference: &'a str,
    pub(super) count: u32,
    /// Whether anyone serves it.
    pub(super) serves: bool,
    /// The number of the generation that has lapsed last.
    pub(super) lapsed: u64,
}

impl Known {
    /// Someone has asked for this.
    pub(super) fn ask(&mut self, asked: Asked) {
        self.heard += u64::from(!asked.anew);
        if asked.reference.len() <= LONGEST_REFERENCE && !self.is_decided(&asked.reference) {
            if self.decided.len() == MAX_DECIDED {
                self.decided.pop_front();
            }
            self.decided.push_back(asked.reference.clone());
        }
        if self.asked.len() == MAX_ASKED {
            self.asked.pop_front();
            self.missed = true;
        }
        self.asked.push_back(asked);
    }

    /// Whether the host has asked a policy service about `reference`, and asks no more.
    pub(super) fn is_decided(&self, reference: &str) -> bool {
        self.decided.iter().any(|it| it == reference)
    }

    /// Someone has asked to update the component. If that was done here, it is to make it `anew`.
    pub(super) fn ask_update(&mut self, reference: String, anew: bool) {
        self.heard += u64::from(!anew);
        let starts = || self.asked.iter().any(|it| it.scaling.count > 0);
        if !self.runs() && !starts() {
            // It cannot be updated.
        } else if self.record.reference.as_ref() != Some(&reference) {
            self.loading(reference, anew, LOADING);
        } else if !anew {
            // To the host there is nothing to do. That may be on record only for the time being, or
            // with other code.
            self.news |= self.record.code.as_ref() != Some(&reference);
            self.record.wish = Some(reference);
        }
    }

    fn loading(&mut self, reference: String, anew: bool, within: Duration) {
        if self.updates.len() == MAX_ASKED {
            self.updates.pop_front();
        }
        self.updates.push_back(Update {
            reference,
            anew,
            made: self.made,
            at: Instant::now(),
            within,
        });
    }

    /// Whether the host may be loading the image of an update that others asked for.
    pub(super) fn is_updating(&self) -> bool {
        let mut others = self.updates.iter().filter(|it| !it.anew);
        others.any(|it| it.at.elapsed() < it.within)
    }

    /// The host says that it has scaled the component to `count` instances.
    pub(super) fn take(&mut self, count: u32, reference: &str, lapsed: u64) {
        self.hear(count, Ok(()));
        if count == 0 && self.ending.take_if(|it| it == reference).is_some() {
            return;
        }
        let known = self.record.reference.as_deref();
        let other = count > 0 && known.is_some_and(|known| known != reference);
        // The last one: of one that failed nothing was said.
        let mut updates = self.updates.iter();
        let update = updates.rposition(|it| it.reference == reference);
        let update = update.filter(|_| other);
        if let Some(update) = update.and_then(|at| self.updates.remove(at)) {
            self.updates.retain(|it| it.reference != reference);
            self.updated(update);
        } else if let Some(taken) = self.answer(count).filter(|it| !it.anew) {
            self.put(taken, reference, lapsed);
        }
    }

    /// The host has carried out an update.
    fn updated(&mut self, update: Update) {
        self.scaled = None;
        self.ending = Some(update.reference.clone());
        // What exports nothing is no generation. There is nothing to gain in making that anew, and
        // the host library spends a thread on each that it makes.
        self.updated |= self.made != update.made;
        self.news = true;
        let record = &mut self.record;
        record.reference = Some(update.reference);
        record.code = record.reference.clone();
        if !update.anew {
            record.wish = record.reference.clone();
        }
        self.exchanging &= record.wish != record.reference;
    }

    /// The host has taken a command of others.
    fn put(&mut self, taken: Asked, reference: &str, lapsed: u64) {
        self.missed = false;
        let before = self.record.taken.as_ref();
        let is_other =
            before.is_some_and(|before| ![0, taken.scaling.count].contains(&before.count));
        self.scaled = (is_other && taken.scaling.count > 0).then_some(taken.newest);
        self.last = Some((taken.clone(), self.record.clone()));
        let starts = self.record.code.is_none();
        // Of what runs, it may be something else that the host has carried out. And what it starts
        // may be what an update has put on record after a stop: the host has nothing to start then,
        // and no one serves.
        self.news |= !starts || taken.scaling.count == 0 || self.updated;
        if taken.scaling.count == 0 {
            self.stopped = Some(taken.newest + 1);
            self.stopped();
        } else {
            let record = &mut self.record;
            if starts {
                // If that is not the one that was asked for, an update has put the component on record again.
                record.code = Some(reference.into());
            }
            let is_same = record.taken.as_ref() == Some(&taken.scaling);
            let is_sure = lapsed <= self.settled && !self.updated && !self.varied;
            // The host leaves the reference if nothing else differs from what is on record.
            let is_left = !starts && is_same && is_sure && !self.exchanging;
            if starts || !is_same {
                record.reference = Some(taken.reference.clone());
                if starts {
                    self.updates.retain(|it| it.reference != taken.reference);
                }
            } else if !is_sure {
                record.reference = None;
            }
            if starts || taken.allow_update {
                // To one that is left, such a command is an update, which may fail.
                if !is_left || record.reference.as_ref() == Some(&taken.reference) {
                    record.wish = Some(taken.reference.clone());
                }
                if record.code.as_deref() != Some(&*taken.reference) {
                    self.news = true;
                    // One that was to start it is followed by no update.
                    if taken.allow_update {
                        let within = if is_same { LOADING } else { FOLLOWING };
                        self.loading(taken.reference, false, within);
                    }
                }
            } else if ![&record.code, &record.wish].contains(&&Some(taken.reference)) {
                record.wish = None;
            }
        }
        self.record.taken = Some(taken.scaling);
    }

    /// The host says that it did not scale the component, as a command with this number and reference asked it to.
    pub(super) fn refuse(&mut self, count: u32, reference: &str, lapsed: u64, why: String) {
        self.hear(count, Err(why));
        let is = |it: &Asked| it.scaling.count == count && it.reference == reference;
        if let Some(at) = self.asked.iter().position(is) {
            self.asked.remove(at);
        } else if let Some((_, before)) = self.last.take_if(|(last, _)| is(last)) {
            // What was believed to be the answer was said of an update, or of another command.
            self.record = before;
            self.scaled = None;
            if let Some(taken) = self.answer(count).filter(|it| !it.anew) {
                let reference = self.record.reference.clone().unwrap_or_default();
                self.put(taken, &reference, lapsed);
            }
        }
    }

    fn hear(&mut self, count: u32, outcome: Result<(), String>) {
        self.told += 1;
        if self.said.len() == MAX_ASKED {
            self.said.pop_front();
        }
        self.said.push_back((count, outcome));
    }

    /// What the host has said of scaling the component to `count` instances, after it had said anything `before` times.
    pub(super) fn said_of(&self, count: u32, before: u64) -> Option<Result<(), String>> {
        let since = usize::try_from(self.told - before).unwrap_or(usize::MAX);
        let mut last = self.said.iter().rev().take(since);
        let (_, outcome) = last.find(|(said, _)| *said == count)?;
        Some(outcome.clone())
    }

    /// The command that asked for `count` instances: the earliest one. Those that the host answers
    /// late are carried out late.
    fn answer(&mut self, count: u32) -> Option<Asked> {
        let mut asked = self.asked.iter();
        let at = asked.position(|asked| asked.scaling.count == count)?;
        self.asked.remove(at)
    }

    /// Commands and events may have been missed.
    pub(super) fn miss(&mut self) {
        (self.missed, self.news) = (true, true);
    }

    /// Whether there is something to look at.
    pub(super) fn has_news(&self, lapsed: u64) -> bool {
        self.news || lapsed > self.settled
    }

    /// What there is to do. `hears` is whether the host says what it does with commands.
    pub(super) fn step(&mut self, seen: Seen<'_>, hears: bool) -> Step {
        self.news = false;
        let lapsed = self.updated || seen.lapsed > self.settled;
        if !hears || self.missed {
            self.take_as_seen(seen);
            if lapsed {
                self.record.code = Some(seen.reference.into());
            }
        }
        let mut others = self.asked.iter().filter(|it| !it.anew);
        let last = others.next_back();
        if last.is_some_and(|last| last.scaling.count == 0 && last.at.elapsed() < STOPPING) {
            return Step::Wait;
        }
        let stopped = self.record.taken.as_ref().is_some_and(|it| it.count == 0);
        if stopped && last.is_none() && !self.missed {
            // Started by an update, or by what was sent here to make it anew. Or another host of this process runs it.
            let anew = !seen.serves || self.varied || lapsed;
            return if anew { Step::Stop } else { Step::Nothing };
        }
        let record = &mut self.record;
        record.reference = Some(seen.reference.into());
        let code = &*record.code.get_or_insert_with(|| seen.reference.into());
        self.updates.retain(|it| it.reference != seen.reference);
        if let Some(to) = &record.wish {
            let is_wished = [code, seen.reference].contains(&&**to);
            if (seen.reference != code && is_wished) || (seen.reference != to && self.exchanging) {
                return Step::Exchange {
                    through: code.into(),
                    to: to.clone(),
                };
            }
        }
        if !lapsed && !self.varied {
            return Step::Nothing;
        }
        match &self.record.taken {
            Some(taken) if self.varied || !self.missed || taken.count == seen.count => {
                Step::Remake(taken.clone())
            }
            _ => Step::Unknown,
        }
    }

    /// What the host does with commands cannot be heard: the inventory says whether it took the last one.
    fn take_as_seen(&mut self, seen: Seen<'_>) {
        if self.varied {
            return;
        }
        self.asked.retain(|it| !it.anew);
        let last = self.asked.back();
        if last.is_some_and(|last| last.scaling.count == seen.count) {
            let reference = self.record.reference.clone();
            let reference = reference.unwrap_or_else(|| seen.reference.into());
            let last = self.asked.drain(..).next_back();
            last.into_iter()
                .for_each(|it| self.put(it, &reference, seen.lapsed));
            self.news = false;
        }
    }

    /// What the host took last from others.
    pub(super) fn taken(&self) -> Option<Scaling> {
        self.record.taken.clone()
    }

    /// Whether the code on record is that of `reference`, as far as the host has said.
    pub(super) fn has_code_of(&self, reference: &str) -> bool {
        self.record.code.as_deref() == Some(reference)
    }

    /// The reference of the code on record, as far as the host has said.
    pub(super) fn code(&self) -> Option<&str> {
        self.record.code.as_deref()
    }

    /// What it was updated to in the end is on record, with its code.
    pub(super) fn exchanged(&mut self, reference: &str) {
        self.exchanging = false;
        (self.record.code, self.record.wish) = (Some(reference.into()), Some(reference.into()));
    }

    /// Generations with a lower number were there when a stop was asked for that the host has
    /// carried out: they have ended, also those of which it has no handle. Says so once.
    pub(super) fn stopped_below(&mut self) -> Option<u64> {
        self.stopped.take()
    }

    /// The number of the newest generation before the host has made what is on record anew, if others
    /// have had it do so, by scaling it to `count` instances.
    pub(super) fn scaled(&self, count: u32) -> Option<u64> {
        let taken = self.record.taken.as_ref()?;
        self.scaled.filter(|_| taken.count == count)
    }

    /// The generation `number` was made of what is on record. One that is older and lapses says nothing any more.
    pub(super) fn settle(&mut self, number: u64) {
        self.updated = false;
        self.settled = self.settled.max(number);
    }

    /// The host does not run the component.
    ///
    /// `newest` is the number of the last generation that was made of it.
    pub(super) fn gone(&mut self, newest: u64) {
        // That it was updated is kept: the host says so before that is on record, which may be still to come.
        self.settled = self.settled.max(newest);
        (self.varied, self.news) = (false, false);
        self.stopped();
        self.updates.clear();
    }

    fn stopped(&mut self) {
        self.exchanging = false;
        let record = &mut self.record;
        (record.reference, record.code, record.wish) = (None, None, None);
    }

    /// Whether the host runs the component, as far as is known.
    pub(super) fn runs(&self) -> bool {
        self.record.code.is_some()
    }
}

impl HeldBack {
    /// Whether to hold back, when the host may be `loading` an image. Not for longer than one may
    /// take: updates that fail again and again, of whichever component, do not keep another one
    /// from taking effect.
    pub(super) fn goes_on(&mut self, loading: bool) -> bool {
        if loading {
            self.since.get_or_insert_with(Instant::now).elapsed() < LOADING
        } else {
            *self = Self::default();
            false
        }
    }

    /// Whether it is time to say so: once, when it has taken longer than most images do.
    pub(super) fn says(&mut self) -> bool {
        let late = self.since.is_some_and(|it| it.elapsed() >= LOADS_LONG);
        late && !std::mem::replace(&mut self.said, true)
    }
}

impl Scaling {
    /// Another one, to which a host makes the component anew. It runs the same: a name that is
    /// repeated adds nothing. Without a name it takes another number of instances. A smaller one,
    /// so that there are never more than were asked for.
    pub(super) fn varied(&self) -> Self {
        let mut varied = self.clone();
        match (self.config.last(), self.count) {
            (Some(name), _) => varied.config.push(name.clone()),
            (None, count @ 2..) => varied.count = count - 1,
            (None, count) => varied.count = count + 1,
        }
        varied
    }
}
