//! Configures how calls are carried in memory, and shows what was done.
//!
//! A host program calls [`install`] once, before it starts a host. A program that does not gets
//! [`Config::default`]: calls stay in memory where they can.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::HeaderMap;
use inhost_dispatch::{self as dispatch, Modes, QueueLimits};

pub use inhost_backends::{BackendKind, UnknownBackend};
pub use inhost_dispatch::{
    Calls, Drained, Ended, Ending, Failures, Generations, Mode, Observer, Outcome, Pace, Route,
    Running, ScopeId, Served as Endpoint, Stage, Target, UnknownMode,
};

use inhost_backends::AnyBackend;

mod drain;
mod status;

pub use crate::http::{HttpName, InvalidHttpName};
pub use status::{Function, HttpTarget, Status};

use crate::http::Http;

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
    /// For how long a callee waits for parameters that its caller, here or elsewhere, has not sent.
    /// `None`, the default, is no limit; the host sets its maximum execution time.
    pub receive_within: Option<Duration>,
    /// Whether [`Local::steer`] may change the modes. Components have [generations](Local::generations) then, with
    /// [`Mode::Off`] for all, too. The default is false.
    pub steerable: bool,
    /// How many bytes of parameters a callee takes, without the streams in them, from a caller here
    /// or elsewhere. `None`, the default, is no limit; the host sets what the memory of a guest can
    /// hold.
    pub receive_bytes: Option<usize>,
    /// The names of components for HTTP requests, each with the ID of the component. A request that
    /// a component makes to one of them is answered by the component in memory, when that is
    /// [offered](Local::offer_http) under this name and a call of it would stay in memory. The
    /// default is none.
    pub http: BTreeMap<HttpName, String>,
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
            receive_within: None,
            steerable: false,
            receive_bytes: None,
            http: BTreeMap::new(),
        }
    }
}

/// Why a mode was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError {
    /// The process was not [configured](Config::steerable) so.
    #[error(
        "the modes of this host cannot be changed while it runs: start it with `--local-steer on`"
    )]
    NotSteerable,
    /// Calls are to stay on this host, and this build has nothing to carry them.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// Too many components have a mode of their own.
    #[error("{MAX_TARGETS} components have a mode of their own, and no more can: take one back")]
    TooManyTargets,
}

/// How many components may have a mode of their own, once modes are changed.
const MAX_TARGETS: usize = 1024;

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
    /// `None` where no HTTP request is answered in memory.
    http: Option<Arc<Http>>,
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
        let shared = Shared::new(backend, modes, queue);
        let shared = match config.receive_within {
            Some(limit) => shared.receive_within(limit),
            None => shared,
        };
        let shared = match config.steerable {
            true => shared.steerable(),
            false => shared,
        };
        let shared = match config.receive_bytes {
            Some(limit) => shared.receive_at_most(limit),
            None => shared,
        };
        let shared = Arc::new(shared);
        let http = Some(&config.http).filter(|names| !names.is_empty());
        let http = http.map(|names| Arc::new(Http::new(names.clone())));
        Ok(Self {
            config,
            shared,
            http,
        })
    }

    /// The configuration, with the backend that is used in its place. The modes are those of the beginning.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the mode of calls to the component `target`, or of those to all that have none of
    /// their own. With no mode, the component has the one that it had at the beginning, or none of
    /// its own. It holds for calls that are made from here on.
    ///
    /// # Errors
    ///
    /// [`SteerError`]; then nothing has changed.
    pub fn steer(&self, target: Option<&str>, mode: Option<Mode>) -> Result<(), SteerError> {
        if mode == Some(Mode::Require) && self.config.backend.is_none() {
            return Err(InstallError::RequireNeedsBackend.into());
        }
        if let (Some(target), Some(_)) = (target, mode) {
            let modes = self.shared.modes();
            let mut others = modes.targets().filter(|(other, _)| *other != target);
            if others.nth(MAX_TARGETS - 1).is_some() {
                return Err(SteerError::TooManyTargets);
            }
        }
        match self.shared.set_mode(target, mode) {
            true => Ok(()),
            false => Err(SteerError::NotSteerable),
        }
    }

    /// What is served and what was done.
    pub fn status(&self) -> Status {
        Status::of(&self.config, &self.shared, self.http())
    }

    /// The component under `prefix` (`lattice.component-id`) is offered for HTTP requests under
    /// these names, and under no others from here on. Before, it is offered under none.
    ///
    /// It is for whoever deploys the component to say so, as [`Config::http`] is for whoever runs
    /// the host: a request is answered in memory where both say the same.
    pub fn offer_http(&self, prefix: &str, names: Vec<HttpName>) {
        if let Some(http) = &self.http {
            http.offer(prefix, names);
        }
    }

    pub(crate) fn http(&self) -> Option<&Arc<Http>> {
        self.http.as_ref()
    }

    /// The oldest calls in flight, `most` at most, the oldest first: those that components of this
    /// process made, and those that came over NATS to them. Of these, the ones that have a
    /// [caller](Observer::caller) for the observer.
    pub fn running(&self, most: usize) -> Vec<Running> {
        self.shared.running(most)
    }

    /// Has `observer` told about the local calls that begin from here on. Returns false, and does
    /// nothing, when there is one already.
    ///
    /// Bytes and failures of local calls are counted from here on, too.
    pub fn observe(&self, observer: impl Observer<Option<HeaderMap>>) -> bool {
        self.shared.observe(observer)
    }

    /// The living generations of each component on each connection, sorted by prefix
    /// (`lattice.component-id`). There are none with [`Mode::Off`] for all targets, unless modes
    /// may [change](Config::steerable), and without a backend.
    ///
    /// All that one client serves is one generation of a component. The oldest one serves, in
    /// memory and over NATS; those that are newer stand by.
    pub fn generations(&self) -> Vec<Generations> {
        self.shared.generations()
    }

    /// Ends the generations of the component under `prefix` on the connection `scope` that are
    /// older than `than`. The next one serves, if there is one; what waits passes to it, and what
    /// runs goes on. 30 seconds later, the task of the host that asked for their invocations is
    /// unwound, so that what it holds is given back.
    pub fn end_older(&self, scope: ScopeId, prefix: &str, than: u64) {
        self.shared.end_older(scope, prefix, than);
    }

    /// Says whether another host serves the component under `prefix` (`lattice.component-id`), too.
    /// As long as one does, a call that would wait here for longer than it takes to send it there
    /// goes over NATS, with [`Mode::Prefer`]. The default is that none does.
    pub fn set_served_elsewhere(&self, prefix: &str, served: bool) {
        self.shared.set_served_elsewhere(prefix, served);
    }

    /// Waits until a generation of any component has come or gone since this was called.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing that was not told it.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        self.shared.changed()
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

/// Has `hook` called in the task and the span of each invocation that starts to run in this
/// process, with the route that it came by: [`Route::Local`] or [`Route::Remote`]. Only the first
/// one of a process is called.
pub fn on_start(hook: fn(Route)) {
    dispatch::on_start(hook);
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
    of_process().status()
}

/// What the clients of this process share.
///
/// # Panics
///
/// Never: the default configuration asks for no backend in particular.
pub fn installed() -> Local {
    of_process().clone()
}

/// As [`installed`], without counting another one: a host makes a client for each call.
pub(crate) fn of_process() -> &'static Local {
    INSTALLED.get_or_init(|| {
        Local::new(Config::default()).expect("the default configuration fits any build")
    })
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
