//! What the two sides of one local call share.
//!
//! ```text
//!             endpoint takes it            callee shuts its result root down
//!   queued ----------------------> taken -----------------------------------> complete
//! ```
//!
//! The caller reads this state when the result stream ends: only `complete` is a clean end.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::Arc;

use crate::backend::Backend;
use crate::error::{CallError, Target};
use crate::paths::Paths;

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;
const COMPLETE: u8 = 2;

pub(crate) struct Call<B: Backend> {
    pub(crate) target: Arc<Target>,
    backend: B,
    state: AtomicU8,
    params: Direction<B>,
    results: Direction<B>,
}

/// One direction of a call: its nested streams, and how many handles each side holds.
struct Direction<B: Backend> {
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
    pub(crate) fn new(target: Arc<Target>, backend: B) -> Arc<Self> {
        Arc::new(Self {
            target,
            backend,
            state: AtomicU8::new(QUEUED),
            params: Direction::new(),
            results: Direction::new(),
        })
    }

    /// The callee's side took the call out of its queue.
    pub(crate) fn taken(&self) {
        self.state.store(TAKEN, Ordering::Release);
    }

    /// The callee finished its results: what follows on the result root is a clean end of stream.
    pub(crate) fn complete(&self) {
        self.state.store(COMPLETE, Ordering::Release);
    }

    /// Why the result root ended: `Ok` when the callee finished.
    pub(crate) fn outcome(&self) -> std::io::Result<()> {
        match self.state.load(Ordering::Acquire) {
            COMPLETE => Ok(()),
            TAKEN => Err(CallError::callee_failed(&self.target)),
            _ => Err(CallError::not_accepted(&self.target)),
        }
    }

    /// Whether the caller dropped all its streams: no one waits for this call.
    pub(crate) fn caller_gone(&self) -> bool {
        self.params.writers.load(Ordering::Acquire) == 0
            && self.results.readers.load(Ordering::Acquire) == 0
    }

    fn direction(&self, way: Way) -> &Direction<B> {
        match way {
            Way::Params => &self.params,
            Way::Results => &self.results,
        }
    }
}

impl<B: Backend> Direction<B> {
    fn new() -> Self {
        Self {
            paths: Paths::new(),
            writers: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
        }
    }
}

/// A writing handle of one direction of a call. The nested streams learn when the last one is dropped.
pub(crate) struct WriterHandle<B: Backend> {
    pub(crate) call: Arc<Call<B>>,
    pub(crate) way: Way,
}

impl<B: Backend> WriterHandle<B> {
    pub(crate) fn new(call: Arc<Call<B>>, way: Way) -> Self {
        // As for the count of an `Arc`: a new handle comes from a place that holds one, or from the beginning.
        call.direction(way).writers.fetch_add(1, Ordering::Relaxed);
        Self { call, way }
    }

    pub(crate) fn index(&self, path: &[usize]) -> anyhow::Result<B::Writer> {
        let Call {
            ref target,
            ref backend,
            ..
        } = *self.call;
        self.call
            .direction(self.way)
            .paths
            .writer(path, backend)
            .map_err(|_| path_taken(target, path))
    }
}

impl<B: Backend> Clone for WriterHandle<B> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.call), self.way)
    }
}

impl<B: Backend> Drop for WriterHandle<B> {
    fn drop(&mut self) {
        let direction = self.call.direction(self.way);
        if direction.writers.fetch_sub(1, Ordering::AcqRel) == 1 {
            direction.paths.writers_gone();
        }
    }
}

/// A reading handle of one direction of a call. The nested streams learn when the last one is dropped.
pub(crate) struct ReaderHandle<B: Backend> {
    pub(crate) call: Arc<Call<B>>,
    pub(crate) way: Way,
}

impl<B: Backend> ReaderHandle<B> {
    pub(crate) fn new(call: Arc<Call<B>>, way: Way) -> Self {
        call.direction(way).readers.fetch_add(1, Ordering::Relaxed);
        Self { call, way }
    }

    pub(crate) fn index(&self, path: &[usize]) -> anyhow::Result<B::Reader> {
        let Call {
            ref target,
            ref backend,
            ..
        } = *self.call;
        self.call
            .direction(self.way)
            .paths
            .reader(path, backend)
            .map_err(|_| path_taken(target, path))
    }
}

impl<B: Backend> Clone for ReaderHandle<B> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.call), self.way)
    }
}

impl<B: Backend> Drop for ReaderHandle<B> {
    fn drop(&mut self) {
        let direction = self.call.direction(self.way);
        if direction.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            direction.paths.readers_gone();
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
