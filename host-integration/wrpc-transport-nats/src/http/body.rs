//! The body and the trailers of an HTTP message, at whoever reads them.
//!
//! Each comes on a path of its own, and the host library reads both with a decoder that has no word
//! for a sender that goes in the middle: the body is over wherever it stops, and trailers that do
//! not come are waited for. So a guest would read a body that was cut off as a whole one, where the
//! trailers are there, or wait ten minutes for those, with its instance. There is one thing that
//! the library takes for an error at that place, and its guest gets as one: trailers that are none.
//! So those are what comes:
//!
//! ```text
//!            its end is read                        they are here, all of them
//!   body: open --------------> ended --------------------------------------------> trailers as they came
//!           |                    '------- they do not come --.
//!           |  it breaks off                                 |
//!           '--------------> cut ----------------------------'-------------------> trailers that are none,
//!                                                                                  and then the body stops
//! ```
//!
//! What a body that is there from the beginning has for trailers is looked at in the same way.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{ready, Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::oneshot;
use tracing::{debug, warn};
use wrpc_transport::Index;

use super::encoding::{Chunks, Fields, Malformed};
use crate::client::Reader;

/// Where the message is in the parameters of a server, and in the results of a client.
const MESSAGE: [usize; 1] = [0];

/// Where its body is in a message, and where its trailers.
const BODY: [usize; 1] = [0];
const TRAILERS: [usize; 1] = [1];

/// One trailer, without a name and a value.
const NO_TRAILERS: &[u8] = &[1, 1, 0, 0];

/// How many bytes of trailers wait for the end of the body. More are none.
const MOST_TRAILERS: usize = 1 << 20;

/// How many bytes of trailers are read at once.
const PIECE: usize = 512;

/// The streams of a call whose parameters, or results, are one HTTP message, at who reads it: a
/// body that breaks off is an error to the guest.
///
/// It knows the streams in the order in which the decoder of the host library asks for them: the
/// message, and then both in it.
pub(super) fn guard(stream: Reader) -> Reader {
    let route = stream.route();
    Reader::adapted(Root(stream), route)
}

/// What has become of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
}

struct Root(Reader);

impl Index<Reader> for Root {
    fn index(&self, path: &[usize]) -> anyhow::Result<Reader> {
        let stream = self.0.index(path)?;
        if path != MESSAGE {
            return Ok(stream);
        }
        let (route, message) = (stream.route(), Message::new(stream));
        Ok(Reader::adapted(message, route))
    }
}

struct Message {
    stream: Reader,
    /// What the reader of the body has, and what that of the trailers has, until there are such
    /// readers. Without one for the body, it is there already; without one for the trailers, those
    /// are.
    body: Mutex<Option<BodyEnd>>,
    trailers: Mutex<Option<TrailersEnd>>,
}

struct BodyEnd {
    /// Tells what becomes of it. Dropped when nothing does, and nobody wants to know.
    ending: Option<oneshot::Sender<Ending>>,
    /// Resolves when there is nothing more to be said at the trailers.
    trailers: oneshot::Receiver<()>,
}

struct TrailersEnd {
    ending: oneshot::Receiver<Ending>,
    /// Dropped when the trailers were given.
    given: Option<oneshot::Sender<()>>,
}

impl Message {
    fn new(stream: Reader) -> Self {
        let (tell, ending) = oneshot::channel();
        let (given, trailers) = oneshot::channel();
        let body = BodyEnd {
            ending: Some(tell),
            trailers,
        };
        let trailers = TrailersEnd {
            ending,
            given: Some(given),
        };
        Self {
            stream,
            body: Mutex::new(Some(body)),
            trailers: Mutex::new(Some(trailers)),
        }
    }
}

fn take<T>(end: &Mutex<Option<T>>) -> Option<T> {
    end.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Index<Reader> for Message {
    fn index(&self, path: &[usize]) -> anyhow::Result<Reader> {
        let stream = self.stream.index(path)?;
        let route = stream.route();
        if path == BODY {
            if let Some(end) = take(&self.body) {
                return Ok(Reader::adapted(Body::new(stream, end), route));
            }
        } else if path == TRAILERS {
            if let Some(end) = take(&self.trailers) {
                return Ok(Reader::adapted(Trailers::new(stream, end), route));
            }
        }
        Ok(stream)
    }
}

struct Body {
    stream: Reader,
    chunks: Chunks,
    end: BodyEnd,
    state: BodyState,
}

enum BodyState {
    Open,
    /// It stops once that was said at the trailers, with this error if it has one.
    Cut(Option<io::Error>),
    Over,
}

impl Body {
    fn new(stream: Reader, end: BodyEnd) -> Self {
        Self {
            stream,
            chunks: Chunks::default(),
            end,
            state: BodyState::Open,
        }
    }

    fn tell(&mut self, ending: Ending) {
        if let Some(tell) = self.end.ending.take() {
            // That no one waits for it is fine.
            let _ = tell.send(ending);
        }
    }

    /// Reads more of an open body.
    ///
    /// # Errors
    ///
    /// Why there is no more, if that is more than that the sender has gone.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Option<io::Error>>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let more = &buf.filled()[before..];
        if more.is_empty() {
            return Poll::Ready(Err(None));
        }
        match self.chunks.read(more) {
            Ok(false) => {}
            Ok(true) => {
                self.state = BodyState::Over;
                self.tell(Ending::Whole);
            }
            Err(malformed) => {
                buf.set_filled(before);
                return Poll::Ready(Err(Some(malformed.into())));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Body {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let BodyState::Open = this.state {
            let Err(error) = ready!(this.poll_open(cx, buf)) else {
                return Poll::Ready(Ok(()));
            };
            match &error {
                Some(error) => debug!("the body of an HTTP message breaks off: {error}"),
                None => debug!("the body of an HTTP message breaks off: its sender has gone"),
            }
            this.tell(Ending::Cut);
            this.state = BodyState::Cut(error);
        }
        let BodyState::Cut(error) = &mut this.state else {
            return Poll::Ready(Ok(()));
        };
        // That no one tells is the same.
        ready!(Pin::new(&mut this.end.trailers).poll(cx)).unwrap_or_default();
        let error = error.take();
        this.state = BodyState::Over;
        Poll::Ready(error.map_or(Ok(()), Err))
    }
}

impl Index<Reader> for Body {
    fn index(&self, path: &[usize]) -> anyhow::Result<Reader> {
        self.stream.index(path)
    }
}

struct Trailers {
    stream: Reader,
    end: TrailersEnd,
    /// What has become of the body, once that is known. One that no one reads, or that was there
    /// from the beginning, is whole.
    body: Option<Ending>,
    fields: Fields,
    /// What has come of them.
    held: BytesMut,
    state: TrailersState,
}

enum TrailersState {
    Come,
    /// All of them are here.
    Here,
    /// They will not come.
    Missing,
    Given(Bytes),
}

impl Trailers {
    fn new(stream: Reader, end: TrailersEnd) -> Self {
        Self {
            stream,
            end,
            body: None,
            fields: Fields::default(),
            held: BytesMut::new(),
            state: TrailersState::Come,
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Some(ending) = self.body {
            return Poll::Ready(ending);
        }
        let ending = ready!(Pin::new(&mut self.end.ending).poll(cx));
        Poll::Ready(*self.body.insert(ending.unwrap_or(Ending::Whole)))
    }

    /// Reads until they are here, or cannot be.
    fn poll_come(&mut self, cx: &mut Context<'_>) -> Poll<TrailersState> {
        loop {
            let mut piece = [0; PIECE];
            let mut buf = ReadBuf::new(&mut piece);
            if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)) {
                debug!("the trailers of an HTTP message do not come: {error}");
                return Poll::Ready(TrailersState::Missing);
            }
            let more = buf.filled();
            if more.is_empty() {
                debug!("the trailers of an HTTP message do not come: its sender has gone");
                return Poll::Ready(TrailersState::Missing);
            }
            self.held.extend_from_slice(more);
            match self.fields.read(more) {
                Ok(true) => return Poll::Ready(TrailersState::Here),
                Ok(false) if self.held.len() <= MOST_TRAILERS => {}
                Ok(false) => {
                    warn!("an HTTP message has more than {MOST_TRAILERS} bytes of trailers, and ends with an error");
                    return Poll::Ready(TrailersState::Missing);
                }
                Err(Malformed) => {
                    debug!("the trailers of an HTTP message are malformed");
                    return Poll::Ready(TrailersState::Missing);
                }
            }
        }
    }
}

impl AsyncRead for Trailers {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let body = match this.poll_body(cx) {
                Poll::Ready(ending) => Some(ending),
                Poll::Pending => None,
            };
            this.state = match (&mut this.state, body) {
                (TrailersState::Given(left), _) => {
                    let now = left.len().min(buf.remaining());
                    buf.put_slice(&left[..now]);
                    left.advance(now);
                    if left.is_empty() {
                        // Who reads them decodes them before anything else is done.
                        this.end.given = None;
                    }
                    return Poll::Ready(Ok(()));
                }
                (_, Some(Ending::Cut)) | (TrailersState::Missing, Some(_)) => {
                    this.held = BytesMut::new();
                    TrailersState::Given(Bytes::from_static(NO_TRAILERS))
                }
                (TrailersState::Here, Some(Ending::Whole)) => {
                    TrailersState::Given(this.held.split().freeze())
                }
                (TrailersState::Come, _) => ready!(this.poll_come(cx)),
                (TrailersState::Here | TrailersState::Missing, None) => return Poll::Pending,
            };
        }
    }
}

impl Index<Reader> for Trailers {
    fn index(&self, path: &[usize]) -> anyhow::Result<Reader> {
        self.stream.index(path)
    }
}

/// Reads of the root and of the message are what they are.
macro_rules! read_as_is {
    ($type:ty, $stream:tt) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.get_mut().$stream).poll_read(cx, buf)
            }
        }
    };
}

read_as_is!(Root, 0);
read_as_is!(Message, stream);
