//! Configures how calls are carried in memory, and shows what was done.
//!
//! A host program calls [`install`] once, before it starts a host. A program that does not gets
//! [`Config::default`]: calls stay in memory where they can.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use async_nats::HeaderMap;
use inhost_dispatch::{self as dispatch, Modes, QueueLimits};
use serde::Serialize;

pub use inhost_backends::{BackendKind, UnknownBackend};
pub use inhost_dispatch::{Mode, Replacement, UnknownMode};

use inhost_backends::AnyBackend;

/// How calls are carried in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether they are. The default is [`Mode::Prefer`].
    pub mode: Mode,
    /// The modes of calls to single components, by component ID (what follows the last dot of a wRPC prefix). The
    /// default is none: [`Config::mode`] holds for all.
    pub targets: BTreeMap<String, Mode>,
    /// What the streams are made of. `None`, the default, is the first one of [`BackendKind::compiled_in`]; in a
    /// build without any, all calls go over NATS.
    pub backend: Option<BackendKind>,
    /// How many bytes a stream holds before its writer waits. The default is 64 KiB.
    pub buffer_bytes: NonZeroUsize,
    /// How many invocations may wait at one function before further calls go over NATS. The default is 1,024.
    pub queue_invocations: NonZeroUsize,
    /// How many bytes of parameters may wait at one function before further calls go over NATS. A call with more
    /// than that may wait alone. The default is 64 MiB.
    pub queue_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        let queue = QueueLimits::default();
        Self {
            mode: Mode::default(),
            targets: BTreeMap::new(),
            backend: None,
            buffer_bytes: const { NonZeroUsize::new(64 * 1024).unwrap() },
            queue_invocations: queue.invocations,
            queue_bytes: queue.bytes,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The backend that was asked for is not part of this build.
    #[error(
        "this build has no `{backend}` backend: build it with `--features {}`, or ask for {}",
        .backend.feature(),
        alternatives()
    )]
    BackendNotCompiledIn {
        /// The backend that was asked for.
        backend: BackendKind,
    },
    /// Calls are to stay on this host, and this build has nothing to carry them.
    #[error(
        "calls cannot be required to stay on this host (local dispatch `require`): this build has no backend. Build it with \
         `--features duplex` or `--features mpsc`, or use the mode `prefer`"
    )]
    RequireNeedsBackend,
    /// The process has a configuration, because [`install`] was called before or a client was made.
    #[error("in-host invocation is configured once in a process, before the first client is made")]
    AlreadyInstalled,
}

fn alternatives() -> String {
    match BackendKind::compiled_in() {
        [] => "none (all calls then go over NATS)".into(),
        kinds => kinds
            .iter()
            .map(|kind| format!("`{kind}`"))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

type Shared = dispatch::Local<Option<HeaderMap>, AnyBackend>;

/// What the clients of a process share. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Local {
    config: Config,
    shared: Arc<Shared>,
}

impl Local {
    /// Makes one that is not installed, for [`Client::with_local`](crate::Client::with_local).
    ///
    /// # Errors
    ///
    /// [`InstallError::BackendNotCompiledIn`] and [`InstallError::RequireNeedsBackend`].
    pub fn new(mut config: Config) -> Result<Self, InstallError> {
        let backend = match config.backend {
            Some(kind) => Some(
                AnyBackend::new(kind, config.buffer_bytes)
                    .ok_or(InstallError::BackendNotCompiledIn { backend: kind })?,
            ),
            None => {
                config.backend = BackendKind::compiled_in().first().copied();
                config
                    .backend
                    .and_then(|kind| AnyBackend::new(kind, config.buffer_bytes))
            }
        };
        let required = config
            .targets
            .values()
            .chain([&config.mode])
            .any(|mode| *mode == Mode::Require);
        if backend.is_none() && required {
            return Err(InstallError::RequireNeedsBackend);
        }
        let queue = QueueLimits {
            invocations: config.queue_invocations,
            bytes: config.queue_bytes,
        };
        let targets = config.targets.iter();
        let modes = targets.fold(Modes::new(config.mode), |modes, (target, mode)| {
            modes.with(target.as_str(), *mode)
        });
        let shared = Arc::new(Shared::new(backend, modes, queue));
        Ok(Self { config, shared })
    }

    /// The configuration, with the backend that is used in its place.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is served and what was done.
    pub fn status(&self) -> Status {
        let calls = self.shared.calls();
        Status {
            mode: self.config.mode.to_string(),
            targets: self
                .config
                .targets
                .iter()
                .map(|(target, mode)| (target.clone(), mode.to_string()))
                .collect(),
            backend: self.config.backend.map(|backend| backend.to_string()),
            in_flight: self.shared.in_flight(),
            calls: Calls {
                local: calls.local,
                remote: calls.remote,
                spilled: calls.spilled,
                fallback: calls.fallback,
                refused: calls.refused,
            },
            endpoints: self
                .shared
                .served()
                .into_iter()
                .map(|served| Endpoint {
                    prefix: served.prefix,
                    instance: served.instance,
                    function: served.function,
                    queued: served.queued,
                })
                .collect(),
        }
    }

    /// Says that the component `id` of `lattice` is being replaced by a new version of itself, until the guard is
    /// dropped; see [`Replacement`].
    pub fn replace(&self, lattice: &str, id: &str) -> Replacement {
        self.shared.replace(&format!("{lattice}.{id}"))
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

static INSTALLED: OnceLock<Local> = OnceLock::new();

/// Configures this process: the clients that [`Client::new`](crate::Client::new) makes from here on.
///
/// # Errors
///
/// [`InstallError::BackendNotCompiledIn`], [`InstallError::RequireNeedsBackend`], and
/// [`InstallError::AlreadyInstalled`] when it is too late.
pub fn install(config: Config) -> Result<(), InstallError> {
    INSTALLED
        .set(Local::new(config)?)
        .map_err(|_| InstallError::AlreadyInstalled)
}

/// What is served in this process and what was done. Configures it with [`Config::default`] if nothing else has.
pub fn status() -> Status {
    installed().status()
}

/// What the clients of this process share.
///
/// # Panics
///
/// Never: the default configuration asks for no backend in particular.
pub fn installed() -> Local {
    INSTALLED
        .get_or_init(|| {
            Local::new(Config::default()).expect("the default configuration fits any build")
        })
        .clone()
}

/// What is served on this host, and which way its calls went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// `prefer`, `require` or `off`.
    pub mode: String,
    /// The modes of calls to single components, by component ID.
    pub targets: BTreeMap<String, String>,
    /// `duplex` or `mpsc`; nothing in a build without backends.
    pub backend: Option<String>,
    /// How many calls went which way since the process started.
    pub calls: Calls,
    /// How many local calls have a stream that has not been dropped, on either side.
    pub in_flight: usize,
    /// The functions that can be called in memory, sorted.
    pub endpoints: Vec<Endpoint>,
}

/// How many calls that components of this host made went which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Calls {
    /// In memory.
    pub local: u64,
    /// Over NATS: the callee is elsewhere, or the mode is off.
    pub remote: u64,
    /// Over NATS, because the queue at the local callee was full.
    pub spilled: u64,
    /// Over NATS, because the local callee went away before it took the call.
    pub fallback: u64,
    /// Nowhere: the callee is not here, and the mode is `require`.
    pub refused: u64,
}

/// A function that is served on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// The lattice and the component: `lattice.component-id`.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// How many invocations wait to be taken.
    pub queued: usize,
}

#[cfg(all(test, not(any(feature = "duplex", feature = "mpsc"))))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_backends_refuses_to_require_one() {
        let mut config = Config::default();
        assert!(Local::new(config.clone()).is_ok());
        config.targets.insert("callee".into(), Mode::Require);
        assert_eq!(
            Local::new(config).map(|_| ()),
            Err(InstallError::RequireNeedsBackend)
        );
        let config = Config {
            mode: Mode::Require,
            ..Config::default()
        };
        assert!(Local::new(config).is_err());
    }
}
