//! What the two sides of one local call share.
//!
//! ```text
//!           endpoint takes it           callee lets it in             callee starts            results are shut down
//!   queued ------------------> taken ---------------------> admitted ---------------> running ----------------------> complete
//!                                                                                       |   callee has no room for it
//!                                                                                       '---------------------------> refused
//! ```
//!
//! The caller reads this state when the result stream ends. Only `complete` is a clean end. A call
//! that was `queued`, or `admitted` and not started, or `refused`, has not run. Of one that was
//! `taken`, nothing of the kind is known: a callee need not say more, and one that denies a call
//! says nothing either.

use std::any::Any;
use std::sync::{Arc, OnceLock, PoisonError};

use bytes::Bytes;

use crate::ambient::{self, Types};
use crate::backend::Backend;
use crate::drain::Drain;
use crate::observe::{FirstToLeave, Place, Reached, Record, Target};
use crate::queue::Room;
use crate::sync::{AtomicBool, AtomicU8, AtomicUsize, Mutex, Notify, Ordering};

mod error;
mod home;
mod incoming;
mod lazy;
#[cfg(all(test, inhost_loom))]
mod loom;
mod outgoing;
mod paths;
mod patience;
mod pile;

pub(crate) use error::in_one_line;
pub use error::CallError;
pub(crate) use home::Home;
pub use incoming::Incoming;
pub(crate) use incoming::{Callee, LocalIncoming, LocalReader};
use lazy::LazyStream;
pub(crate) use outgoing::LocalOutgoing;
pub use outgoing::Outgoing;
use paths::{Paths, Side, Taken};
pub(crate) use patience::Patience;

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;
const ADMITTED: u8 = 2;
const RUNNING: u8 = 3;
const REFUSED: u8 = 4;
const COMPLETE: u8 = 5;

pub(crate) struct Call<B: Backend> {
    home: Arc<dyn Home<B>>,
    /// What it takes up in the queue of its endpoint.
    pub(crate) room: Room,
    backend: B,
    state: AtomicU8,
    /// Whether it may go to another host that serves the component as well.
    served_elsewhere: bool,
    /// Whether the caller has shut its parameters down.
    params_finished: AtomicBool,
    /// Whether a nested stream of the parameters was dropped before its end.
    params_cut: AtomicBool,
    /// Whether the callee has read some of the parameters.
    params_read: AtomicBool,
    /// Whether the caller has asked for results.
    results_wanted: AtomicBool,
    /// How many handles the caller holds, both ways. A count of its own: of two handles that are dropped at the same
    /// time, exactly one is the last.
    callers_handles: AtomicUsize,
    /// Told when the caller drops its last handle.
    caller_left: Notify,
    /// What the results end with, handed over in one piece. Taken by the caller.
    answer: Mutex<Bytes>,
    /// The types that the caller takes the function to have, if it said so.
    caller_types: Option<Types>,
    /// Whether the answer is all results, and of those types.
    answer_is_whole: AtomicBool,
    /// Why the callee does not finish its results, if it said so.
    cause: OnceLock<Arc<str>>,
    /// Whether the callee was ended from outside.
    cut_off: AtomicBool,
    /// Whether the call goes elsewhere after all, and is none here.
    is_elsewhere: AtomicBool,
    params: Direction<B>,
    results: Direction<B>,
    /// For who observes calls. Taken out when the call has ended.
    record: Option<Arc<Record>>,
    /// Where it is on the list of those in flight.
    place: Option<Place>,
}

/// One direction of a call: its streams, and how many handles each side holds.
struct Direction<B: Backend> {
    root: LazyStream<B>,
    paths: Paths<B>,
    writers: AtomicUsize,
    readers: AtomicUsize,
}

/// Which way a stream of a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the caller to the callee.
    Params,
    /// From the callee to the caller.
    Results,
}

impl<B: Backend> Call<B> {
    /// A call that is queued next at `home`. What happens to it is noted in `record`, if there is
    /// one. `served_elsewhere` is whether it may go to another host as well.
    pub(crate) fn new(
        home: Arc<dyn Home<B>>,
        backend: B,
        record: Option<Arc<Record>>,
        served_elsewhere: bool,
    ) -> Arc<Self> {
        home.target().begins();
        let place = record
            .as_ref()
            .and_then(|record| record.list(home.target()));
        Arc::new(Self {
            home,
            room: Room::new(),
            backend,
            state: AtomicU8::new(QUEUED),
            served_elsewhere,
            params_finished: AtomicBool::new(false),
            params_cut: AtomicBool::new(false),
            params_read: AtomicBool::new(false),
            results_wanted: AtomicBool::new(false),
            callers_handles: AtomicUsize::new(0),
            caller_left: Notify::new(),
            answer: Mutex::new(Bytes::new()),
            caller_types: ambient::of_caller(),
            answer_is_whole: AtomicBool::new(false),
            cause: OnceLock::new(),
            cut_off: AtomicBool::new(false),
            is_elsewhere: AtomicBool::new(false),
            params: Direction::new(),
            results: Direction::new(),
            record,
            place,
        })
    }

    pub(crate) fn home(&self) -> &dyn Home<B> {
        &*self.home
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        self.home.target()
    }

    /// The types that the caller takes the function to have, if it said so.
    pub(crate) fn caller_types(&self) -> Option<&Types> {
        self.caller_types.as_ref()
    }

    /// Whether `types` are the types that the caller gave.
    fn has_types(&self, types: &(dyn Any + Send + Sync)) -> bool {
        let same = |caller: &Types| std::ptr::addr_eq(Arc::as_ptr(caller), types);
        self.caller_types.as_ref().is_some_and(same)
    }

    /// Whether what goes `way` in one piece is all that goes there, and of the types `types`: its sender said so.
    pub(crate) fn is_whole(&self, way: Way, types: &(dyn Any + Send + Sync)) -> bool {
        let said = match way {
            Way::Params => true,
            Way::Results => self.answer_is_whole.load(Ordering::Relaxed),
        };
        said && self.has_types(types)
    }

    /// The answer that is set next is all results, and of the types `types`.
    pub(crate) fn answer_is_whole(&self, types: &(dyn Any + Send + Sync)) {
        if self.has_types(types) {
            // Who takes the answer sees this: the answer is behind a lock.
            self.answer_is_whole.store(true, Ordering::Relaxed);
        }
    }

    /// The callee's side took the call out of its queue.
    pub(crate) fn taken(&self) {
        self.reach(TAKEN);
    }

    /// The callee has checked the call and will run it when its turn comes.
    pub(crate) fn admitted(&self) {
        self.reach(ADMITTED);
    }

    /// The callee runs: from here on, the call cannot be made again without running twice.
    pub(crate) fn started(&self) {
        self.reach(RUNNING);
    }

    /// The callee did not run after all, because of `cause`: the call can be made again.
    pub(crate) fn refused(&self, cause: Arc<str>) {
        self.set_cause(cause);
        self.reach(REFUSED);
        if self.is_left_alone() {
            self.target().counters.lost(1);
        }
    }

    /// The callee finished its results: what follows on the result root is a clean end of stream.
    pub(crate) fn complete(&self) {
        self.reach(COMPLETE);
    }

    /// It was not queued, and goes elsewhere.
    pub(crate) fn goes_elsewhere(&self) {
        self.is_elsewhere.store(true, Ordering::Relaxed);
        self.left(FirstToLeave::Elsewhere);
    }

    /// It is in the queue again. As far as its caller can know, it was taken.
    pub(crate) fn put_back(&self) {
        if let Some(record) = &self.record {
            record.put_back();
        }
    }

    /// Goes on to `state`, and never back: what a callee says too late must not turn a call that
    /// ran into one that did not.
    fn reach(&self, state: u8) {
        self.state.fetch_max(state, Ordering::AcqRel);
        if let Some(record) = &self.record {
            record.reached(reached(state));
        }
    }

    /// Notes who was the first to leave, for who observes calls.
    pub(crate) fn left(&self, who: FirstToLeave) {
        if let Some(record) = &self.record {
            record.left(who);
        }
    }

    /// Why the result root ended: `Ok` when the callee finished.
    pub(crate) fn outcome(&self) -> std::io::Result<()> {
        match self.state.load(Ordering::Acquire) {
            COMPLETE => Ok(()),
            QUEUED | ADMITTED => {
                self.left(FirstToLeave::Callee);
                Err(CallError::not_accepted(self.target()))
            }
            REFUSED => {
                self.left(FirstToLeave::Callee);
                let cause = self.cause.get().cloned().unwrap_or_default();
                Err(CallError::no_room(
                    self.target(),
                    cause,
                    self.served_elsewhere,
                ))
            }
            _ => {
                self.left(FirstToLeave::Callee);
                Err(CallError::callee_failed(self.target(), self.cause.get()))
            }
        }
    }

    /// Why the results will not be finished. The first cause counts.
    pub(crate) fn set_cause(&self, cause: Arc<str>) {
        let _ = self.cause.set(cause);
    }

    /// The callee is ended where it is, and reads no more of its parameters.
    pub(crate) fn cut_off(&self, cause: Arc<str>) {
        self.set_cause(cause);
        self.cut_off.store(true, Ordering::Release);
    }

    /// Why nobody reads the parameters any more: the callee may want no more of them, which is its
    /// own business, or may not have been given the time.
    pub(crate) fn why_unread(&self) -> std::io::Error {
        if self.was_cut_off() {
            return CallError::callee_failed(self.target(), self.cause.get());
        }
        CallError::reader_gone(self.target())
    }

    /// Whether the callee was ended from outside before it had all results.
    pub(crate) fn was_cut_off(&self) -> bool {
        // Of a process that ends its calls, no callee ends by itself: what it called may have been.
        let ended = self.cut_off.load(Ordering::Acquire) || Drain::of_process().is_over();
        ended && self.state.load(Ordering::Acquire) != COMPLETE
    }

    /// Why they will not be, if the callee has said so.
    pub(crate) fn why_failed(&self) -> Option<std::io::Error> {
        let cause = self.cause.get()?;
        Some(CallError::callee_failed(self.target(), Some(cause)))
    }

    /// Leaves the rest of the results for the caller. It looks for them at the end of the result root.
    ///
    /// # Errors
    ///
    /// [`CallError::ReaderGone`] when the caller reads no results any more.
    pub(crate) fn set_answer(&self, answer: Bytes) -> std::io::Result<()> {
        if self.results.readers.load(Ordering::Acquire) == 0 {
            return Err(CallError::reader_gone(self.target()));
        }
        if let Some(record) = &self.record {
            record.results(answer.len());
        }
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        Ok(())
    }

    /// What [`Call::set_answer`] has left; empty when that was nothing, or was taken before.
    pub(crate) fn take_answer(&self) -> Bytes {
        std::mem::take(&mut *self.answer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The caller has sent all its parameters.
    pub(crate) fn params_finished(&self) {
        self.params_finished.store(true, Ordering::Relaxed);
    }

    /// The callee reads parameters: it was not denied.
    pub(crate) fn params_read(&self) {
        // Looked at first: it is called on each read.
        if !self.params_read.load(Ordering::Relaxed) {
            self.params_read.store(true, Ordering::Relaxed);
        }
    }

    /// The caller has dropped a nested stream of its parameters before the end.
    pub(crate) fn params_cut(&self) {
        self.params_cut.store(true, Ordering::Relaxed);
    }

    /// Whether parameters are missing that the caller will not send any more. To be asked once it is gone.
    pub(crate) fn params_broke_off(&self) -> bool {
        !self.params_finished.load(Ordering::Relaxed) || self.params_cut.load(Ordering::Relaxed)
    }

    /// Whether the callee's side dropped it as it was.
    pub(crate) fn is_denied(&self) -> bool {
        self.state.load(Ordering::Acquire) == TAKEN && !self.params_read.load(Ordering::Relaxed)
    }

    /// The caller asked for results.
    pub(crate) fn results_wanted(&self) {
        // Looked at first: it is called on each read.
        if !self.results_wanted.load(Ordering::Relaxed) {
            self.results_wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the caller dropped all its streams: no one waits for this call.
    ///
    /// A caller of a function without results sends the parameters and leaves. It counts on the function to run.
    pub(crate) fn caller_gone(&self) -> bool {
        self.caller_has_no_streams() && !self.is_one_way()
    }

    /// Whether the caller has left and counts on the function to run: nobody is there who could be
    /// told that it did not.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.caller_has_no_streams() && self.is_one_way()
    }

    /// Whether the caller has sent all it has, and asked for nothing.
    fn is_one_way(&self) -> bool {
        self.params_finished.load(Ordering::Relaxed) && !self.results_wanted.load(Ordering::Relaxed)
    }

    /// Who sees that the caller has none left also sees what the caller noted before.
    fn caller_has_no_streams(&self) -> bool {
        self.callers_handles.load(Ordering::Acquire) == 0
    }

    /// Waits until [`Call::caller_gone`] is true before the results are complete. Never returns if
    /// that does not happen.
    pub(crate) async fn until_caller_gone(&self) {
        loop {
            // From here on a notification is not missed, though no one waits for it yet.
            let left = self.caller_left.notified();
            if self.caller_gone() && self.state.load(Ordering::Acquire) != COMPLETE {
                return;
            }
            left.await;
        }
    }

    fn direction(&self, way: Way) -> &Direction<B> {
        match way {
            Way::Params => &self.params,
            Way::Results => &self.results,
        }
    }
}

impl<B: Backend> Drop for Call<B> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.target().calls.remove(place);
        }
        // Who looks at the list takes no handle along: this is the last one.
        if let Some(record) = self.record.take().and_then(Arc::into_inner) {
            let reached = match reached(self.state.load(Ordering::Acquire)) {
                // Of a callee that says nothing. It is denied by who does not look at it.
                Reached::Taken if self.params_read.load(Ordering::Relaxed) => Reached::Running,
                reached => reached,
            };
            record.end(self.home.target(), reached);
        }
        if !self.is_elsewhere.load(Ordering::Relaxed) {
            let is_complete = self.state.load(Ordering::Acquire) == COMPLETE;
            Drain::of_process().ends(is_complete, !self.is_one_way());
        }
        // Last: who sees no call in flight finds all of them told.
        self.target().counters.end();
    }
}

fn reached(state: u8) -> Reached {
    match state {
        QUEUED => Reached::Queued,
        TAKEN => Reached::Taken,
        ADMITTED => Reached::Admitted,
        RUNNING => Reached::Running,
        REFUSED => Reached::Refused,
        _ => Reached::Complete,
    }
}

impl<B: Backend> Direction<B> {
    fn new() -> Self {
        Self {
            root: LazyStream::new(),
            paths: Paths::new(),
            writers: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
        }
    }

    fn handles(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Writing => &self.writers,
            Side::Reading => &self.readers,
        }
    }
}

/// A handle that a side of a call holds on one of its streams. When a side drops its last handle on a direction, the
/// nested streams of that direction learn that it is gone.
pub(crate) struct Handle<B: Backend> {
    pub(crate) call: Arc<Call<B>>,
    pub(crate) way: Way,
    side: Side,
}

impl<B: Backend> Handle<B> {
    pub(crate) fn new(call: Arc<Call<B>>, way: Way, side: Side) -> Self {
        // As for the count of an `Arc`: a new handle comes from a place that holds one, or from the beginning.
        call.direction(way)
            .handles(side)
            .fetch_add(1, Ordering::Relaxed);
        let handle = Self { call, way, side };
        if handle.is_the_callers() {
            handle.call.callers_handles.fetch_add(1, Ordering::Relaxed);
        }
        handle
    }

    fn is_the_callers(&self) -> bool {
        matches!(
            (self.way, self.side),
            (Way::Params, Side::Writing) | (Way::Results, Side::Reading)
        )
    }

    /// The call, if this is where its caller writes: to what may wait in a queue.
    pub(crate) fn queued(&self) -> Option<&Arc<Call<B>>> {
        let writes = (self.way, self.side) == (Way::Params, Side::Writing);
        writes.then_some(&self.call)
    }

    /// What the root of this direction is, as long as nothing was written to it.
    pub(crate) fn root(&self) -> &LazyStream<B> {
        &self.call.direction(self.way).root
    }

    /// The stream of the root, to write to.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when no one will read it.
    pub(crate) fn begin_root(&self) -> std::io::Result<B::Writer> {
        self.root().begin(&self.call.backend)
    }

    /// Notes how many bytes were written, for who observes calls.
    pub(crate) fn wrote(&self, bytes: usize) {
        if let Some(record) = &self.call.record {
            match self.way {
                Way::Params => record.params(bytes),
                Way::Results => record.results(bytes),
            }
        }
    }

    /// The other side does not read any more. At the callee this says nothing: a caller may read
    /// just a part of the results.
    pub(crate) fn other_side_left(&self) {
        if self.is_the_callers() {
            self.call.left(FirstToLeave::Callee);
        }
    }

    /// The half of the nested stream at `path` that writes.
    pub(crate) fn writer(&self, path: &[usize]) -> anyhow::Result<B::Writer> {
        let paths = &self.call.direction(self.way).paths;
        paths
            .writer(path, &self.call.backend)
            .map_err(|Taken| path_taken(self.call.target(), path))
    }

    /// The half of the nested stream at `path` that reads.
    pub(crate) fn reader(&self, path: &[usize]) -> anyhow::Result<B::Reader> {
        let paths = &self.call.direction(self.way).paths;
        paths
            .reader(path, &self.call.backend)
            .map_err(|Taken| path_taken(self.call.target(), path))
    }
}

impl<B: Backend> Clone for Handle<B> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.call), self.way, self.side)
    }
}

impl<B: Backend> Drop for Handle<B> {
    fn drop(&mut self) {
        let direction = self.call.direction(self.way);
        if direction.handles(self.side).fetch_sub(1, Ordering::AcqRel) == 1 {
            if (self.way, self.side) == (Way::Results, Side::Writing) {
                self.call.left(FirstToLeave::Callee);
            }
            direction.paths.gone(self.side);
        }
        if self.is_the_callers() && self.call.callers_handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            if !self.call.is_one_way() {
                self.call.left(FirstToLeave::Caller);
                self.call.home.give_up(&self.call.room);
            }
            self.call.caller_left.notify_waiters();
        }
    }
}

fn path_taken(target: &Target, path: &[usize]) -> anyhow::Error {
    CallError::PathTaken {
        target: target.to_string(),
        path: path.into(),
    }
    .into()
}

/// The path below `base` that `path` leads to.
///
/// # Errors
///
/// [`CallError::EmptyPath`] when `path` is empty.
pub(crate) fn join(
    target: &Target,
    base: &[usize],
    path: &[usize],
) -> anyhow::Result<Box<[usize]>> {
    if path.is_empty() {
        return Err(CallError::EmptyPath {
            target: target.to_string(),
        }
        .into());
    }
    Ok([base, path].concat().into_boxed_slice())
}
