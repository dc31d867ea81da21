//! What a stock host can have after a number of commands.
//!
//! Commands that follow each other at once overtake each other in the host library, so there is
//! more than one outcome. Which ones there are is found here by going through all orders in which
//! its steps can come. What the steps are is read from the library; that they are as described here
//! is checked in each run of the test, as the stock host's outcome has to be one of those that are
//! found.
//!
//! - A `scale` command is answered with a look at the record, when it also notes whether an update
//!   is to follow. Then its image is fetched, which may fail as long as nothing is to be started
//!   from it, but not be anything else than a component; and policy is asked. Then, in one piece,
//!   what is on record is made anew if the number of instances or the configuration is another one:
//!   with the code on record, under the reference of the command. Then comes the update.
//! - An `update` looks at the record, fetches the image and makes the new version, while nothing
//!   else can be put on record. It stops what it has made, and then, in a second piece, puts that
//!   on record over whatever is there by now. What was on record goes on without a handle: it is a
//!   ghost, and ends with the process.

use std::collections::BTreeSet;
use std::fmt;

use crate::images::Image;
use crate::program::Config;

/// What a host has on record of the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Record {
    pub(crate) reference: Image,
    /// The image of the code, which may be another one.
    pub(crate) code: Image,
    pub(crate) count: u32,
    pub(crate) config: Config,
    /// Whether what is on record serves.
    pub(crate) serves: bool,
    /// Whether the reference came with a scale that was to be followed by an update.
    pub(crate) mixed: bool,
}

/// A host and one component.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct State {
    pub(crate) record: Option<Record>,
    /// The code and the number of instances of each that serves and is not on record, in order.
    pub(crate) ghosts: Vec<(Image, u32)>,
    /// An update has put what it had made on record over what another command had put there since it began.
    pub(crate) overlapped: bool,
    /// What is on record was kept from serving.
    pub(crate) kept: bool,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Scale {
        image: Image,
        count: u32,
        config: Config,
        update: bool,
    },
    Update(Image),
}

/// What commands meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Whether the policy service lets components be started.
    pub(crate) permits: bool,
    /// Whether `component.scale` may be published with the host's credentials.
    pub(crate) publishes: bool,
    /// The configurations that have been removed.
    pub(crate) removed: BTreeSet<Config>,
    /// Whether the NATS server goes away meanwhile.
    pub(crate) cut: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            permits: true,
            publishes: true,
            removed: BTreeSet::new(),
            cut: false,
        }
    }
}

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum At {
    Sent,
    Scale {
        follows: bool,
    },
    Update,
    /// With what was on record when it began.
    Made(Option<Record>),
    Done,
}

impl State {
    /// The code of all that serves.
    pub(crate) fn serving(&self) -> BTreeSet<Image> {
        self.each_serving()
            .into_iter()
            .map(|(code, _)| code)
            .collect()
    }

    /// The code and the number of instances of each that serves, in order.
    pub(crate) fn each_serving(&self) -> Vec<(Image, u32)> {
        let serves = self.record.filter(|record| record.serves);
        let mut serving = self.ghosts.clone();
        serving.extend(serves.map(|record| (record.code, record.count)));
        serving.sort_unstable();
        serving
    }
}

/// What was found: the states at the end, and all on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) last: BTreeSet<State>,
    pub(crate) on_the_way: BTreeSet<State>,
}

/// All states that a stock host can be in once the commands, which were sent in this order, have been carried out.
pub(crate) fn outcomes(
    start: &BTreeSet<State>,
    commands: &[Command],
    surroundings: &Surroundings,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = start
        .iter()
        .map(|it| (it.clone(), vec![At::Sent; commands.len()]))
        .collect();
    while let Some((state, at)) = open.pop() {
        if !seen.insert((state.clone(), at.clone())) {
            continue;
        }
        outcomes.on_the_way.insert(state.clone());
        if at.iter().all(|it| *it == At::Done) {
            outcomes.last.insert(state);
            continue;
        }
        for (turn, command) in commands.iter().enumerate() {
            // A command is sent when the one before it has been answered.
            let waits = turn > 0 && at[turn] == At::Sent && at[turn - 1] == At::Sent;
            if at[turn] == At::Done || waits {
                continue;
            }
            for (next, now) in step(&state, *command, at[turn], surroundings) {
                let mut at = at.clone();
                at[turn] = now;
                open.push((next, at));
            }
        }
    }
    outcomes
}

/// What can become of a state when a command goes one step further.
fn step(state: &State, command: Command, at: At, surroundings: &Surroundings) -> Vec<(State, At)> {
    let same = |at| vec![(state.clone(), at)];
    match (command, at) {
        (Command::Scale { image, update, .. }, At::Sent) => {
            let other = state.record.is_some_and(|record| record.reference != image);
            same(At::Scale {
                follows: update && other,
            })
        }
        (
            Command::Scale {
                image: Image::Text | Image::Empty,
                ..
            },
            At::Scale { .. },
        ) => same(At::Done),
        (Command::Scale { .. }, At::Scale { .. }) if !surroundings.permits => same(At::Done),
        (
            Command::Scale {
                image,
                count,
                config,
                ..
            },
            At::Scale { follows },
        ) => {
            let mut next = scale(state, (image, count, config), follows, surroundings);
            if surroundings.cut {
                next.push((state.clone(), At::Done));
            }
            next
        }
        (Command::Update(image), At::Sent) => match state.record {
            Some(record) if record.reference != image => same(At::Update),
            _ => same(At::Done),
        },
        (Command::Scale { image, .. } | Command::Update(image), At::Update) => match state.record {
            Some(record) if record.reference != image && image.loads() => {
                same(At::Made(state.record))
            }
            _ => same(At::Done),
        },
        (Command::Scale { image, .. } | Command::Update(image), At::Made(began)) => {
            let began_with = began.expect("it began with a record");
            let mut next = state.clone();
            next.ghosts = state.each_serving();
            next.record = Some(Record {
                reference: image,
                code: image,
                serves: false,
                mixed: false,
                ..began_with
            });
            // Another update takes on the number and the configuration that one has put over those
            // of a command. Who misses what the host says of it cannot know which of the two are on
            // record.
            next.overlapped = state.record != began || (state.overlapped && surroundings.cut);
            vec![(next, At::Done)]
        }
        (_, At::Done) => Vec::new(),
        (Command::Update(_), At::Scale { .. }) => unreachable!("an update scales nothing"),
    }
}

/// The piece of a `scale` in which the record changes.
fn scale(
    state: &State,
    (image, count, config): (Image, u32, Config),
    follows: bool,
    surroundings: &Surroundings,
) -> Vec<(State, At)> {
    let after = if follows { At::Update } else { At::Done };
    let changed = |record: Option<Record>| State {
        record,
        ghosts: state.ghosts.clone(),
        overlapped: state.overlapped && record.is_some(),
        kept: state.kept && record.is_some(),
    };
    // What was removed may still be in the host's memory.
    let may_be_there = config != Config::Missing;
    let may_be_missing = !may_be_there || surroundings.removed.contains(&config);
    let mut next = Vec::new();
    match state.record {
        None if count == 0 => next.push((state.clone(), after)),
        None => {
            if may_be_missing || !image.loads() {
                next.push((state.clone(), if may_be_missing { At::Done } else { after }));
            }
            if may_be_there && image.loads() {
                let record = Record {
                    reference: image,
                    code: image,
                    count,
                    config,
                    serves: true,
                    mixed: false,
                };
                next.push((changed(Some(record)), after));
            }
        }
        Some(_) if count == 0 => next.push((changed(None), after)),
        Some(record) if (record.count, record.config) == (count, config) => {
            next.push((state.clone(), after));
        }
        Some(record) => {
            if record.config != config && may_be_missing {
                next.push((state.clone(), At::Done));
            }
            if record.config == config || may_be_there {
                let stays = record.mixed && record.reference == image;
                let record = Record {
                    reference: image,
                    count,
                    config,
                    serves: true,
                    mixed: (follows || stays) && record.code != image,
                    ..record
                };
                next.push((changed(Some(record)), after));
            }
        }
    }
    next
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.record {
            None => f.write_str("nothing")?,
            Some(record) => {
                let Record {
                    reference,
                    count,
                    config,
                    ..
                } = record;
                write!(f, "{reference} x{count} {config}")?;
                if record.code != *reference {
                    write!(f, ", code {}", record.code)?;
                }
            }
        }
        f.write_str("; served by")?;
        for (code, count) in self.each_serving() {
            write!(f, " {code} x{count}")?;
        }
        if self.overlapped {
            f.write_str(", overlapped")?;
        }
        if self.kept {
            f.write_str(", kept")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(image: Image, count: u32) -> Command {
        Command::Scale {
            image,
            count,
            config: Config::None,
            update: false,
        }
    }

    fn after(commands: &[&[Command]]) -> BTreeSet<State> {
        let start = BTreeSet::from([State::default()]);
        commands.iter().fold(start, |start, commands| {
            outcomes(&start, commands, &Surroundings::default()).last
        })
    }

    /// What is on record, and what serves.
    type Shown = (Option<(Image, Image, u32)>, Vec<Image>);

    fn shown(states: &BTreeSet<State>) -> Vec<Shown> {
        let shown = states.iter().map(|it| {
            let record = it.record.map(|it| (it.reference, it.code, it.count));
            (record, Vec::from_iter(it.serving()))
        });
        shown.collect()
    }

    #[test]
    fn after_an_update_the_old_version_serves_and_after_a_stop_too() {
        use Image::{V1, V2};
        let update = after(&[&[scale(V1, 3)], &[Command::Update(V2)]]);
        assert_eq!(shown(&update), [(Some((V2, V2, 3)), vec![V1])]);
        let scaled = after(&[&[scale(V1, 3)], &[Command::Update(V2)], &[scale(V2, 4)]]);
        assert_eq!(shown(&scaled), [(Some((V2, V2, 4)), vec![V1, V2])]);
        let stopped = after(&[&[scale(V1, 3)], &[Command::Update(V2)], &[scale(V2, 0)]]);
        assert_eq!(shown(&stopped), [(None, vec![V1])]);
    }

    #[test]
    fn a_scale_and_an_update_at_once_have_more_than_one_outcome() {
        use Image::{V1, V2};
        let both = after(&[&[scale(V1, 3)], &[Command::Update(V2), scale(V2, 4)]]);
        let expected = [
            (Some((V2, V2, 3)), vec![V1]),
            (Some((V2, V1, 4)), vec![V1]),
            (Some((V2, V2, 4)), vec![V1, V2]),
        ];
        let shown = shown(&both);
        assert!(expected.iter().all(|it| shown.contains(it)), "{shown:?}");
        assert!(both.iter().any(|it| it.overlapped));
    }
}
