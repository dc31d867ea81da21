use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use inhost_registry::{Generations, Registry, ScopeId};
use tokio::sync::futures::Notified;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::call::Patience;
use crate::elsewhere::Elsewhere;
use crate::endpoint::{Endpoint, QueueLimits};
use crate::leaving::Clients;
use crate::modes::LiveModes;
use crate::observe::{Calls, Counted, Counters, Observer, Running, Targets};
use crate::route::Mode;
use crate::route::Modes;

/// What all dispatchers of a host share: the registry, the backend, the modes, the limits and the counters.
///
/// Two hosts in one process can share one, too: their scopes keep them apart.
pub struct Local<C, B: Backend> {
    pub(crate) registry: Registry<Endpoint<C, B>>,
    pub(crate) targets: Targets,
    observer: OnceLock<Box<dyn Observer<C>>>,
    /// Told when a generation of a component comes or goes.
    pub(crate) changed: Notify,
    pub(crate) elsewhere: Elsewhere,
    pub(crate) clients: Clients,
    backend: Option<B>,
    modes: LiveModes,
    /// Whether the modes may change.
    steerable: bool,
    limits: QueueLimits,
    patience: Patience,
}

impl<C: Send + Sync + 'static, B: Backend> Local<C, B> {
    /// Carries calls over `backend` when `modes` allow it. Without a backend all calls go over the remote transport,
    /// as with [`Mode::Off`](crate::Mode::Off); with [`Mode::Require`](crate::Mode::Require) they fail.
    pub fn new(backend: Option<B>, modes: impl Into<Modes>, limits: QueueLimits) -> Self {
        Self {
            registry: Registry::new(),
            targets: Targets::new(),
            observer: OnceLock::new(),
            changed: Notify::new(),
            elsewhere: Elsewhere::default(),
            clients: Clients::default(),
            backend,
            modes: LiveModes::new(&modes.into()),
            steerable: false,
            limits,
            patience: Patience::default(),
        }
    }

    /// Lets a callee wait for `limit` for parameters that its caller has not sent, by whatever
    /// route it calls. Then reading them fails with
    /// [`CallError::ParamsLate`](crate::CallError::ParamsLate). The default is no limit.
    ///
    /// A stream within the parameters of a call that came over the remote transport breaks off when
    /// `limit` is over since the call came: a sender that dies there says nothing. For those of a
    /// local call there is no limit, as its callee is told.
    #[must_use]
    pub fn receive_within(mut self, limit: Duration) -> Self {
        self.patience.within = Some(limit);
        self
    }

    /// Lets a callee take up to `limit` bytes of parameters, by whatever route they come. Then reading them fails with
    /// [`CallError::ParamsTooLarge`](crate::CallError::ParamsTooLarge). The default is no limit.
    ///
    /// The bytes of streams within the parameters do not count: they need not be there at the same
    /// time. A callee that takes its parameters piece by piece has a limit of its own.
    #[must_use]
    pub fn receive_at_most(mut self, limit: usize) -> Self {
        self.patience.bytes = Some(limit);
        self
    }

    /// Lets [`Local::set_mode`] change modes. Components have generations then, with [`Mode::Off`]
    /// for all, too: what is served is the same whatever the modes are, and only the way of calls
    /// differs.
    #[must_use]
    pub fn steerable(mut self) -> Self {
        self.steerable = true;
        self
    }

    /// Changes the mode of calls to `target` (see [`Modes`]), or of those to all that have none of
    /// their own. With no mode, a target has the one that it had at the beginning, or none of its
    /// own. It holds for calls that are made from here on. Returns false, and does nothing, unless
    /// this is [steerable](Self::steerable).
    pub fn set_mode(&self, target: Option<&str>, mode: Option<Mode>) -> bool {
        if self.steerable {
            self.modes.set(target, mode);
        }
        self.steerable
    }

    /// The modes as they are now.
    pub fn modes(&self) -> Modes {
        self.modes.snapshot()
    }

    /// Says whether another host serves the component under `prefix`, too. As long as one does, a
    /// call to a function of it that would wait here for longer than it takes to send it there goes
    /// over the remote transport, with [`Mode::Prefer`](crate::Mode::Prefer), and counts as
    /// [`Route::Spilled`](crate::Route::Spilled). The default is that none does.
    pub fn set_served_elsewhere(&self, prefix: &str, served: bool) {
        self.elsewhere.set(prefix, served);
    }

    /// How many calls went which way since this was made.
    pub fn calls(&self) -> Calls {
        self.targets.sum(Counters::read)
    }

    /// How many local calls have a stream that has not been dropped, on either side.
    pub fn in_flight(&self) -> usize {
        self.targets.sum(Counters::in_flight)
    }

    /// What was counted of each function that is served on this host or was called from it, sorted
    /// by prefix, instance and function.
    ///
    /// 4,096 functions are told apart. The calls of all further ones are counted in an entry without names.
    pub fn counted(&self) -> Vec<Counted> {
        self.targets.list()
    }

    /// The oldest calls in flight, `most` at most, the oldest first: those that components of this
    /// host made, whichever way they went, and those from elsewhere that they serve. Those are
    /// listed that began since calls are [observed](Self::observe), and that have a
    /// [caller](Observer::caller).
    pub fn running(&self, most: usize) -> Vec<Running> {
        self.targets.running(most)
    }

    /// Has `observer` told about the local calls that begin from here on. Returns false, and does
    /// nothing, when there is one already.
    pub fn observe(&self, observer: impl Observer<C>) -> bool {
        self.observer.set(Box::new(observer)).is_ok()
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer<C>> {
        self.observer.get().map(|observer| &**observer)
    }

    /// The living generations of each component in each scope, sorted by prefix. There are none
    /// with [`Mode::Off`] for all targets, unless that can [change](Self::steerable), and without a
    /// backend.
    ///
    /// All that one client serves is one generation of a component. The oldest one serves; those
    /// that are newer stand by, in memory and on the remote transport.
    pub fn generations(&self) -> Vec<Generations> {
        self.registry.generations()
    }

    /// Ends the generations of the component under `prefix` within `scope` that are older than
    /// `than`. The next one serves, if there is one; what waits passes to it, and what runs goes
    /// on.
    ///
    /// The streams of those that are ended wait, for 30 seconds. Then the last of them that is asked
    /// for an invocation unwinds whoever asks, without a word to the panic hook: a host asks them in
    /// a task that has nothing else to do, and would never end it. In a program that is built to abort
    /// when it panics, they wait for ever.
    pub fn end_older(&self, scope: ScopeId, prefix: &str, than: u64) {
        let ended = self.registry.end_older(scope, prefix, than);
        self.clients.end(ended);
        self.changed.notify_waiters();
    }

    /// Waits until a generation of any component has come or gone since this was called.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing that was not told it.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The functions that are served on this host and can be called in memory, sorted by prefix, instance and function.
    pub fn served(&self) -> Vec<Served> {
        self.registry
            .snapshot()
            .into_iter()
            .filter(|listed| self.modes.of(&listed.prefix) != Mode::Off)
            .map(|listed| Served {
                queued: listed.value.queued(),
                prefix: listed.prefix,
                instance: listed.instance,
                function: listed.function,
            })
            .collect()
    }

    /// Whether components have generations. They have none on a host that does as a stock host does.
    pub(crate) fn has_generations(&self) -> bool {
        self.backend.is_some() && (self.steerable || !self.modes.snapshot().are_off())
    }

    pub(crate) fn backend(&self) -> Option<&B> {
        self.backend.as_ref()
    }

    /// The mode of a call to `prefix` that is made now.
    pub(crate) fn mode_of(&self, prefix: &str) -> Mode {
        self.modes.of(prefix)
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn limits(&self) -> QueueLimits {
        self.limits
    }
}

/// A function that is served on this host, as [`Local::served`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Served {
    /// The wRPC prefix, `lattice.component-id` in wasmCloud.
    pub prefix: Box<str>,
    /// The WIT instance with its version.
    pub instance: Box<str>,
    /// The function.
    pub function: Box<str>,
    /// How many invocations wait to be taken.
    pub queued: usize,
}

impl<C: Send + Sync + 'static, B: Backend> fmt::Debug for Local<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("registry", &self.registry)
            .field("calls", &self.calls())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
