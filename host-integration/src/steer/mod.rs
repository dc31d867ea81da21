//! `--local-steer`: changes the mode of calls while the host runs.
//!
//! Nothing else can be changed in this way. Commands come over NATS (`subject`) and over the
//! address of the listing, if that is a loopback one ([`status`](crate::status)). Each is in the
//! log and in the listing, with who gave it and when.

mod refused;
mod subject;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tracing::info;
use wrpc_transport_nats::local::{Local, Mode};

pub(crate) use subject::Subject;

use refused::Warnings;

/// How many changes are listed.
const KEPT: usize = 16;

/// The longest name of a component, or of who gives a command, in bytes.
const LONGEST_NAME: usize = 256;

/// The longest command, in bytes. A longer one is not looked at.
pub(crate) const LONGEST: usize = 4096;

/// Who gives a command that does not say.
const UNNAMED: &str = "(unnamed)";

/// What takes commands.
pub(crate) struct Steering {
    local: Local,
    /// The last ones, the oldest first.
    changes: Mutex<VecDeque<Change>>,
    refused: Warnings,
}

/// Which way a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    Nats,
}

/// A command, as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    /// The ID of a component; that of the host without it.
    target: Option<String>,
    /// A mode, or `default`: a component has what the host was started with for it again.
    mode: String,
    /// Who gives it.
    by: Option<String>,
}

/// What is answered.
#[derive(Serialize)]
pub(crate) struct Answer {
    pub(crate) accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

struct Change {
    target: Option<String>,
    mode: String,
    by: String,
    way: Way,
    at: Instant,
}

/// A change as it is listed.
#[derive(Serialize)]
pub(crate) struct Listed {
    target: Option<String>,
    mode: String,
    by: String,
    over: String,
    seconds_ago: u64,
}

impl Steering {
    pub(crate) fn new(local: Local) -> Arc<Self> {
        Arc::new(Self {
            local,
            changes: Mutex::default(),
            refused: Warnings::default(),
        })
    }

    /// Does what `command` says. It holds for calls that are made from here on.
    pub(crate) fn command(&self, command: &[u8], way: Way) -> Answer {
        if command.len() > LONGEST {
            return self.too_long(u64::try_from(command.len()).ok(), way);
        }
        let (command, by) = match Command::parse(command) {
            Ok(parsed) => parsed,
            Err(error) => return self.refuse(UNNAMED, way, error),
        };
        match self.change(command, &by, way) {
            Ok(()) => Answer {
                accepted: true,
                error: None,
            },
            Err(error) => self.refuse(&by, way, error),
        }
    }

    /// The answer to a command that is too long, with its size in bytes if that is known.
    pub(crate) fn too_long(&self, bytes: Option<u64>, way: Way) -> Answer {
        let has = bytes.map_or("more".to_owned(), |bytes| format!("{bytes} bytes"));
        let error = format!("a command has at most {LONGEST} bytes, and this one has {has}");
        self.refuse(UNNAMED, way, error)
    }

    fn refuse(&self, by: &str, way: Way, error: String) -> Answer {
        self.refused.warn(by, way, &error);
        Answer {
            accepted: false,
            error: Some(error),
        }
    }

    fn change(&self, command: Command, by: &str, way: Way) -> Result<(), String> {
        let Command { target, mode, .. } = command;
        if target.as_deref().is_some_and(|id| !is_id(id)) {
            return Err("`target` is no component ID: it is empty, too long, or has a space, `.`, `*` or `>` in it".into());
        }
        let to = match (mode.as_str(), &target) {
            ("default", Some(_)) => None,
            ("default", None) => {
                return Err("`default` is a mode of components: say which, as `target`".into())
            }
            // A mode is shown as it is, and what is not shown as it is is none.
            (mode, _) => {
                let mode = refused::shown(mode).parse::<Mode>();
                Some(mode.map_err(|error| error.to_string())?)
            }
        };
        let changed = self.local.steer(target.as_deref(), to);
        changed.map_err(|error| error.to_string())?;
        let target_name = target.as_deref().unwrap_or("(all)");
        info!(target_name, mode, by, %way, "the mode of calls was changed");
        let mut changes = self.changes();
        if changes.len() == KEPT {
            changes.pop_front();
        }
        changes.push_back(Change {
            target,
            mode,
            by: by.to_owned(),
            way,
            at: Instant::now(),
        });
        Ok(())
    }

    /// The last changes, the latest first.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let changes = self.changes();
        let listed = changes.iter().rev().map(|it| Listed {
            target: it.target.clone(),
            mode: it.mode.clone(),
            by: it.by.clone(),
            over: it.way.to_string(),
            seconds_ago: it.at.elapsed().as_secs(),
        });
        listed.collect()
    }

    fn changes(&self) -> MutexGuard<'_, VecDeque<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Command {
    /// A command, and who gives it.
    fn parse(command: &[u8]) -> Result<(Self, String), String> {
        let parsed = serde_json::from_slice::<Self>(command).map_err(|error| {
            let said = refused::by_parser(&error);
            format!("it is not a command like {{\"target\":\"payments\",\"mode\":\"off\",\"by\":\"alice\"}}: {said}")
        })?;
        let by = parsed.by.as_deref().map(name);
        let by = by.filter(|name| !name.is_empty());
        Ok((parsed, by.unwrap_or_else(|| UNNAMED.to_owned())))
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Vec<u8> {
        // It is text and a boolean.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Nats => "nats",
        })
    }
}

fn is_id(text: &str) -> bool {
    let invalid = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>');
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains(invalid)
}

/// A name that does no harm in a log.
fn name(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(LONGEST_NAME / 4).collect()
}

#[cfg(test)]
mod tests {
    use wrpc_transport_nats::local::Config;

    use super::*;

    fn steering(steerable: bool) -> Arc<Steering> {
        let config = Config {
            steerable,
            ..Config::default()
        };
        Steering::new(Local::new(config).expect("it fits any build"))
    }

    #[test]
    fn a_command_changes_a_mode_and_is_listed_with_who_gave_it() {
        let steering = steering(true);
        for command in [
            r#"{"mode":"off","by":"al\u0007ice"}"#,
            r#"{"target":"payments","mode":"prefer"}"#,
        ] {
            assert!(
                steering.command(command.as_bytes(), Way::Nats).accepted,
                "{command}"
            );
        }
        let status = steering.local.status();
        assert_eq!(
            (&*status.mode, &*status.targets["payments"]),
            ("off", "prefer")
        );
        let listed = serde_json::to_value(steering.listed()).expect("JSON");
        assert_eq!(listed[0]["target"], "payments");
        assert_eq!(listed[0]["by"], "(unnamed)");
        assert_eq!(
            (&listed[1]["by"], &listed[1]["over"]),
            (&"alice".into(), &"nats".into())
        );
        let command = br#"{"target":"payments","mode":"default"}"#;
        assert!(steering.command(command, Way::Http).accepted);
        assert!(steering.local.status().targets.is_empty());
    }

    #[test]
    fn what_is_no_command_changes_nothing_and_is_told_why() {
        let steering = steering(true);
        for (command, said) in [
            ("", "payments"),
            ("{}", "mode"),
            (r#"{"mode":"on"}"#, "`prefer`"),
            (r#"{"mode":"default"}"#, "target"),
            (r#"{"mode":"off","target":"a.b"}"#, "component ID"),
            (r#"{"mode":"off","buffer_bytes":1}"#, "buffer_bytes"),
        ] {
            let answer = steering.command(command.as_bytes(), Way::Http);
            assert!(!answer.accepted, "{command}");
            let answer = String::from_utf8(answer.json()).expect("text");
            assert!(answer.contains(said), "{command}: {answer}");
        }
        assert!(steering.listed().is_empty());
        assert_eq!(steering.local.status().mode, "prefer");
    }

    #[test]
    fn what_is_refused_is_told_on_one_bounded_line() {
        let long = "y".repeat(LONGEST - 100);
        for (command, says) in [
            (
                r#"{"mode":"off\n2026-11-29 INFO stopped by admin"}"#.to_owned(),
                r"off\n2026",
            ),
            (
                r#"{"mode":"off","x\n2026-11-29 INFO stopped\u001b[2J":1}"#.to_owned(),
                r"x\n2026",
            ),
            (format!(r#"{{"mode":"{long}"}}"#), "yyy…"),
            (format!(r#"{{"mode":"off","{long}":1}}"#), "yyy…"),
            (format!(r#""{long}""#), "yyy…"),
            (
                format!(r#"{{"mode":"off","by":"{}"}}"#, "x".repeat(1 << 20)),
                "at most 4096 bytes, and this one has 1048598 bytes",
            ),
        ] {
            let answer = steering(true).command(command.as_bytes(), Way::Nats);
            assert!(!answer.accepted);
            let error = answer.error.expect("why");
            assert!(error.contains(says), "{error}");
            assert!(error.len() < 512, "{error}");
            assert_eq!(error.find(char::is_control), None, "{error}");
        }
    }

    #[test]
    fn who_gives_a_command_is_unnamed_without_a_name_that_can_be_shown() {
        let by = |command: &str| Command::parse(command.as_bytes()).expect("a command").1;
        assert_eq!(by(r#"{"mode":"off","by":"al\u0007ice"}"#), "alice");
        assert_eq!(by(r#"{"mode":"off","by":"\u0000"}"#), UNNAMED);
        assert_eq!(by(r#"{"mode":"off","by":""}"#), UNNAMED);
        assert_eq!(by(r#"{"mode":"off"}"#), UNNAMED);
    }

    #[test]
    fn without_the_flag_nothing_is_changed() {
        let steering = steering(false);
        assert!(!steering.command(br#"{"mode":"off"}"#, Way::Http).accepted);
        assert_eq!(steering.local.status().mode, "prefer");
    }

    #[test]
    fn the_last_changes_are_listed_and_no_more() {
        let steering = steering(true);
        for _ in 0..3 * KEPT {
            assert!(
                steering
                    .command(br#"{"mode":"prefer"}"#, Way::Nats)
                    .accepted
            );
        }
        assert_eq!(steering.listed().len(), KEPT);
    }
}
