//! An invocation that its host has taken and that waits to begin.

use std::any::Any;
use std::future::pending;
use std::time::Duration;

use inhost_dispatch::{put_back, Caller, Drain, Route, Serving};

use crate::instance::export::Export;
use crate::instance::limit::Since;
use crate::turns::Seat;

/// Whose turn it is to run an invocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Whoever has it. There may be nothing to run any more.
    Ours,
    /// Another generation of the component, if there is one.
    Others,
}

/// An invocation that has come out of the stream of a served function, and has not begun: whatever
/// lies below has let it in.
///
/// When it is dropped, because the component is scaled, updated or stopped while it waits for its
/// turn, for an instance or in the line of its component, it goes back to where it came from. The
/// next version of the component runs it, and where there is none, its caller learns that it did
/// not run.
pub(super) struct Admitted<O: Any, I: Any> {
    streams: Option<(O, I, Option<Caller>)>,
    since: Since,
}

impl<O: Any, I: Any> Admitted<O, I> {
    pub(super) fn new(results: O, params: I) -> Self {
        let caller = Caller::of(&results);
        caller.iter().for_each(Caller::admitted);
        Self {
            streams: Some((results, params, caller)),
            since: Since::now(),
        }
    }

    /// From when on its time counts.
    pub(super) fn since(&self) -> Since {
        self.since
    }

    /// Waits for `seat`, in the line of guests of its component that compute, for as long as its
    /// caller is there, its time, `limit`, is not over and the process goes on; and while the
    /// generation serves that has it, `serving`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line.
    pub(super) async fn turn(
        &self,
        seat: &Seat,
        limit: Option<Duration>,
        export: &Export,
        serving: Option<&Serving>,
    ) -> Turn {
        let caller = self.streams.as_ref().and_then(|(_, _, it)| it.as_ref());
        let gone = async {
            match caller {
                Some(caller) => caller.gone().await,
                None => pending().await,
            }
        };
        let ended = async {
            match serving {
                Some(serving) => serving.ended().await,
                None => pending().await,
            }
        };
        // What comes over the network is not counted as one that has begun.
        let process = Drain::of_process().run(Route::Local);
        tokio::select! {
            biased;
            () = ended => Turn::Others,
            () = seat.take(export.line(), self.since.came()) => Turn::Ours,
            () = gone => Turn::Ours,
            () = process.over() => Turn::Ours,
            () = self.since.until_over(limit) => Turn::Ours,
        }
    }

    /// The streams of the results and of the parameters, and the caller if it is on this host.
    pub(super) fn begin(mut self) -> (O, I, Option<Caller>) {
        self.streams.take().expect("it begins once")
    }
}

impl<O: Any, I: Any> Drop for Admitted<O, I> {
    fn drop(&mut self) {
        if let Some((results, params, _)) = self.streams.take() {
            put_back(results, params);
        }
    }
}
