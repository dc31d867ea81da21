//! Threads that step in when none of the others comes back.
//!
//! A guest that computes keeps the thread that runs it, and so does a component that is compiled. With as many of either as
//! the runtime has workers, nothing else of the host would run: no other component, no answer to a command, no heartbeat. The
//! system shares processors between threads better than that. So the runtime has workers to spare. While the others come
//! back, these would only get in their way; so each is held by a task that blocks it, and is taken by the runtime for one that
//! is at work. A thread beside the runtime looks every now and then whether a worker still takes up a task. When none does,
//! it lets spare ones go, and has them held again later.
//!
//! It matters which task a worker is given to be blocked with: of what waits in the queue of a worker, others can take all but
//! the task that was woken last, which is to run next. There is none of these when a task has been woken on its worker and is
//! its turn, so one that holds gives way before it blocks. (tokio 1.42, `scheduler/multi_thread/worker.rs`,
//! `next_local_task`.) To be safe, it does so twice, and again each minute.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tracing::debug;

use super::Parking;

/// How often it is looked at whether a worker takes up tasks, and for how long one may take to.
const PULSE: Duration = Duration::from_millis(50);

/// For how long a worker is held in one go.
const HOLD: Duration = Duration::from_secs(60);

/// After how many pulses in which all is well a spare worker is held again, if others are idle at that moment.
const CALM: u32 = 40;

/// As [`CALM`], if none is idle: the others may not be enough.
const LONG_CALM: u32 = 200;

/// As [`LONG_CALM`], at most: it doubles each time when they were not.
const LONGEST_CALM: u32 = 4_000;

static USED_UP: AtomicU64 = AtomicU64::new(0);

/// How often no worker of this process has come back in time.
pub(crate) fn threads_used_up() -> u64 {
    USED_UP.load(Ordering::Relaxed)
}

/// How many spare workers there are for `workers`: with four times as many guests that compute as there are processors,
/// one is left for everything else. With many processors there are fewer, as all threads look at each other for work.
pub(super) fn for_workers(workers: usize) -> usize {
    (4 * workers).min(32).max(workers)
}

/// The spare workers of a runtime. Dropping it lets all of them go, and ends the thread that looks at the workers.
pub(super) struct Spare {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Told when fewer are to be held.
    fewer: Condvar,
    /// Told when more are to be held.
    more: Notify,
    /// Told at the end.
    end: Condvar,
    parking: Arc<Parking>,
}

#[derive(Default)]
struct State {
    to_hold: usize,
    held: usize,
    over: bool,
}

impl Spare {
    /// Holds `spare` workers of a runtime that has as many more than it needs.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub(super) fn start(runtime: &Handle, spare: usize, parking: Arc<Parking>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                to_hold: spare,
                ..State::default()
            }),
            fewer: Condvar::new(),
            more: Notify::new(),
            end: Condvar::new(),
            parking,
        });
        let watch = thread::Builder::new().name("spare threads".into()).spawn({
            let (shared, runtime) = (Arc::clone(&shared), runtime.clone());
            move || shared.watch(&runtime, spare)
        })?;
        // Not before someone is there to end them.
        for _ in 0..spare {
            runtime.spawn(hold(Arc::clone(&shared)));
        }
        Ok(Self {
            shared,
            watch: Some(watch),
        })
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.end.notify_all();
        self.shared.fewer.notify_all();
        self.shared.more.notify_waiters();
        // A panic of the thread was logged. It is no reason not to end.
        let _ = self.watch.take().map(JoinHandle::join);
    }
}

/// Blocks the worker that it is polled on, for as long as one is to be held.
async fn hold(shared: Arc<Shared>) {
    loop {
        let more = shared.more.notified();
        yield_now().await;
        yield_now().await;
        if shared.state().over {
            return;
        }
        if !shared.block() {
            more.await;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks this thread for a while, if one is to be held. Returns whether one was.
    fn block(&self) -> bool {
        let mut state = self.state();
        if state.held >= state.to_hold {
            return false;
        }
        state.held += 1;
        self.parking.hold(state.held);
        let goes_on = |state: &mut State| !state.over && state.held <= state.to_hold;
        let waited = self.fewer.wait_timeout_while(state, HOLD, goes_on);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.held -= 1;
        self.parking.hold(state.held);
        true
    }

    /// Looks at the workers until the end.
    fn watch(&self, runtime: &Handle, spare: usize) {
        let mut policy = Policy::new(spare);
        let mut asked: Option<Arc<AtomicBool>> = None;
        loop {
            let waited = self
                .end
                .wait_timeout_while(self.state(), PULSE, |state| !state.over);
            if waited.unwrap_or_else(PoisonError::into_inner).0.over {
                return;
            }
            let idle = self.parking.parked();
            if idle > 0 || asked.as_ref().is_some_and(|it| it.load(Ordering::Relaxed)) {
                asked = None;
            }
            let seen = match asked {
                Some(_) => {
                    USED_UP.fetch_add(1, Ordering::Relaxed);
                    Seen::Stall
                }
                None => Seen::Well { idle },
            };
            if idle == 0 && asked.is_none() {
                let answered = Arc::new(AtomicBool::new(false));
                asked = Some(Arc::clone(&answered));
                runtime.spawn(async move { answered.store(true, Ordering::Relaxed) });
            }
            let before = policy.released;
            let released = policy.pulse(seen);
            if released != before {
                debug!(released, "spare threads of the host that are in use");
                self.release(spare - released);
            }
        }
    }

    fn release(&self, to_hold: usize) {
        let mut state = self.state();
        let more = to_hold > state.to_hold;
        state.to_hold = to_hold;
        drop(state);
        if more {
            self.more.notify_waiters();
        } else {
            self.fewer.notify_all();
        }
    }
}

/// What a pulse has found.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// A task was given to the runtime one pulse ago, and no worker has taken it up.
    Stall,
    /// Workers take up tasks; so many of them have none.
    Well { idle: usize },
}

/// How many spare workers are let go.
#[derive(Debug)]
struct Policy {
    spare: usize,
    released: usize,
    /// How many more are let go at the next stall.
    step: usize,
    /// For how many pulses all was well.
    calm: u32,
    /// After how many of these one is held although none is idle.
    patience: u32,
}

impl Policy {
    fn new(spare: usize) -> Self {
        Self {
            spare,
            released: 0,
            step: 1,
            calm: 0,
            patience: LONG_CALM,
        }
    }

    /// Returns how many are let go from now on.
    fn pulse(&mut self, seen: Seen) -> usize {
        match seen {
            Seen::Stall => {
                self.released = self.spare.min(self.released + self.step);
                self.step = self.spare.min(2 * self.step);
                self.calm = 0;
            }
            Seen::Well { idle } => {
                self.step = 1;
                self.calm += 1;
                if self.released == 0 {
                    self.patience = LONG_CALM;
                } else if self.calm >= CALM && idle > 1 {
                    // One more next time, if that is still so.
                    self.released -= 1;
                } else if self.calm >= self.patience {
                    self.released -= 1;
                    self.calm = 0;
                    self.patience = LONGEST_CALM.min(2 * self.patience);
                }
            }
        }
        self.released
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    /// Lets pulses go by until `released` are let go. Returns how many it took.
    fn until(policy: &mut Policy, released: usize, seen: Seen) -> u32 {
        let mut pulses = 0;
        while policy.released != released {
            policy.pulse(seen);
            pulses += 1;
            assert!(pulses < 100_000, "{policy:?}");
        }
        pulses
    }

    #[test]
    fn a_stall_that_goes_on_lets_ever_more_go_and_never_more_than_there_are() {
        let mut policy = Policy::new(8);
        let released: Vec<_> = (0..100).map(|_| policy.pulse(Seen::Stall)).collect();
        assert_eq!(released[..4], [1, 3, 7, 8]);
        assert!(released[4..].iter().all(|it| *it == 8), "{released:?}");
    }

    #[test]
    fn all_are_held_again_when_others_have_been_idle_for_a_while() {
        let mut policy = Policy::new(8);
        until(&mut policy, 7, Seen::Stall);
        assert_eq!(until(&mut policy, 6, Seen::Well { idle: 2 }), CALM);
        until(&mut policy, 0, Seen::Well { idle: 2 });
    }

    #[test]
    fn who_computes_without_end_is_disturbed_ever_less_often() {
        let mut policy = Policy::new(8);
        until(&mut policy, 3, Seen::Stall);
        let mut before = 0;
        for _ in 0..4 {
            let pulses = until(&mut policy, 2, Seen::Well { idle: 1 });
            assert!(pulses > before, "{pulses} after {before}");
            before = pulses;
            until(&mut policy, 3, Seen::Stall);
        }
    }

    /// A runtime with two workers, and more to spare.
    fn runtime() -> (Runtime, Spare) {
        let parking = Arc::new(Parking::default());
        let (parks, unparks) = (Arc::clone(&parking), Arc::clone(&parking));
        let spare = for_workers(2);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2 + spare)
            .on_thread_park(move || parks.park())
            .on_thread_unpark(move || unparks.unpark())
            .enable_all()
            .build()
            .unwrap();
        let spare = Spare::start(runtime.handle(), spare, parking).unwrap();
        (runtime, spare)
    }

    fn held(spare: &Spare) -> usize {
        spare.shared.state().held
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "not {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn tasks_run_while_as_many_as_there_are_workers_compute_and_four_times_as_many() {
        for computing in [2, 8] {
            let (runtime, spare) = runtime();
            let over = Arc::new(AtomicBool::new(false));
            let tasks: Vec<_> = (0..computing)
                .map(|_| {
                    let over = Arc::clone(&over);
                    runtime.spawn(async move {
                        while !over.load(Ordering::Relaxed) {
                            thread::sleep(Duration::from_millis(1));
                        }
                    })
                })
                .collect();
            let (done, is_done) = mpsc::channel();
            for n in 0..100 {
                let done = done.clone();
                runtime.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(n)).await;
                    done.send(n)
                });
            }
            drop(done);
            assert_eq!(is_done.iter().count(), 100, "{computing} compute");
            assert!(tasks.iter().all(|task| !task.is_finished()));
            over.store(true, Ordering::Relaxed);
            drop(spare);
        }
    }

    #[test]
    fn spare_workers_are_held_while_there_is_no_need_of_them() {
        let (runtime, spare) = runtime();
        let all = for_workers(2);
        wait_until("held", || held(&spare) == all);
        let (over, is_over) = mpsc::channel::<()>();
        let is_over = Arc::new(Mutex::new(is_over));
        let before = threads_used_up();
        for _ in 0..2 {
            let is_over = Arc::clone(&is_over);
            runtime.spawn(async move { is_over.lock().unwrap().recv() });
        }
        wait_until("let go", || held(&spare) < all);
        assert!(threads_used_up() > before);
        drop(over);
        wait_until("held again", || held(&spare) == all);
    }

    #[test]
    fn the_end_waits_for_no_one() {
        let (runtime, spare) = runtime();
        wait_until("held", || held(&spare) == for_workers(2));
        let start = Instant::now();
        drop(spare);
        drop(runtime);
        assert!(start.elapsed() < HOLD, "{:?}", start.elapsed());
    }
}
