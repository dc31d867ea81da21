//! What commands and events have said of a component.

use std::collections::VecDeque;

/// How many commands are kept that the host has not answered yet.
const MAX_ASKED: usize = 16;

/// What is known of one component.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What the host took last.
    taken: Option<Scaling>,
    /// The number of instances before.
    before: Option<u32>,
    /// What others asked for, and the host has neither taken nor refused yet.
    asked: VecDeque<Asked>,
    /// Whether the host may have something else on record than it took last from others: see `settle`.
    pub(super) varied: bool,
    /// The number of instances that it was made with then.
    variation: Option<u32>,
    /// The reference of the code that the host has on record. That of the record may be another one.
    pub(super) code: Option<String>,
    /// What others asked to update it to last.
    latest: Option<String>,
    /// The last reference that was another one.
    other: Option<String>,
    /// Set when a command to scale it changed the reference, too.
    pub(super) mixed: Option<Mixed>,
    /// How many commands of others were heard.
    pub(super) heard: u64,
    /// How many times the host said that it has scaled the component, or why not.
    pub(super) told: u64,
    /// What it said the last times: the number of instances, and why not.
    said: VecDeque<(u32, Result<(), String>)>,
}

/// A command has scaled a component to another reference. If it changed anything else, the host has the new reference on
/// record, and the code before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mixed {
    /// The reference of the code before.
    pub(super) code: String,
    pub(super) reference: String,
    /// Whether the reference on record may have been changed back, to change it again.
    pub(super) begun: bool,
}

/// A command to scale a component.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) scaling: Scaling,
    pub(super) reference: String,
    /// Whether the component is updated after it was scaled, if the reference is another one.
    pub(super) allow_update: bool,
}

/// How a component is scaled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scaling {
    pub(super) count: u32,
    /// The names of its configurations: scaling it has to name them again.
    pub(super) config: Vec<String>,
}

impl Known {
    /// Someone has asked for this.
    pub(super) fn ask(&mut self, asked: Asked) {
        self.heard += 1;
        if self.asked.len() == MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(asked);
    }

    /// Someone has asked to update the component.
    pub(super) fn ask_update(&mut self, reference: String) {
        self.heard += 1;
        if self
            .mixed
            .as_ref()
            .is_some_and(|it| it.reference != reference)
        {
            // The host updates it to that, from whatever it has.
            self.mixed = None;
        }
        if self.latest.as_ref() != Some(&reference) {
            self.other = self.latest.replace(reference).or(self.other.take());
        }
    }

    /// The host has `reference` on record, and the code of it.
    pub(super) fn on_record(&mut self, reference: &str) {
        let code = self.code.replace(reference.into());
        for seen in [code.as_deref(), Some(reference)].into_iter().flatten() {
            if self.latest.as_deref() != Some(seen) {
                self.other = Some(seen.into());
            }
        }
    }

    /// An update that others asked for, and that the host has not carried out if it has `reference` on record.
    pub(super) fn is_updating(&self, reference: &str) -> bool {
        let latest = self.latest.as_deref();
        latest.is_some_and(|latest| latest != reference)
    }

    /// An update was carried out while the component was scaled: the reference on record may be that of the command to scale
    /// it, and the code that of the update.
    pub(super) fn mix(&mut self) {
        if let (Some(code), Some(reference)) = (self.other.clone(), self.latest.clone()) {
            self.mixed = Some(Mixed {
                code,
                reference,
                begun: true,
            });
        }
    }

    /// The host says that it has scaled the component to `count` instances.
    pub(super) fn take(&mut self, count: u32) {
        self.hear(count, Ok(()));
        let Some(taken) = self.answer(count) else {
            return;
        };
        match &self.code {
            _ if count == 0 => (self.code, self.mixed) = (None, None),
            None => self.code = Some(taken.reference),
            Some(code) if taken.allow_update && *code != taken.reference => {
                self.mixed = Some(Mixed {
                    code: code.clone(),
                    reference: taken.reference,
                    begun: false,
                });
            }
            // The host keeps the code that it has.
            Some(_) => {}
        }
        self.before = self.taken.replace(taken.scaling).map(|it| it.count);
    }

    /// The host says that it did not scale the component to `count` instances.
    pub(super) fn refuse(&mut self, count: u32, why: String) {
        self.hear(count, Err(why));
        let _ = self.answer(count);
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

    /// The command that asked for `count` instances: the earliest one. Those that the host answers late are carried out late.
    fn answer(&mut self, count: u32) -> Option<Asked> {
        let mut asked = self.asked.iter();
        let at = asked.position(|asked| asked.scaling.count == count)?;
        self.asked.remove(at)
    }

    /// How the component is to be scaled, when the inventory shows `count` instances. `None` when that is not known: a
    /// command was missed.
    pub(super) fn wanted(&mut self, count: u32) -> Option<Scaling> {
        // A host whose events cannot be heard: the inventory says whether it took the last command.
        let last = self.asked.back().filter(|last| last.scaling.count == count);
        if let (Some(last), 0, false) = (last, self.told, self.varied) {
            self.taken = Some(last.scaling.clone());
        }
        let taken = self.taken.as_ref()?;
        // An update that was under way at the same time puts the number of before on record, and loses hold of what was made.
        let before = [self.before, self.variation];
        let is_known = taken.count == count || before.contains(&Some(count));
        (self.varied || is_known).then(|| taken.clone())
    }

    /// Whether the component is about to be stopped.
    pub(super) fn is_stopping(&self) -> bool {
        self.asked
            .back()
            .is_some_and(|last| last.scaling.count == 0)
    }

    /// The component is made anew as `varied`.
    pub(super) fn vary(&mut self, varied: &Scaling) {
        self.varied = true;
        self.variation = Some(varied.count);
    }

    /// The host does not run the component.
    pub(super) fn gone(&mut self) {
        (self.varied, self.code, self.mixed) = (false, None, None);
        (self.latest, self.other) = (None, None);
        (self.before, self.variation) = (None, None);
    }
}

impl Scaling {
    /// Another one, to which a host makes the component anew. It runs the same: a name that is repeated adds nothing. Without
    /// a name it takes another number of instances. A smaller one, so that there are never more than were asked for.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scaling(count: u32, config: &[&str]) -> Scaling {
        Scaling {
            count,
            config: config.iter().map(ToString::to_string).collect(),
        }
    }

    fn asked(count: u32, config: &[&str]) -> Asked {
        Asked {
            scaling: scaling(count, config),
            reference: "v1".into(),
            allow_update: false,
        }
    }

    #[test]
    fn what_the_host_took_last_counts_and_not_what_it_refused() {
        let mut known = Known::default();
        known.ask(asked(3, &["a"]));
        known.take(3);
        known.ask(asked(5, &["missing"]));
        known.refuse(5, "there is none".into());
        assert_eq!(known.wanted(3), Some(scaling(3, &["a"])));
        assert_eq!(known.said_of(5, 1), Some(Err("there is none".into())));
        // In whatever order it answers.
        known.ask(asked(7, &["b"]));
        known.ask(asked(8, &["missing"]));
        known.refuse(8, String::new());
        known.take(7);
        assert_eq!(known.wanted(7), Some(scaling(7, &["b"])));
    }

    #[test]
    fn what_was_said_before_is_told_apart() {
        let mut known = Known::default();
        known.take(3);
        let before = known.told;
        assert_eq!(known.said_of(3, before), None);
        known.take(4);
        assert_eq!(known.said_of(3, before), None);
        known.take(3);
        known.refuse(5, String::new());
        assert_eq!(known.said_of(3, before), Some(Ok(())));
    }

    #[test]
    fn a_command_that_was_missed_is_noticed() {
        let mut known = Known::default();
        assert_eq!(known.wanted(3), None);
        known.ask(asked(3, &["a"]));
        known.take(3);
        assert_eq!(known.wanted(4), None);
        // Unless it is an update at the same time that has undone it, or this.
        known.ask(asked(5, &["b"]));
        known.take(5);
        assert_eq!(known.wanted(3), Some(scaling(5, &["b"])));
        known.ask(asked(3, &["a"]));
        known.take(3);
        known.vary(&scaling(2, &[]));
        assert_eq!(known.wanted(4), Some(scaling(3, &["a"])));
        known.varied = false;
        assert_eq!(known.wanted(2), Some(scaling(3, &["a"])));
    }

    #[test]
    fn without_events_the_inventory_says_what_was_taken() {
        let mut known = Known::default();
        known.ask(asked(3, &["a"]));
        assert_eq!(known.wanted(3), Some(scaling(3, &["a"])));
        known.ask(asked(5, &["b"]));
        assert_eq!(known.wanted(3), Some(scaling(3, &["a"])));
    }

    #[test]
    fn a_variation_asks_for_no_other_number_if_there_is_a_name_to_repeat() {
        for (chosen, varied) in [
            (scaling(4, &["a", "b"]), scaling(4, &["a", "b", "b"])),
            (scaling(4, &[]), scaling(3, &[])),
            (scaling(1, &[]), scaling(2, &[])),
        ] {
            assert_eq!(chosen.varied(), varied);
        }
    }

    #[test]
    fn a_stop_counts_as_what_was_taken_last() {
        let mut known = Known::default();
        known.ask(asked(3, &["a"]));
        known.take(3);
        known.varied = true;
        known.ask(asked(0, &[]));
        assert!(known.is_stopping());
        known.take(0);
        assert!(!known.is_stopping());
        assert_eq!(known.wanted(3), Some(scaling(0, &[])));
    }

    #[test]
    fn a_reference_that_changes_with_the_scale_is_noticed() {
        let mut known = Known::default();
        let mut take = |count, reference: &str| {
            known.ask(Asked {
                reference: reference.into(),
                allow_update: true,
                ..asked(count, &[])
            });
            known.take(count);
            let mixed = known.mixed.take();
            mixed.map(|it| (it.code, it.reference))
        };
        assert_eq!(take(3, "v1"), None);
        assert_eq!(take(4, "v1"), None);
        assert_eq!(take(5, "v2"), Some(("v1".into(), "v2".into())));
        assert_eq!(take(0, "v2"), None);
        assert_eq!(take(5, "v3"), None, "it was stopped before");
    }

    #[test]
    fn two_references_are_known_once_there_were_two() {
        let mut known = Known::default();
        known.ask(asked(3, &[]));
        known.take(3);
        known.ask_update("v2".into());
        assert!(known.is_updating("v1"));
        known.on_record("v2");
        known.mix();
        let mixed = known.mixed.take().expect("both are known");
        assert_eq!((&*mixed.code, &*mixed.reference), ("v1", "v2"));
        known.ask_update("v1".into());
        known.mix();
        let mixed = known.mixed.take().expect("both are known");
        assert_eq!((&*mixed.code, &*mixed.reference), ("v2", "v1"));
    }

    #[test]
    fn an_update_to_another_reference_counts_and_not_the_scale_before_it() {
        let mixed = Mixed {
            code: "v1".into(),
            reference: "v2".into(),
            begun: false,
        };
        let mut known = Known {
            mixed: Some(mixed.clone()),
            ..Known::default()
        };
        known.ask_update("v2".into());
        assert_eq!(known.mixed, Some(mixed));
        known.ask_update("v1".into());
        assert_eq!(known.mixed, None);
    }

    #[test]
    fn commands_without_an_answer_do_not_pile_up() {
        let mut known = Known::default();
        (0..100).for_each(|count| known.ask(asked(count, &[])));
        assert_eq!(known.asked.len(), MAX_ASKED);
        known.take(99);
        assert_eq!(known.wanted(99), Some(scaling(99, &[])));
    }
}
