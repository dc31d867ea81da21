//! The components that commands and events tell of, whoever sends those.
//!
//! Whoever may send an event of the lattice can name components that there are not, one after the
//! other. So only so many are kept of those that no one serves here, and so many bytes of them. The
//! first to be forgotten are those that no command was about, and then those that do not run, the
//! oldest first. What is served is kept: there are as many of these as the host runs.

use std::collections::{HashMap, HashSet};

use super::known::Known;

/// How many are kept that no one serves.
const MOST: usize = 1024;

/// How many bytes commands and events about those may have.
const MOST_BYTES: usize = 16 << 20;

/// Those that are known.
#[derive(Default)]
pub(super) struct Components {
    all: HashMap<String, Component>,
    /// How many of them are served, when that was looked at last.
    served: usize,
    /// What was heard about those that were not, then or since.
    bytes: usize,
    /// How many times something was heard, of any of them.
    heard: u64,
}

struct Component {
    known: Known,
    /// How many times that was when this was made.
    since: u64,
    bytes: usize,
}

impl Components {
    pub(super) fn get(&self, id: &str) -> Option<&Known> {
        self.all.get(id).map(|it| &it.known)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Known> {
        self.all.get_mut(id).map(|it| &mut it.known)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.all.iter().map(|(id, it)| (&**id, &it.known))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.all.values_mut().map(|it| &mut it.known)
    }

    /// What is known of a component, of which something with so many bytes was heard.
    pub(super) fn heard(&mut self, id: &str, bytes: usize) -> &mut Known {
        self.heard += 1;
        let since = self.heard;
        let bytes = match self.all.contains_key(id) {
            true => bytes,
            false => bytes + id.len(),
        };
        self.bytes += bytes;
        let component = self.all.entry(id.to_owned());
        let component = component.or_insert_with(|| {
            let mut known = Known::default();
            // What was forgotten and is known again has not heard less than before.
            (known.heard, known.told) = (since, since);
            Component {
                known,
                since,
                bytes: 0,
            }
        });
        component.bytes += bytes;
        &mut component.known
    }

    /// Whether it is to be looked which of them can be forgotten.
    pub(super) fn are_many(&self) -> bool {
        self.all.len() > self.served + MOST || self.bytes > MOST_BYTES
    }

    /// Forgets those that are too many, of those that are not `served`, and some more.
    pub(super) fn forget(&mut self, served: &HashSet<String>) {
        let mut others = Vec::new();
        (self.served, self.bytes) = (0, 0);
        for (id, it) in &mut self.all {
            if served.contains(id) {
                self.served += 1;
                it.bytes = 0;
            } else {
                self.bytes += it.bytes;
                let was_asked_for = it.known.heard > it.since;
                others.push(((it.known.runs(), was_asked_for, it.since), id.clone()));
            }
        }
        others.sort_unstable();
        let mut left = others.len();
        for (_, id) in others {
            if left <= MOST / 4 * 3 && self.bytes <= MOST_BYTES / 4 * 3 {
                break;
            }
            if let Some(it) = self.all.remove(&id) {
                self.bytes -= it.bytes;
            }
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::{Asked, Scaling};
    use super::*;

    use tokio::time::Instant;

    fn asked() -> Asked {
        Asked {
            scaling: Scaling {
                count: 1,
                config: vec![],
            },
            reference: "v1".into(),
            allow_update: false,
            anew: false,
            newest: 0,
            at: Instant::now(),
        }
    }

    fn hear(components: &mut Components, id: &str, bytes: usize, served: &HashSet<String>) {
        components.heard(id, bytes).take(1, "v1", 0);
        if components.are_many() {
            components.forget(served);
        }
    }

    #[test]
    fn names_that_anyone_makes_up_are_forgotten_and_no_component_that_runs_or_starts() {
        let mut components = Components::default();
        let served: HashSet<String> = (0..2000).map(|number| format!("served-{number}")).collect();
        for id in &served {
            hear(&mut components, id, 100, &served);
        }
        components.heard("starts", 100).ask(asked());
        components.heard("runs", 100).ask(asked());
        hear(&mut components, "runs", 100, &served);
        for number in 0..100_000 {
            hear(&mut components, &format!("made-up-{number}"), 100, &served);
            assert!(components.all.len() <= served.len() + MOST + 1);
        }
        let known = |id: &str| components.get(id).is_some();
        assert!(served.iter().all(|id| known(id)));
        assert!(known("starts") && known("runs") && known("made-up-99999"));
        assert!(!known("made-up-0"));
    }

    #[test]
    fn what_is_kept_of_those_that_no_one_serves_has_a_bound_in_bytes() {
        let (mut components, served) = (Components::default(), HashSet::from(["served".into()]));
        for number in 0..10_000 {
            hear(&mut components, "served", 10_000, &served);
            hear(
                &mut components,
                &format!("made-up-{}", number % 700),
                60_000,
                &served,
            );
            let kept = components.all.iter().filter(|(id, _)| *id != "served");
            let kept: usize = kept.map(|(_, it)| it.bytes).sum();
            assert!(kept <= MOST_BYTES, "{kept}");
        }
        assert!(components.get("served").is_some());
    }

    #[test]
    fn what_was_forgotten_has_not_heard_less_when_it_is_known_again() {
        let mut components = Components::default();
        let before = components.heard("a", 0);
        before.ask(asked());
        before.take(1, "v1", 0);
        let before = (before.heard, before.told);
        components.heard("b", 0);
        components.all.remove("a");
        let again = components.heard("a", 0);
        assert!(again.heard > before.0 && again.told > before.1);
    }
}
