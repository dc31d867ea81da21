//! A program: what is done to both hosts, step by step.
//!
//! It has a text form, in which a failure is printed and which can be run again: steps with `; `
//! between them, each with `+MS` at its end when the next one follows after so many milliseconds,
//! and not when all is at rest.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{bail, Context as _};

use crate::images::Image;

/// The longest time between two steps that follow each other before the first one has been carried
/// out, in milliseconds.
pub(crate) const LONGEST_GAP: u64 = 150;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A `scale` command: starts the component, or scales it. Without an image, with the one that was named last. With
    /// `update` the host may change the image, too.
    Scale {
        image: Option<Image>,
        count: u32,
        config: Config,
        update: bool,
    },
    /// An `update` command.
    Update(Image),
    /// A `scale` command to nothing.
    Stop,
    /// The link from the caller to the component is put or removed.
    Link(Change),
    /// A configuration is stored, each time with another value, or removed.
    Config(Config, Change),
    /// The policy service allows components to be started, or denies it.
    Policy(Change),
    /// The host's credentials may publish `component.scale`, or not.
    Permission(Change),
    /// The NATS server is killed and comes back.
    Cut,
    /// So many calls without results are made, all of which wait in the component or in front of it
    /// until all is at rest.
    Notes(u64),
}

/// Something is there from now on, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put,
    Del,
}

/// The configuration that a component is scaled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Config {
    None,
    A,
    B,
    /// There is none of this name, ever.
    Missing,
}

/// What is done, and when the next one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// The time until the next step. `None`: until all is at rest.
    pub(crate) gap: Option<u64>,
}

/// Steps. What comes between two times at which all is at rest is a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program(pub(crate) Vec<Step>);

impl Action {
    /// Whether it is a command about the component.
    pub(crate) fn is_command(self) -> bool {
        matches!(self, Self::Scale { .. } | Self::Update(_) | Self::Stop)
    }

    /// Whether it changes what commands may do. All is at rest before and after it, so that it is
    /// known which of them it concerns.
    fn stands_alone(self) -> bool {
        matches!(
            self,
            Self::Policy(_) | Self::Permission(_) | Self::Config(..)
        )
    }
}

impl Config {
    /// The names for the component with this number.
    pub(crate) fn names(self, number: usize) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            _ => vec![format!("{self}-{number}")],
        }
    }
}

impl Program {
    /// The steps from one rest to the next.
    pub(crate) fn windows(&self) -> Vec<Vec<Step>> {
        let mut windows = vec![Vec::new()];
        let mut steps = self.0.iter().peekable();
        while let Some(step) = steps.next() {
            windows.last_mut().expect("there is one").push(*step);
            let next = steps.peek();
            let is_rest = step.gap.is_none() || step.action == Action::Cut;
            let alone =
                step.action.stands_alone() || next.is_some_and(|it| it.action.stands_alone());
            if next.is_some() && (is_rest || alone) {
                windows.push(Vec::new());
            }
        }
        windows
    }
}

impl Step {
    pub(crate) fn pause(&self) -> Duration {
        Duration::from_millis(self.gap.unwrap_or_default())
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::A => "a",
            Self::B => "b",
            Self::Missing => "missing",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale {
                image,
                count,
                config,
                update,
            } => {
                f.write_str(if *update { "scale+update" } else { "scale" })?;
                if let Some(image) = image {
                    write!(f, " {image}")?;
                }
                write!(f, " {count}")?;
                match config {
                    Config::None => Ok(()),
                    config => write!(f, " {config}"),
                }
            }
            Self::Update(image) => write!(f, "update {image}"),
            Self::Stop => f.write_str("stop"),
            Self::Link(change) => write!(f, "link {change}"),
            Self::Config(config, change) => write!(f, "config {change} {config}"),
            Self::Policy(change) => write!(f, "policy {change}"),
            Self::Permission(change) => write!(f, "permission {change}"),
            Self::Cut => f.write_str("cut"),
            Self::Notes(calls) => write!(f, "notes {calls}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "put",
            Self::Del => "del",
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Step { action, gap }) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { "; " };
            write!(f, "{between}{action}")?;
            if let Some(gap) = gap {
                write!(f, " +{gap}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Config {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let all = [Self::None, Self::A, Self::B, Self::Missing];
        let found = all.into_iter().find(|it| it.to_string() == text);
        found.with_context(|| format!("{text:?} is no configuration"))
    }
}

impl FromStr for Change {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "put" => Ok(Self::Put),
            "del" => Ok(Self::Del),
            _ => bail!("{text:?} is neither put nor del"),
        }
    }
}

impl FromStr for Program {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let steps = text.split(';').map(|step| {
            let step = step.trim();
            parse(step).with_context(|| format!("cannot read the step {step:?}"))
        });
        steps.collect::<Result<_, _>>().map(Self)
    }
}

fn parse(step: &str) -> anyhow::Result<Step> {
    let mut words: Vec<&str> = step.split_whitespace().collect();
    let gap = words.last().and_then(|word| word.strip_prefix('+'));
    let gap = gap.map(str::parse).transpose()?;
    if gap.is_some() {
        words.pop();
    }
    let action = match *words {
        [word @ ("scale" | "scale+update"), ref rest @ ..] => {
            let (image, rest) = match rest {
                [first, rest @ ..] if first.parse::<u32>().is_err() => (Some(first.parse()?), rest),
                rest => (None, rest),
            };
            let (count, config) = match rest {
                [count] => (count, Config::None),
                [count, config] => (count, config.parse()?),
                _ => bail!("it is `scale [IMAGE] COUNT [CONFIG]`"),
            };
            Action::Scale {
                image,
                count: count.parse()?,
                config,
                update: word == "scale+update",
            }
        }
        ["update", image] => Action::Update(image.parse()?),
        ["stop"] => Action::Stop,
        ["link", change] => Action::Link(change.parse()?),
        ["config", change, config] => Action::Config(config.parse()?, change.parse()?),
        ["policy", change] => Action::Policy(change.parse()?),
        ["permission", change] => Action::Permission(change.parse()?),
        ["cut"] => Action::Cut,
        ["notes", calls] => Action::Notes(calls.parse()?),
        _ => bail!("there is no such step"),
    };
    Ok(Step { action, gap })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "scale v1 3; scale 4 a +20; scale+update v2 5 b; update less +0; update bumped; notes 6 +10; cut; \
                       link del; link put; config del a; config put a; policy del; policy put; permission del; \
                       permission put; update slow +150; update missing; update text; update empty; scale 2 missing; stop";

    #[test]
    fn what_is_printed_can_be_read() {
        let program: Program = ALL.parse().unwrap();
        assert_eq!(program.to_string(), ALL);
        "scale v9 3".parse::<Program>().unwrap_err();
        "jump".parse::<Program>().unwrap_err();
    }

    #[test]
    fn windows_end_at_rest_and_around_what_stands_alone() {
        let windows = |text: &str| {
            let program: Program = text.parse().unwrap();
            Vec::from_iter(program.windows().iter().map(Vec::len))
        };
        assert_eq!(
            windows("scale v1 3; update v2 +5; scale 4; stop"),
            [1, 2, 1]
        );
        assert_eq!(windows("update v2 +5; policy del +5; stop"), [1, 1, 1]);
        let changed = "scale v1 1 a; config del a +5; scale 2 a +5; config put a +5; scale 3 a";
        assert_eq!(windows(changed), [1, 1, 1, 1, 1]);
        assert_eq!(windows("update v2 +5; cut +5; stop"), [2, 1]);
    }
}
