//! What a call is in the model: for each stream two halves and the bytes between them.

use std::collections::VecDeque;
use std::io;

use super::{Place, PATHS};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Params,
    Results,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writing,
    Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

impl Side {
    /// What this side does on the streams of one direction.
    pub(super) fn role(self, way: Way) -> Role {
        match (self, way) {
            (Self::Caller, Way::Params) | (Self::Callee, Way::Results) => Role::Writing,
            _ => Role::Reading,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    NeverAsked,
    Held,
    ShutDown,
    Dropped,
}

/// How far a call has come. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Queued,
    Taken,
    Admitted,
    Running,
    Complete,
}

/// What a read or a write comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Waits,
    /// At most so many bytes. A write takes exactly as many, a read at least one if there are any.
    Bytes(usize),
    Fails(io::ErrorKind),
}

struct Stream {
    writer: Half,
    reader: Half,
    /// Read before what is held, and not counted by the limit.
    first: VecDeque<u8>,
    held: VecDeque<u8>,
}

pub(super) struct Call {
    room: usize,
    stage: Stage,
    params_finished: bool,
    results_wanted: bool,
    answer: Vec<u8>,
    streams: [[Stream; PATHS.len()]; 2],
}

impl Call {
    pub(super) fn new(room: usize, first: &[u8]) -> Self {
        let stream = |way, path| {
            let root = path == 0;
            let half = if root { Half::Held } else { Half::NeverAsked };
            let first = if root && way == Way::Params {
                first
            } else {
                &[]
            };
            Stream {
                writer: half,
                reader: half,
                first: first.iter().copied().collect(),
                held: VecDeque::new(),
            }
        };
        Self {
            room,
            stage: Stage::Queued,
            params_finished: false,
            results_wanted: false,
            answer: Vec::new(),
            streams: [Way::Params, Way::Results]
                .map(|way| std::array::from_fn(|path| stream(way, path))),
        }
    }

    fn stream(&self, Place(way, path): Place) -> &Stream {
        &self.streams[way as usize][path]
    }

    fn stream_mut(&mut self, Place(way, path): Place) -> &mut Stream {
        &mut self.streams[way as usize][path]
    }

    fn half(&self, place: Place, role: Role) -> Half {
        match role {
            Role::Writing => self.stream(place).writer,
            Role::Reading => self.stream(place).reader,
        }
    }

    fn half_mut(&mut self, place: Place, role: Role) -> &mut Half {
        match role {
            Role::Writing => &mut self.stream_mut(place).writer,
            Role::Reading => &mut self.stream_mut(place).reader,
        }
    }

    /// Whether a side has no stream of this direction any more.
    fn has_left(&self, way: Way, role: Role) -> bool {
        (0..PATHS.len()).all(|path| {
            let half = self.half(Place(way, path), role);
            matches!(half, Half::NeverAsked | Half::Dropped)
        })
    }

    /// Whether the other half of a stream is not there and will not be.
    fn is_over(&self, place: Place, role: Role) -> bool {
        match self.half(place, role) {
            Half::Held => false,
            Half::ShutDown | Half::Dropped => true,
            Half::NeverAsked => self.has_left(place.0, role),
        }
    }

    pub(super) fn caller_gone(&self) -> bool {
        let left =
            self.has_left(Way::Params, Role::Writing) && self.has_left(Way::Results, Role::Reading);
        let one_way = self.params_finished && !self.results_wanted;
        left && !one_way
    }

    /// Whether a callee that waits for its caller to go does not have to wait any more.
    pub(super) fn callee_learns_that_caller_has_gone(&self) -> bool {
        self.caller_gone() && self.stage != Stage::Complete
    }

    pub(super) fn write(&self, place: Place, len: usize) -> Outcome {
        let stream = self.stream(place);
        let free = self.room - stream.held.len();
        if len == 0 {
            Outcome::Bytes(0)
        } else if stream.writer == Half::ShutDown || self.is_over(place, Role::Reading) {
            Outcome::Fails(io::ErrorKind::BrokenPipe)
        } else if free == 0 {
            Outcome::Waits
        } else {
            Outcome::Bytes(free.min(len))
        }
    }

    pub(super) fn written(&mut self, place: Place, bytes: &[u8]) {
        self.stream_mut(place).held.extend(bytes);
    }

    /// Whether a read of at least one byte would wait. Changes nothing, as a read of [`Call::read`] does.
    pub(super) fn read_waits(&self, place: Place) -> bool {
        let stream = self.stream(place);
        stream.first.is_empty() && stream.held.is_empty() && !self.is_over(place, Role::Writing)
    }

    pub(super) fn read(&mut self, place: Place, len: usize) -> Outcome {
        if len == 0 {
            return Outcome::Bytes(0);
        }
        self.results_wanted |= place.0 == Way::Results;
        if self.read_waits(place) {
            return Outcome::Waits;
        }
        let stream = self.stream(place);
        if stream.first.is_empty()
            && stream.held.is_empty()
            && matches!(place, Place(Way::Results, 0))
        {
            match self.stage {
                Stage::Complete => {}
                // It did not run, and will not.
                Stage::Queued | Stage::Admitted => {
                    return Outcome::Fails(io::ErrorKind::NotConnected)
                }
                Stage::Taken | Stage::Running => {
                    return Outcome::Fails(io::ErrorKind::ConnectionAborted)
                }
            }
            self.stream_mut(place).first = std::mem::take(&mut self.answer).into();
        }
        let stream = self.stream(place);
        let ready = match stream.first.len() {
            0 => stream.held.len(),
            first => first,
        };
        Outcome::Bytes(ready.min(len))
    }

    /// The next `n` bytes for the reader.
    pub(super) fn take(&mut self, place: Place, n: usize) -> Vec<u8> {
        let stream = self.stream_mut(place);
        match stream.first.len() {
            0 => stream.held.drain(..n).collect(),
            _ => stream.first.drain(..n).collect(),
        }
    }

    pub(super) fn shut_down(&mut self, place: Place) {
        self.stream_mut(place).writer = Half::ShutDown;
        match place {
            Place(Way::Params, 0) => self.params_finished = true,
            Place(Way::Results, 0) => self.stage = Stage::Complete,
            _ => {}
        }
    }

    pub(super) fn dropped(&mut self, place: Place, role: Role) {
        *self.half_mut(place, role) = Half::Dropped;
    }

    /// A side asks for a path. Whether it gets it.
    pub(super) fn open(&mut self, place: Place, role: Role) -> bool {
        self.results_wanted |= place.0 == Way::Results && role == Role::Reading;
        let half = self.half_mut(place, role);
        let free = *half == Half::NeverAsked;
        if free {
            *half = Half::Held;
        }
        free
    }

    /// The callee asks for the call. Whether it gets it.
    pub(super) fn take_call(&mut self) -> bool {
        let taken = !self.caller_gone();
        if taken {
            self.stage = Stage::Taken;
        }
        taken
    }

    pub(super) fn say(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
    }

    /// The callee hands results over. Whether someone is there to take them.
    pub(super) fn answer(&mut self, answer: &[u8]) -> bool {
        let read = !self.has_left(Way::Results, Role::Reading);
        if read {
            self.answer = answer.to_vec();
        }
        read
    }
}
