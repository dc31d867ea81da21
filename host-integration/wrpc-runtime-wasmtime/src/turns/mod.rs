//! Guests that compute take turns with each other, and with all else that runs on their threads.
//!
//! A guest that waits for something gives its thread away. One that computes has nothing to wait
//! for, and keeps it until it is done or its time is over: as many of them as there are threads,
//! and nothing else runs. So here a guest is made to give way when it has had its [`TURN`], and
//! goes on when others have had theirs, and what came over the network was looked at.
//!
//! wasmtime lets a guest look at a counter of its engine, the epoch, in each loop and each call.
//! The runtime of a host raises it once a second, and a guest that gets to see a number of its own
//! is stopped: that is its maximum execution time. A second is too long for a turn. So a thread of
//! this module raises the epoch as well, [`TICKS`] in a second, and a host gives its runtime that
//! many times the time: [`in_ticks`]. What the host runs by itself, such as a request over HTTP, is
//! stopped after the same time as ever.
//!
//! ```text
//!   [`clock`]   raises the epoch: seldom while no guest computes, by as many ticks at once
//!      |
//!   a guest sees that its turn is over, and gives way      [`begin`]
//!      |
//!   [`Turns`]   lets all others run, and then goes on; tells the clock that a guest computes
//!      |
//!   [`line`]    one that takes long waits until the older ones of these are done, and so does an
//!               instance that is not made yet
//! ```

mod clock;
mod line;
mod quiet;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{ready, Context, Poll, Waker};
use std::time::{Duration, Instant};

use wasmtime::{Engine, Store, Trap, UpdateDeadline};

pub(crate) use line::Line;
use line::{Key, Place};
use quiet::Quiet;

/// How many ticks the epoch of an engine makes in a second, that of the runtime of the host included.
const TICKS: u32 = 250;

/// How long a guest that computes runs before it gives way: the time between two ticks.
const TURN: Duration = Duration::from_millis(1000 / TICKS as u64);

/// How many ticks a turn of a guest that takes long lasts at most. It lasts as long as the others
/// had the thread before, so that the guest comes to its end beside many short calls, too.
const LONGEST: u64 = 5;

/// How many ticks there are in a second in this process.
static IN_A_SECOND: OnceLock<u32> = OnceLock::new();

/// Has the guests of this process take turns when they compute: from here on, each runtime of a
/// host must be given a maximum execution time that [`in_ticks`] has made.
///
/// It does nothing when [`in_ticks`] was called before: what it returned then stays right.
pub fn take_turns() {
    IN_A_SECOND.get_or_init(|| TICKS);
}

/// The maximum execution time that a host, or a runtime, has to be given so that its guests have
/// `limit`: a second at least, as the runtime has it. A runtime takes a second for a tick, and
/// there are more of them where guests take turns.
pub fn in_ticks(limit: Duration) -> Duration {
    let limit = limit.max(Duration::from_secs(1));
    limit.saturating_mul(*IN_A_SECOND.get_or_init(|| 1))
}

/// What a limit of a runtime, `ticks`, is in time: the other way round of [`in_ticks`].
pub(crate) fn in_time(ticks: Duration) -> Duration {
    ticks / *IN_A_SECOND.get_or_init(|| 1)
}

fn are_taken() -> bool {
    IN_A_SECOND.get() == Some(&TICKS)
}

/// Has `engine` make as many ticks as there are in a second.
pub(crate) fn tick(engine: &Engine) {
    if are_taken() {
        clock::drive(engine);
    }
}

/// Lets the guest of `store` take turns from here on.
pub(crate) fn begin<T>(store: &mut Store<T>) {
    if !are_taken() {
        return;
    }
    store.epoch_deadline_callback(|_| {
        // Suspended is the guest, and not this: nothing of the thread is looked at on the other side of that.
        if is_over() {
            return Err(Trap::Interrupt.into());
        }
        if goes_on() {
            return Ok(UpdateDeadline::Continue(1));
        }
        give_way();
        Ok(UpdateDeadline::Yield(1))
    });
    again(store);
}

/// As [`begin`], for a store that has been through it.
pub(crate) fn again<T>(store: &mut Store<T>) {
    if are_taken() {
        store.set_epoch_deadline(1);
    }
}

thread_local! {
    /// The guest that was polled on this thread gives way.
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
    /// The time of the guest that is being polled on this thread is over.
    static OVER: Cell<bool> = const { Cell::new(false) };
    /// How many ticks the guest that is being polled on this thread sees before it gives way.
    static MORE: Cell<u64> = const { Cell::new(0) };
}

/// Not inlined into what runs on a guest's stack: that may go on on another thread, and where the
/// variable of a thread is must not be known from before. For the same reason wasmtime does not
/// inline its own.
#[inline(never)]
fn give_way() {
    GIVES_WAY.set(true);
}

/// As for [`give_way`].
#[inline(never)]
fn is_over() -> bool {
    OVER.get()
}

/// Whether this tick is not the last one of the turn. As for [`give_way`].
#[inline(never)]
fn goes_on() -> bool {
    let more = MORE.get();
    MORE.set(more.saturating_sub(1));
    more > 0
}

/// Whether the guest that was polled last on this thread gives way. It is said once.
fn gives_way() -> bool {
    GIVES_WAY.replace(false)
}

/// The place that an invocation has among those of its component that compute, while it does.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    place: Mutex<Option<Place>>,
    computes: AtomicBool,
    is_over: AtomicBool,
}

impl Seat {
    /// Waits until there is no crowd, `line`, of the component's guests that compute, unless it has
    /// waited before. The invocation came at `came`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line.
    pub(crate) async fn take(&self, line: &Arc<Line>, came: Instant) {
        if self.is_taken() {
            return;
        }
        if let Some(place) = line.enter(came).await {
            *self.lock() = Some(place);
        }
    }

    /// The time of the guest is over: when it is polled and computes, it is stopped.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the guest computes: it has given way again without having waited for anything. The
    /// first time, what it has seen may be the ticks of the time for which it had waited.
    pub(crate) fn computes(&self) -> bool {
        self.computes.load(Ordering::Relaxed)
    }

    /// Whether the guest has given way, or has had its turn to begin and has not run since.
    fn is_taken(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Place>> {
        // A place is there, or not.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it computing. Returns who it is in the lines.
    fn sit(&self, line: &Arc<Line>, came: Instant) -> Key {
        // Others may be woken, so it is not locked meanwhile.
        let mut place = self.lock().take();
        let key = Place::sit(&mut place, line, came);
        *self.lock() = place;
        key
    }

    fn leave(&self) {
        self.computes.store(false, Ordering::Relaxed);
        // It is dropped when this is not locked any more.
        let place = self.lock().take();
        drop(place);
    }
}

/// The turns of one invocation. A guest that does not compute for as long as a tick has none, and
/// nothing is made for it.
pub(crate) struct Turns<'a> {
    /// When it came: of those that take long, the oldest ones run.
    came: Instant,
    /// Those of its component that compute.
    line: &'a Arc<Line>,
    seat: &'a Seat,
    computing: Option<Box<Computing>>,
}

struct Computing {
    /// How many turns it has had.
    turns: u32,
    /// Whether it gave way the last time that it ran.
    gave_way: bool,
    quiet: Quiet,
    /// While others run.
    away: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// When it gave way.
    left: Instant,
    /// From when it has taken long, until it waits for something else.
    place: Option<Place>,
}

impl<'a> Turns<'a> {
    /// Of an invocation that came at `came`, has `seat`, and is of a component whose guests that compute are in `line`.
    pub(crate) fn new(came: Instant, line: &'a Arc<Line>, seat: &'a Seat) -> Self {
        Self {
            came,
            line,
            seat,
            computing: None,
        }
    }

    /// Polls `call`, in which a guest runs. When the guest gives way, it is polled again after what
    /// else there was to do.
    ///
    /// `is_over` says whether the guest has had its time: then it is stopped, with a trap that says where it was.
    pub(crate) fn poll<F: Future>(
        &mut self,
        call: Pin<&mut F>,
        cx: &mut Context<'_>,
        is_over: impl FnOnce() -> bool,
    ) -> Poll<F::Output> {
        let polled = match &mut self.computing {
            None => call.poll(cx),
            Some(computing) => {
                if let Some(away) = &mut computing.away {
                    ready!(away.as_mut().poll(cx));
                    computing.away = None;
                }
                let is_over = is_over() || self.seat.is_over.load(Ordering::Relaxed);
                if let Some(place) = computing.place.as_ref().filter(|_| !is_over) {
                    ready!(place.poll(cx));
                }
                let more = computing.more();
                let waker = computing.quiet.waker(cx.waker());
                let outer = (OVER.replace(is_over), MORE.replace(more));
                let polled = call.poll(&mut Context::from_waker(waker));
                OVER.set(outer.0);
                MORE.set(outer.1);
                polled
            }
        };
        if gives_way() && polled.is_pending() {
            let computing = self.computing.get_or_insert_default();
            computing.turns += 1;
            self.seat
                .computes
                .store(computing.gave_way, Ordering::Relaxed);
            computing.gave_way = true;
            clock::computing(computing.turns);
            let seat = self.seat.sit(self.line, self.came);
            Place::stand(&mut computing.place, seat, computing.turns);
            computing.left = Instant::now();
            // Woken when the thread has run what was ready, and has looked for what comes from outside.
            let mut away = Box::pin(tokio::task::yield_now());
            if away.as_mut().poll(cx).is_pending() {
                computing.away = Some(away);
            }
        } else {
            self.seat.leave();
            if let Some(computing) = &mut self.computing {
                computing.place = None;
                computing.gave_way = false;
            }
        }
        polled
    }
}

impl Default for Computing {
    fn default() -> Self {
        Self {
            turns: 0,
            gave_way: false,
            quiet: Quiet::new(Waker::noop().clone()),
            away: None,
            left: Instant::now(),
            place: None,
        }
    }
}

impl Computing {
    /// How many ticks its next turn has, beyond the one that ends it.
    fn more(&self) -> u64 {
        // Of those that do not take long there may be many, and all of them run.
        if self.place.is_none() {
            return 0;
        }
        let others = self.left.elapsed().as_nanos() / TURN.as_nanos();
        u64::try_from(others).unwrap_or(LONGEST).clamp(1, LONGEST) - 1
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_guest_computes_when_it_gives_way_again_without_having_waited() {
        let (line, seat) = (Line::of_component(), Seat::default());
        let mut turns = Turns::new(Instant::now(), &line, &seat);
        for (gives_way, computes) in [
            (true, false),
            (false, false),
            (true, false),
            (true, true),
            (true, true),
            (false, false),
            (true, false),
        ] {
            let ran = Cell::new(false);
            let mut guest = pin!(poll_fn(|_| {
                ran.set(true);
                if gives_way {
                    give_way();
                }
                Poll::<()>::Pending
            }));
            let mut cx = Context::from_waker(Waker::noop());
            // It may have to let others run before.
            while !ran.get() {
                let polled = turns.poll(guest.as_mut(), &mut cx, || false);
                assert!(polled.is_pending());
            }
            assert_eq!(seat.computes(), computes);
        }
    }

    #[test]
    fn a_limit_is_a_second_at_least_and_never_too_large() {
        // Turns are not taken in this process.
        assert_eq!(in_ticks(Duration::from_millis(1)), Duration::from_secs(1));
        assert_eq!(in_ticks(Duration::MAX), Duration::MAX);
        assert_eq!(in_time(Duration::from_secs(7)), Duration::from_secs(7));
        take_turns();
        assert_eq!(in_ticks(Duration::from_secs(5)), Duration::from_secs(5));
    }
}
