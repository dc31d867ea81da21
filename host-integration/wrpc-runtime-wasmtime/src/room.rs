//! Room for instances in the pool of an engine, and who waits for it.
//!
//! An engine with a pooling allocator has room for so many instances, memories, tables and stacks at the same time. Each
//! invocation takes some of it, and so do the instances that wait for their next invocation, and whoever else uses the
//! engine. An invocation that finds no room has not run, so it waits, and those that come after it wait behind it:
//!
//! ```text
//!   no room ---> in line ---> first in line ---> an instance
//!                   |               |  tries: an instance of its component that waits;
//!                   |               |  then all that wait are given back, and one is made
//!                   '---- too long -+--> Step::NoRoom
//! ```
//!
//! The first in line tries again when an invocation of ours has ended, and every now and then, as not all who use the pool are
//! ours. What it waits for may be what its own caller holds. So the wait is short, and the caller hears that nothing ran.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout_at, Instant};
use tracing::warn;
use wasmtime::{Engine, PoolConcurrencyLimitError, WasmBacktrace};

/// How long an invocation waits for room whose caller waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How soon the first in line tries again by itself, at first and later.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(50);

/// The room of one engine. Its functions share one of it.
pub(crate) struct Room {
    engine: Engine,
    /// How many are in line.
    in_line: AtomicUsize,
    /// Held by the first in line. A semaphore lets those that wait for it in as they came.
    turn: Semaphore,
    /// An invocation has ended.
    ended: Notify,
    idle: Mutex<Vec<Weak<dyn Idle>>>,
    warned: AtomicBool,
}

/// The instances of a component that wait for their next invocation.
pub(crate) trait Idle: Send + Sync {
    /// Ends them.
    fn give_back(&self);
}

static ROOMS: Mutex<Vec<Weak<Room>>> = Mutex::new(Vec::new());

impl Room {
    pub(crate) fn of(engine: &Engine) -> Arc<Self> {
        let mut rooms = lock(&ROOMS);
        rooms.retain(|room| room.strong_count() > 0);
        let mut known = rooms.iter().filter_map(Weak::upgrade);
        if let Some(room) = known.find(|room| Engine::same(&room.engine, engine)) {
            return room;
        }
        let room = Arc::new(Self {
            engine: engine.clone(),
            in_line: AtomicUsize::new(0),
            turn: Semaphore::new(1),
            ended: Notify::new(),
            idle: Mutex::default(),
            warned: AtomicBool::new(false),
        });
        rooms.push(Arc::downgrade(&room));
        room
    }

    /// Has those that wait in `idle` given back when there is no room.
    pub(crate) fn add(&self, idle: &Arc<impl Idle + 'static>) {
        let mut known = lock(&self.idle);
        known.retain(|idle| idle.strong_count() > 0);
        let idle = Arc::downgrade(idle);
        known.push(idle);
    }

    /// Whether others wait for room: who comes now is behind them.
    pub(crate) fn has_line(&self) -> bool {
        self.in_line.load(Ordering::Relaxed) > 0
    }

    /// To be dropped when an invocation has ended, after its instance.
    pub(crate) fn leave(&self) -> Leaves<'_> {
        Leaves(self)
    }

    /// Joins the line.
    pub(crate) fn join(&self) -> InLine<'_> {
        self.in_line.fetch_add(1, Ordering::Relaxed);
        inhost_dispatch::note_pool_used_up();
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                "there is no room for one more instance: calls wait for it; `--max-components` of a host and \
                 `Limits::instances` of a lattice say how many there can be (said once)"
            );
        }
        InLine(self)
    }

    /// Ends the instances that wait for their next invocation, of all components.
    pub(crate) fn give_back_idle(&self) {
        let idle: Vec<_> = lock(&self.idle).iter().filter_map(Weak::upgrade).collect();
        idle.iter().for_each(|idle| idle.give_back());
    }
}

/// An invocation that waits for room.
pub(crate) struct InLine<'a>(&'a Room);

/// The first in line.
pub(crate) struct First<'a> {
    room: &'a Room,
    _turn: SemaphorePermit<'a>,
    pause: Duration,
}

impl<'a> InLine<'a> {
    /// Waits to be the first in line, until `end`.
    pub(crate) async fn first(&self, end: Instant) -> Option<First<'a>> {
        let room = self.0;
        // It is never closed.
        let turn = timeout_at(end, room.turn.acquire()).await.ok()?.ok()?;
        Some(First {
            room,
            _turn: turn,
            pause: SOON,
        })
    }
}

impl First<'_> {
    /// Waits until there may be room. False when it is `end` before.
    pub(crate) async fn may_have_room(&mut self, end: Instant) -> bool {
        let now = Instant::now();
        let next = end.min(now + self.pause);
        self.pause = LATER.min(self.pause * 2);
        // Either way it is looked at once more.
        let _ = timeout_at(next, self.room.ended.notified()).await;
        now < end
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.in_line.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the first in line that an invocation has ended.
pub(crate) struct Leaves<'a>(&'a Room);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        // One that joins meanwhile and is not seen looks for itself.
        if self.0.has_line() {
            self.0.ended.notify_one();
        }
    }
}

/// Entering a guest that has its instance takes a stack, and others that look for room may have the last ones, for a moment.
/// This counts how often it was tried.
pub(crate) struct Tries(u32);

impl Tries {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    /// Waits a moment. False when that has gone on for too long.
    pub(crate) async fn again(&mut self) -> bool {
        self.0 += 1;
        sleep(SOON).await;
        SOON * self.0 < PATIENCE
    }
}

/// Whether `error` says that a pool is used up, and no guest was entered.
pub(crate) fn is_no_room(error: &wasmtime::Error) -> bool {
    error.is::<PoolConcurrencyLimitError>() && !error.is::<WasmBacktrace>()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds it can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
