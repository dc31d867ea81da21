use std::sync::{Arc, Mutex};
use std::task::Waker;

use inhost_registry::Function;

/// Notes whose turn it is, and that no rule of [`Function`] is broken.
pub(crate) struct Probe {
    state: Mutex<State>,
    _held: Option<Arc<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    ReadBy(u64),
    Paused,
    /// Nothing arrives from elsewhere any more.
    Released,
    Closed,
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::Closed),
            _held: None,
        }
    }

    pub(crate) fn holding(held: Arc<()>) -> Self {
        Self {
            _held: Some(held),
            ..Self::new()
        }
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock().expect("no test panics in it")
    }

    fn set(&self, state: State) -> State {
        std::mem::replace(
            &mut *self.state.lock().expect("no test panics in it"),
            state,
        )
    }
}

impl Function for Probe {
    fn pause(&self) -> Option<Waker> {
        assert!(matches!(self.set(State::Paused), State::ReadBy(_)));
        None
    }

    fn give(&self, reader: u64) -> Option<Waker> {
        let before = self.set(State::ReadBy(reader));
        assert!(!matches!(before, State::ReadBy(_)), "{before:?}");
        None
    }

    fn release(&self) {
        let mut state = self.state.lock().expect("no test panics in it");
        if *state == State::Paused {
            *state = State::Released;
        }
    }

    fn close(&self) -> impl Sized {
        // It may have come back and gone again since it was released.
        let before = self.set(State::Closed);
        assert!(!matches!(before, State::ReadBy(_)), "{before:?}");
    }
}
