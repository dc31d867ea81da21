//! Does what a step says, on a call and in the model, and compares.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use futures::{FutureExt as _, Stream};
use inhost_dispatch::{Backend, CallError, Caller};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_test::task::{self, Spawn};
use wrpc_transport::Index as _;

use super::half::{check_open, way_to, Half, Halves};
use super::state::{Call, Outcome, Role, Side, Stage, Way};
use super::{Place, Step, PATHS};
use crate::support::{call_error, pattern, Host, Taken, FUNCTION, INSTANCE, PREFIX};

type ServedStream<B> = Pin<Box<dyn Stream<Item = Taken<B>> + Send>>;
type Gone = Pin<Box<dyn std::future::Future<Output = ()>>>;

pub(super) struct Run<B: Backend> {
    model: Call,
    /// `None` when the function is not served any more.
    served: Option<Spawn<ServedStream<B>>>,
    /// Once the call is taken.
    caller: Option<Caller>,
    failed: bool,
    /// Waits for the caller to go; `None` when it has learnt of it.
    gone: Option<Spawn<Gone>>,
    params: Halves<B>,
    results: Halves<B>,
    /// The next byte to write: no two neighbours are the same.
    next: u8,
}

impl<B: Backend> Run<B> {
    pub(super) fn new(backend: &B, room: usize, first: usize) -> Self {
        let host = Host::new(backend.clone());
        let served = host.serve().now_or_never().expect("nothing to wait for");
        let mut served = task::spawn(served);
        assert!(served.poll_next().is_pending());
        let first = pattern(first);
        let model = Call::new(room, &first);
        let call = host.invoke("", first).now_or_never();
        let (params, results) = call.expect("a local call does not wait").expect("invoke");
        assert!(served.is_woken(), "the callee waits for a call");
        Self {
            model,
            served: Some(served),
            caller: None,
            failed: false,
            gone: None,
            params: Halves {
                writers: [(0, Half::new(params))].into(),
                readers: BTreeMap::new(),
            },
            results: Halves {
                writers: BTreeMap::new(),
                readers: [(0, Half::new(results))].into(),
            },
            next: 0,
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Write(place, len) => self.write(place, len),
            Step::Flush(place) => self.flush(place),
            Step::Shutdown(place) => self.shutdown(place),
            Step::Read(place, len) => {
                self.read(place, len);
            }
            Step::Drop(place, role) => self.drop_half(place, role),
            Step::Open(place, Role::Writing, root) => self.open_writer(place, root),
            Step::Open(place, Role::Reading, root) => self.open_reader(place, root),
            Step::Take => self.take(),
            Step::StopServing => self.stop_serving(),
            Step::Leave(side) => self.leave(side),
            Step::Say(stage) => self.say(stage),
            Step::Answer(len) => self.answer(len),
            Step::Fail => self.fail(),
        }
        self.everyone_is_woken();
    }

    /// Reads what there is, ends the call from both sides, and reads to the end.
    pub(super) fn finish(mut self) {
        for side in [Side::Callee, Side::Caller] {
            self.read_everything();
            self.step(&Step::Leave(side));
        }
        // Nobody is left: each has seen its end, or did not ask.
        assert!(self.params.writers.is_empty() && self.params.readers.is_empty());
        assert!(self.results.writers.is_empty() && self.results.readers.is_empty());
    }

    fn read_everything(&mut self) {
        for way in [Way::Params, Way::Results] {
            for path in 0..PATHS.len() {
                while self.read(Place(way, path), 64) {}
                self.everyone_is_woken();
            }
        }
    }

    fn halves(&mut self, way: Way) -> &mut Halves<B> {
        match way {
            Way::Params => &mut self.params,
            Way::Results => &mut self.results,
        }
    }

    /// The step has no meaning when the half is not there. The same goes for all others.
    fn write(&mut self, place: Place, len: usize) {
        let next = self.next;
        let bytes: Vec<u8> = (0..len).map(|i| next.wrapping_add(i as u8)).collect();
        let expected = self.model.write(place, len);
        let Some(half) = self.halves(place.0).writers.get_mut(&place.1) else {
            return;
        };
        match half.poll(len, |cx, stream| Pin::new(stream).poll_write(cx, &bytes)) {
            Poll::Pending => assert_eq!(expected, Outcome::Waits),
            Poll::Ready(Ok(n)) => {
                assert_eq!(expected, Outcome::Bytes(n));
                self.model.written(place, &bytes[..n]);
                self.next = next.wrapping_add(n as u8);
            }
            Poll::Ready(Err(error)) => {
                assert_eq!(expected, Outcome::Fails(error.kind()));
                assert!(matches!(call_error(&error), CallError::ReaderGone { .. }));
            }
        }
    }

    fn flush(&mut self, place: Place) {
        if let Some(half) = self.halves(place.0).writers.get_mut(&place.1) {
            let polled = half.poll(0, |cx, stream| Pin::new(stream).poll_flush(cx));
            assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
        }
    }

    fn shutdown(&mut self, place: Place) {
        if let Some(half) = self.halves(place.0).writers.get_mut(&place.1) {
            let polled = half.poll(0, |cx, stream| Pin::new(stream).poll_shutdown(cx));
            assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?}");
            half.stops_waiting();
            self.model.shut_down(place);
        }
    }

    /// Whether there were bytes.
    fn read(&mut self, place: Place, len: usize) -> bool {
        let Some(half) = self.halves(place.0).readers.get_mut(&place.1) else {
            return false;
        };
        let mut bytes = vec![0; len];
        let mut buf = ReadBuf::new(&mut bytes);
        let polled = half.poll(len, |cx, stream| Pin::new(stream).poll_read(cx, &mut buf));
        match (polled, self.model.read(place, len)) {
            (Poll::Pending, Outcome::Waits) => false,
            (Poll::Ready(Ok(())), Outcome::Bytes(most)) => {
                let read = buf.filled();
                assert_eq!(read.is_empty(), most == 0);
                assert!(read.len() <= most, "{} of {most}", read.len());
                assert_eq!(read, self.model.take(place, read.len()));
                !read.is_empty()
            }
            (Poll::Ready(Err(error)), Outcome::Fails(kind)) => {
                assert_eq!(error.kind(), kind);
                self.check_end(&error);
                false
            }
            (polled, expected) => panic!("{polled:?} instead of {expected:?} at {place:?}"),
        }
    }

    fn check_end(&self, error: &io::Error) {
        let error_of_call = call_error(error);
        match error.kind() {
            io::ErrorKind::NotConnected => {
                assert!(matches!(error_of_call, CallError::NotAccepted { .. }));
            }
            _ => {
                assert!(matches!(error_of_call, CallError::CalleeFailed { .. }));
                assert!(error_of_call.source().is_none());
                assert_eq!(error.to_string().ends_with(": a cause"), self.failed);
            }
        }
        for name in [PREFIX, INSTANCE, FUNCTION] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    fn drop_half(&mut self, place: Place, role: Role) {
        let halves = self.halves(place.0);
        let dropped = match role {
            Role::Writing => halves.writers.remove(&place.1).is_some(),
            Role::Reading => halves.readers.remove(&place.1).is_some(),
        };
        if dropped {
            self.model.dropped(place, role);
        }
    }

    fn open_writer(&mut self, place: Place, root: bool) {
        let writers = &mut self.halves(place.0).writers;
        let Some((from, path)) = way_to(writers.keys().copied(), place.1, root) else {
            return;
        };
        let opened = writers[&from].stream.index(path);
        let expected = self.model.open(place, Role::Writing);
        if let Some(stream) = check_open(opened, expected) {
            self.halves(place.0)
                .writers
                .insert(place.1, Half::new(stream));
        }
    }

    fn open_reader(&mut self, place: Place, root: bool) {
        let readers = &mut self.halves(place.0).readers;
        let Some((from, path)) = way_to(readers.keys().copied(), place.1, root) else {
            return;
        };
        let opened = readers[&from].stream.index(path);
        let expected = self.model.open(place, Role::Reading);
        if let Some(stream) = check_open(opened, expected) {
            self.halves(place.0)
                .readers
                .insert(place.1, Half::new(stream));
        }
    }

    fn take(&mut self) {
        if self.caller.is_some() {
            return;
        }
        let Some(served) = &mut self.served else {
            return;
        };
        match served.poll_next() {
            Poll::Ready(taken) => {
                assert!(self.model.take_call(), "its caller has gone");
                let (_, outgoing, incoming) = taken.expect("it does not end");
                let caller = Caller::of(&outgoing).expect("a local call has a caller");
                self.caller = Some(caller.clone());
                let gone: Gone = Box::pin(async move { caller.gone().await });
                let mut gone = task::spawn(gone);
                assert!(gone.poll().is_pending(), "it has just been there");
                self.gone = Some(gone);
                self.results.writers.insert(0, Half::new(outgoing));
                self.params.readers.insert(0, Half::new(incoming));
            }
            // It was skipped, and is not there any more.
            Poll::Pending => {
                assert!(!self.model.take_call(), "its caller is there");
                self.stop_serving();
            }
        }
    }

    fn stop_serving(&mut self) {
        self.served = None;
        if self.caller.is_none() {
            self.model.dropped(Place(Way::Results, 0), Role::Writing);
            self.model.dropped(Place(Way::Params, 0), Role::Reading);
        }
    }

    fn leave(&mut self, side: Side) {
        for way in [Way::Params, Way::Results] {
            for path in 0..PATHS.len() {
                self.drop_half(Place(way, path), side.role(way));
            }
        }
        // A callee that goes before it took the call stops serving.
        if side == Side::Callee && self.caller.is_none() {
            self.stop_serving();
        }
    }

    fn say(&mut self, stage: Stage) {
        if let Some(caller) = &self.caller {
            match stage {
                Stage::Admitted => caller.admitted(),
                _ => caller.started(),
            }
            self.model.say(stage);
        }
    }

    fn answer(&mut self, len: usize) {
        if let Some(caller) = &self.caller {
            let answer = pattern(len);
            let read = self.model.answer(&answer);
            assert_eq!(caller.answer(answer.into()).is_ok(), read);
        }
    }

    fn fail(&mut self) {
        if let Some(caller) = &self.caller {
            caller.failed(&io::Error::other("a cause"));
            self.failed = true;
        }
    }

    /// Who waits for what has come about has been told.
    fn everyone_is_woken(&mut self) {
        for (way, halves) in [(Way::Params, &self.params), (Way::Results, &self.results)] {
            for (path, half) in &halves.writers {
                let waits = self.model.write(Place(way, *path), 1) == Outcome::Waits;
                assert!(
                    waits || !half.is_left_waiting(),
                    "the writer of {way:?} at {path} is left waiting"
                );
            }
            for (path, half) in &halves.readers {
                let waits = self.model.read_waits(Place(way, *path));
                assert!(
                    waits || !half.is_left_waiting(),
                    "the reader of {way:?} at {path} is left waiting"
                );
            }
        }
        let learns = self.model.callee_learns_that_caller_has_gone();
        if let Some(gone) = &mut self.gone {
            assert!(gone.is_woken() || !learns, "the callee is left waiting");
            assert_eq!(gone.poll().is_ready(), learns);
            if learns {
                self.gone = None;
            }
        }
    }
}
