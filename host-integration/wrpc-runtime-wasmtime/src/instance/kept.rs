//! Instances that wait for their next invocation.
//!
//! One is made when none waits, so those that wait and those that run are never more than have run
//! at the same time, which the host bounds by the component's `max_instances`. They are given back
//!
//! - after five to ten seconds without an invocation,
//! - when there is no room in the pool for an instance of whichever component ([`Room`]),
//! - when they hold too many handles.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{yield_now, AbortHandle};
use tokio::time::sleep;
use wasmtime::component::Instance;
use wasmtime::Store;
use wasmtime_wasi::{ResourceTable, WasiView};

use crate::instance::room::{Idle, Room};
use crate::turns;
use crate::view::WrpcView;

/// How often those are given back that were not used since the last time.
const LOOK: Duration = Duration::from_secs(5);

/// How many handles an instance may hold, of each kind.
const HANDLES: u32 = 1024;

/// How many powers of two beyond that are looked at.
const MORE: u32 = 10;

/// An instance in a store of its own.
pub(crate) struct Ready<T: 'static> {
    pub(crate) store: Store<T>,
    pub(crate) instance: Instance,
    /// How many invocations it has served.
    served: u32,
}

impl<T> Ready<T> {
    /// One that has served none.
    pub(crate) fn new(store: Store<T>, instance: Instance) -> Self {
        Self {
            store,
            instance,
            served: 0,
        }
    }
}

/// Those of a component that wait.
pub(crate) struct Kept<T: 'static> {
    waiting: Mutex<Waiting<T>>,
    /// How many invocations an instance serves.
    calls: NonZeroU32,
    /// Gives back those that are not used. There is one while some wait.
    keeper: Mutex<Option<AbortHandle>>,
}

struct Waiting<T: 'static> {
    /// The one that was used last is used next: most of what it needs is still in the processor's
    /// caches. Those that are not needed stay at the beginning.
    ready: VecDeque<Ready<T>>,
    /// How few there were since the keeper has looked: so many were not used. That takes no clock for each invocation.
    fewest: usize,
    has_keeper: bool,
}

impl<T: WasiView + WrpcView + 'static> Kept<T> {
    /// None wait. Each instance is to serve up to `calls` invocations. `room` is that of their engine.
    pub(crate) fn new(calls: NonZeroU32, room: &Room) -> Arc<Self> {
        let kept = Arc::new(Self {
            waiting: Mutex::new(Waiting {
                ready: VecDeque::new(),
                fewest: 0,
                has_keeper: false,
            }),
            calls,
            keeper: Mutex::default(),
        });
        room.add(&kept);
        kept
    }

    /// One that waits, with its deadline set anew.
    pub(crate) fn take(&self) -> Option<Ready<T>> {
        let mut ready = {
            let mut waiting = lock(&self.waiting);
            let ready = waiting.ready.pop_back()?;
            waiting.fewest = waiting.fewest.min(waiting.ready.len());
            ready
        };
        if let Some(timeout) = ready.store.data().timeout() {
            // As the host sets it for a new store: the epoch advances once a second, as far as the host knows.
            ready.store.set_epoch_deadline(timeout.as_secs());
        }
        turns::again(&mut ready.store);
        Some(ready)
    }

    /// Keeps an instance that has served one more invocation, unless that was its last one.
    pub(crate) fn keep(self: &Arc<Self>, mut ready: Ready<T>) {
        ready.served += 1;
        if ready.served >= self.calls.get() || holds_too_much(ready.store.data_mut()) {
            return;
        }
        let mut waiting = lock(&self.waiting);
        waiting.ready.push_back(ready);
        if !waiting.has_keeper {
            waiting.has_keeper = true;
            drop(waiting);
            self.begin_to_look();
        }
    }

    #[cold]
    fn begin_to_look(self: &Arc<Self>) {
        let keeper = Keeper(Arc::downgrade(self));
        // Without a runtime there is no one who could look.
        if let Ok(runtime) = Handle::try_current() {
            let keeper = runtime.spawn(keeper.run());
            *lock(&self.keeper) = Some(keeper.abort_handle());
        }
    }

    /// Takes out those that were not used since the last time, and says whether others wait.
    fn look(&self) -> (Vec<Ready<T>>, bool) {
        let mut waiting = lock(&self.waiting);
        let fewest = waiting.fewest;
        let unused = Vec::from_iter(waiting.ready.drain(..fewest));
        waiting.fewest = waiting.ready.len();
        waiting.has_keeper = !waiting.ready.is_empty();
        (unused, waiting.has_keeper)
    }
}

impl<T: Send + 'static> Idle for Kept<T> {
    fn give_back(&self) -> bool {
        let oldest = {
            let mut waiting = lock(&self.waiting);
            let oldest = waiting.ready.pop_front();
            waiting.fewest = waiting.fewest.min(waiting.ready.len());
            oldest
        };
        // To end an instance takes its time: not under the lock.
        oldest.is_some()
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.take() {
            keeper.abort();
        }
    }
}

/// Gives back the instances of a component that are not used, and ends when none wait, or with the last function.
struct Keeper<T: 'static>(Weak<Kept<T>>);

impl<T: WasiView + WrpcView + 'static> Keeper<T> {
    async fn run(mut self) {
        loop {
            sleep(LOOK).await;
            let looked = self.0.upgrade().map(|kept| kept.look());
            let (unused, others_wait) = looked.unwrap_or_default();
            if !others_wait {
                // Its task may be another's from here on.
                self.0 = Weak::new();
            }
            for ready in unused {
                drop(ready);
                // There may be many.
                yield_now().await;
            }
            if !others_wait {
                return;
            }
        }
    }
}

impl<T> Drop for Keeper<T> {
    fn drop(&mut self) {
        // Its runtime has gone, and the functions may be used in another one.
        if let Some(kept) = self.0.upgrade() {
            lock(&kept.waiting).has_keeper = false;
        }
    }
}

/// Whether an instance holds more handles than one that is to wait may. A guest that does not drop
/// what it was given costs memory of the host, and no memory of its own.
fn holds_too_much(data: &mut (impl WasiView + WrpcView)) -> bool {
    is_large(data.table()) || data.shared_resources().len() > HANDLES as usize
}

/// Whether about [`HANDLES`] are in use, or were.
fn is_large(table: &mut ResourceTable) -> bool {
    // A table does not say how many it has. It gives out the lowest numbers first, and those again
    // that were dropped. So when one of these is in use, about as many are; a few that are not may
    // be those that each call drops. A guest may drop just these, and keep others.
    let further = (1..=MORE).flat_map(|power| (HANDLES << power)..(HANDLES << power) + 2);
    let mut numbers = (HANDLES..HANDLES + 8).chain(further);
    numbers.any(|number| table.get_any_mut(number).is_ok())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here can leave what it locks half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Resource;

    use super::*;

    #[test]
    fn a_table_that_has_gaps_where_it_is_looked_at_first_is_large_all_the_same() {
        let mut table = ResourceTable::new();
        let push = |table: &mut ResourceTable, count| -> Vec<Resource<()>> {
            (0..count)
                .map(|_| table.push(()).expect("there is room"))
                .collect()
        };
        push(&mut table, HANDLES - 8);
        assert!(!is_large(&mut table));
        for number in push(&mut table, 2 * HANDLES) {
            if (HANDLES..HANDLES + 100).contains(&number.rep()) {
                table.delete(number).expect("it is there");
            }
        }
        assert!(is_large(&mut table));
    }
}
