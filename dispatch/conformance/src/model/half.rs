//! The halves of a call's streams that are held, and how they are polled.

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use inhost_dispatch::{Backend, CallError};
use tokio_test::task::{self, Spawn};

use super::PATHS;
use crate::support::{In, Out};

/// A half of a stream, with the task that polls it.
pub(super) struct Half<S> {
    pub(super) stream: S,
    task: Spawn<()>,
    waits: bool,
}

impl<S> Half<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            task: task::spawn(()),
            waits: false,
        }
    }

    /// Polls the stream for `len` bytes, and notes whether it waits. A poll for nothing does not wait, and does not end
    /// the wait of the one before.
    pub(super) fn poll<T>(
        &mut self,
        len: usize,
        poll: impl FnOnce(&mut Context<'_>, &mut S) -> Poll<T>,
    ) -> Poll<T> {
        if len == 0 {
            return task::spawn(()).enter(|cx, _| poll(cx, &mut self.stream));
        }
        let polled = self.task.enter(|cx, _| poll(cx, &mut self.stream));
        self.waits = polled.is_pending();
        polled
    }

    /// Its last write is given up, and it will not ask again.
    pub(super) fn stops_waiting(&mut self) {
        self.waits = false;
    }

    /// Whether it waits and was not told that it need not any more.
    pub(super) fn is_left_waiting(&self) -> bool {
        self.waits && !self.task.is_woken()
    }
}

/// The halves of one direction, by their place in [`PATHS`].
pub(super) struct Halves<B: Backend> {
    pub(super) writers: BTreeMap<usize, Half<Out<B>>>,
    pub(super) readers: BTreeMap<usize, Half<In<B>>>,
}

/// A handle that leads to a place, and the path from there: the longest way from the root, or the shortest.
pub(super) fn way_to(
    held: impl Iterator<Item = usize>,
    place: usize,
    root: bool,
) -> Option<(usize, &'static [usize])> {
    let leading = held
        .filter_map(|from| Some((from, PATHS[place].strip_prefix(PATHS[from])?)))
        .filter(|(_, path)| !path.is_empty());
    if root {
        leading.max_by_key(|(_, path)| path.len())
    } else {
        leading.min_by_key(|(_, path)| path.len())
    }
}

pub(super) fn check_open<S>(opened: anyhow::Result<S>, expected: bool) -> Option<S> {
    match opened {
        Ok(stream) => {
            assert!(expected, "the path was taken before");
            Some(stream)
        }
        Err(error) => {
            assert!(!expected, "{error:?}");
            let error = error.downcast_ref();
            assert!(
                matches!(error, Some(CallError::PathTaken { .. })),
                "{error:?}"
            );
            None
        }
    }
}
