//! Room for instances in the pool of an engine.
//!
//! An engine with a pooling allocator has room for so many instances, memories, tables and stacks
//! at the same time. Each invocation takes some of it, and so do the instances that wait for their
//! next invocation. An invocation that finds no room has the latter given back, of whichever
//! component, one after the other. When there are none, it ends and has not run. It does not wait:
//! what it would wait for may be what its own caller holds, and while it waits its caller keeps
//! room from others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tracing::warn;
use wasmtime::{Engine, PoolConcurrencyLimitError, WasmBacktrace};

/// The room of one engine. Its functions share one of it.
pub(crate) struct Room {
    engine: Engine,
    idle: Mutex<Vec<Weak<dyn Idle>>>,
    warned: AtomicBool,
}

/// The instances of a component that wait for their next invocation.
pub(crate) trait Idle: Send + Sync {
    /// Ends the one that has waited for longest. False when none waits.
    fn give_back(&self) -> bool;
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

    /// Ends an instance that waits for its next invocation, of whichever component. False when none waits.
    pub(crate) fn give_back(&self) -> bool {
        // To end one takes its time: not under the lock.
        let idle: Vec<_> = lock(&self.idle).iter().filter_map(Weak::upgrade).collect();
        idle.iter().any(|idle| idle.give_back())
    }

    /// Notes an invocation that found no room.
    #[cold]
    pub(crate) fn was_used_up(&self) {
        inhost_dispatch::note_pool_used_up();
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                "there is no room for one more instance, and calls fail: {WHAT_TO_DO} (said once)"
            );
        }
    }
}

/// What an operator can do when there is no room.
pub(crate) const WHAT_TO_DO: &str =
    "`--max-components` of a host and `Limits::instances` of a lattice say how many instances there can be, and each core module \
     of a component counts; fewer are in use with a lower `max_instances` of the components";

/// Whether `error` says that a pool is used up, and no guest was entered.
pub(crate) fn is_no_room(error: &wasmtime::Error) -> bool {
    error.is::<PoolConcurrencyLimitError>() && !error.is::<WasmBacktrace>()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds it can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
