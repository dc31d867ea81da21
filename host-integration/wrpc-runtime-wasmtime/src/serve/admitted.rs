//! Invocations that have come out of the stream of a served function and wait to begin.
//!
//! Whoever serves a component asks for an invocation, and then waits until an instance is free, with
//! the future that runs the invocation in hand. (Upstream: `instantiate_component`.) No one polls
//! that future meanwhile, nor drops it when another version serves. So the streams of an invocation
//! are not in it, but beside it: from there they can be put back.

use std::any::Any;
use std::collections::VecDeque;
use std::future::pending;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inhost_dispatch::{put_back, Caller, Drain, Route, Serving};

use crate::instance::export::Export;
use crate::instance::limit::Since;
use crate::turns::Seat;

/// For how many invocations memory is kept when none waits.
const KEPT: usize = 64;

/// Those of one function.
pub(super) struct Admissions<O: Any, I: Any>(Mutex<State<O, I>>);

struct State<O, I> {
    /// Those that wait, in the order in which they came. Where one has begun there is none.
    waiting: VecDeque<Option<Streams<O, I>>>,
    /// The number of the first of them.
    first: u64,
    /// Whether the generation that takes them has ended.
    over: bool,
}

/// The streams of the results and of the parameters, and the caller if it is on this host.
type Streams<O, I> = (O, I, Option<Caller>);

impl<O: Any + Send, I: Any + Send> Admissions<O, I> {
    /// All that wait are put back when the generation ends that takes them, `serving`.
    pub(super) fn of(serving: Option<&Serving>) -> Arc<Self> {
        let admissions = Arc::new(Self(Mutex::new(State {
            waiting: VecDeque::new(),
            first: 0,
            over: false,
        })));
        if let Some(serving) = serving {
            let ended = Arc::downgrade(&admissions);
            serving.when_ended(move || {
                if let Some(admissions) = ended.upgrade() {
                    admissions.end();
                }
            });
        }
        admissions
    }

    /// Takes an invocation that whatever lies below has let in.
    pub(super) fn admit(self: &Arc<Self>, results: O, params: I) -> Admitted<O, I> {
        let caller = Caller::of(&results);
        caller.iter().for_each(Caller::admitted);
        let mut state = self.state();
        let number = state.first + state.waiting.len() as u64;
        if state.over {
            drop(state);
            put_back(results, params);
        } else {
            state.waiting.push_back(Some((results, params, caller)));
        }
        Admitted {
            admissions: Some(Arc::clone(self)),
            number,
            since: Since::now(),
        }
    }

    fn end(&self) {
        let waiting = {
            let mut state = self.state();
            state.over = true;
            state.first += state.waiting.len() as u64;
            mem::take(&mut state.waiting)
        };
        // Each comes before all others, and the first is to be the first again.
        for (results, params, _) in waiting.into_iter().rev().flatten() {
            put_back(results, params);
        }
    }

    fn take(&self, number: u64) -> Option<Streams<O, I>> {
        let mut guard = self.state();
        let state = &mut *guard;
        let at = usize::try_from(number.checked_sub(state.first)?).ok()?;
        let taken = state.waiting.get_mut(at)?.take();
        while let Some(None) = state.waiting.front() {
            state.waiting.pop_front();
            state.first += 1;
        }
        let is_spare = state.waiting.is_empty() && state.waiting.capacity() > KEPT;
        let spare = is_spare.then(|| mem::take(&mut state.waiting));
        drop(guard);
        drop(spare);
        taken
    }

    fn state(&self) -> MutexGuard<'_, State<O, I>> {
        // No code of others runs under the lock, so a panic cannot have left the state half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is to run an invocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Whoever has it. There may be nothing to run any more.
    Ours,
    /// Another generation of the component, if there is one.
    Others,
}

/// One of them.
///
/// When it is dropped, because the component is scaled, updated or stopped while it waits for its
/// turn, for an instance or in the line of its component, it goes back to where it came from, as it
/// does when its generation ends. The next version of the component runs it, and where there is
/// none, its caller learns that it did not run.
pub(super) struct Admitted<O: Any + Send, I: Any + Send> {
    /// `None` once it has begun.
    admissions: Option<Arc<Admissions<O, I>>>,
    number: u64,
    since: Since,
}

impl<O: Any + Send, I: Any + Send> Admitted<O, I> {
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
        let caller = self.caller();
        let gone = async {
            match &caller {
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

    fn caller(&self) -> Option<Caller> {
        let state = self.admissions.as_ref()?.state();
        let at = usize::try_from(self.number.checked_sub(state.first)?).ok()?;
        let (_, _, caller) = state.waiting.get(at)?.as_ref()?;
        caller.clone()
    }

    /// The streams of the results and of the parameters, and the caller if it is on this host.
    /// `None` when it was put back.
    pub(super) fn begin(mut self) -> Option<Streams<O, I>> {
        self.admissions.take()?.take(self.number)
    }
}

impl<O: Any + Send, I: Any + Send> Drop for Admitted<O, I> {
    fn drop(&mut self) {
        let admissions = self.admissions.take();
        let waits = admissions.and_then(|it| it.take(self.number));
        if let Some((results, params, _)) = waits {
            put_back(results, params);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// Those that have gone, in their order.
    type Gone = Arc<Mutex<Vec<usize>>>;

    /// A stream of an invocation.
    struct Stream(usize, Gone);

    impl Drop for Stream {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Admit,
        Begin(Index),
        Drop(Index),
        End,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Admit),
            3 => any::<Index>().prop_map(Step::Begin),
            2 => any::<Index>().prop_map(Step::Drop),
            1 => Just(Step::End),
        ]
    }

    proptest! {
        #[test]
        fn each_begins_or_is_let_go_of_once(steps in vec(step(), 0..80)) {
            let gone = Gone::default();
            let admissions = Admissions::of(None);
            let mut waiting = Vec::new();
            let (mut count, mut over) = (0, false);
            for step in steps {
                let before = gone.lock().unwrap().len();
                let mut expected = Vec::new();
                match step {
                    Step::Admit => {
                        let stream = Stream(count, Arc::clone(&gone));
                        waiting.push((count, admissions.admit(stream, ())));
                        expected.extend(over.then_some(count));
                        count += 1;
                    }
                    Step::Begin(at) if !waiting.is_empty() => {
                        let (number, admitted) = waiting.remove(at.index(waiting.len()));
                        let begun = admitted.begin().map(|(stream, ..)| stream.0);
                        expected.extend((!over).then_some(number));
                        prop_assert_eq!(begun, expected.first().copied());
                    }
                    Step::Drop(at) if !waiting.is_empty() => {
                        let (number, admitted) = waiting.remove(at.index(waiting.len()));
                        drop(admitted);
                        expected.extend((!over).then_some(number));
                    }
                    Step::Begin(_) | Step::Drop(_) => {}
                    Step::End => {
                        admissions.end();
                        let waits = waiting.iter().rev().map(|(number, _)| *number);
                        expected.extend(waits.filter(|_| !over));
                        over = true;
                    }
                }
                prop_assert_eq!(&gone.lock().unwrap()[before..], &expected);
            }
            drop(waiting);
            let mut gone = gone.lock().unwrap().clone();
            gone.sort_unstable();
            prop_assert_eq!(gone, Vec::from_iter(0..count));
        }
    }
}
