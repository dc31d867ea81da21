//! The streams of a request that is answered here, as its caller knows them: those of an HTTP client.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use inhost_dispatch::{CallError, Route};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::{debug, warn};
use wrpc_transport::Index;

use crate::client::{ParamWriter, Reader};

/// The cases of `wasi:http/types.error-code` that a client says.
#[derive(Clone, Copy)]
enum ErrorCode {
    /// No one takes the request: nothing ran.
    ConnectionRefused = 6,
    /// There is no answer in time.
    ConnectionReadTimeout = 9,
    HttpRequestDenied = 15,
    /// More of the body waits to be read than may. A larger one that is read in time passes, so no size is said.
    HttpRequestBodySize = 17,
    /// The server has ended without an answer.
    HttpProtocolError = 35,
}

/// The streams of a call as those of a request, which fails when there is no answer within `first_byte`.
pub(super) fn adapt(
    (params, results): (ParamWriter, Reader),
    first_byte: Option<Duration>,
) -> (ParamWriter, Reader) {
    let exchange = Arc::new(Exchange::default());
    let too_much = Box::pin(exchange.too_much.clone().cancelled_owned());
    let results = Results {
        stream: Some(results),
        answer: Answer::Awaited {
            timer: first_byte.map(Timer::Set),
            too_much,
        },
        exchange: Arc::clone(&exchange),
    };
    let params = Params::new(To::Component(Box::new(params)), exchange);
    (
        ParamWriter::adapted(params),
        Reader::adapted(results, Route::Local),
    )
}

/// What the two sides of a request know of each other.
#[derive(Default)]
struct Exchange {
    /// What its sender hears, which is decided once: it is there by the first of the two.
    told: AtomicU8,
    /// Told when more of the request waits than may, and its sender is to hear that.
    too_much: CancellationToken,
    /// Told when its sender has heard that there is no answer, or does not want one any more.
    over: CancellationToken,
}

const NOTHING: u8 = 0;
const ANSWER: u8 = 1;
const TOO_MUCH: u8 = 2;

impl Exchange {
    /// Whether its sender hears this.
    fn tell(&self, what: u8) -> bool {
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let told = self.told.compare_exchange(NOTHING, what, success, failure);
        told.is_ok() || told == Err(what)
    }
}

/// The request. Of what becomes of it its sender hears in the answer first: a client sends, and a
/// server may not look. After an answer that is an error, nothing more is taken.
struct Params {
    to: To,
    exchange: Arc<Exchange>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Where it goes.
enum To {
    Component(Box<ParamWriter>),
    /// Its reader has gone, and that is no failure.
    NoOne,
    /// More of it waits than may.
    TooMuch,
}

impl Params {
    fn new(to: To, exchange: Arc<Exchange>) -> Self {
        let over = Box::pin(exchange.over.clone().cancelled_owned());
        Self { to, exchange, over }
    }

    /// What a stream has said of something that leaves `done` if no one reads.
    fn unless_unread<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: T,
        poll: impl FnOnce(Pin<&mut ParamWriter>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.exchange.over.is_cancelled() {
            return Poll::Ready(Err(over()));
        }
        let error = match &mut self.to {
            To::Component(stream) => match poll(Pin::new(&mut **stream), cx) {
                Poll::Ready(Ok(written)) => return Poll::Ready(Ok(written)),
                Poll::Ready(Err(error)) => Some(error),
                Poll::Pending => None,
            },
            To::NoOne => return Poll::Ready(Ok(done)),
            To::TooMuch => None,
        };
        match error {
            Some(error) if !is_too_much(&error) => {
                debug!("the rest of an HTTP request is not read: {error}");
                self.to = To::NoOne;
                return Poll::Ready(Ok(done));
            }
            Some(error) => {
                warn!("an HTTP request to a component of this host is ended: {error}");
                if !self.exchange.tell(TOO_MUCH) {
                    // An answer has begun. It breaks off with this.
                    return Poll::Ready(Err(error));
                }
                self.to = To::TooMuch;
                self.exchange.too_much.cancel();
            }
            None => {}
        }
        ready!(self.over.as_mut().poll(cx));
        Poll::Ready(Err(over()))
    }
}

fn is_too_much(error: &io::Error) -> bool {
    matches!(CallError::find(error), Some(CallError::NotRead { .. }))
}

fn over() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the HTTP request has failed, and the rest of it is not sent",
    )
}

impl AsyncWrite for Params {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .unless_unread(cx, buf.len(), |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .unless_unread(cx, (), |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .unless_unread(cx, (), |stream, cx| stream.poll_shutdown(cx))
    }
}

impl Index<ParamWriter> for Params {
    fn index(&self, path: &[usize]) -> anyhow::Result<ParamWriter> {
        let to = match &self.to {
            To::Component(stream) => To::Component(Box::new(stream.index(path)?)),
            To::NoOne | To::TooMuch => To::NoOne,
        };
        let exchange = Arc::clone(&self.exchange);
        Ok(ParamWriter::adapted(Self::new(to, exchange)))
    }
}

/// The answer to a request.
struct Results {
    /// `None` once the request was given up.
    stream: Option<Reader>,
    answer: Answer,
    exchange: Arc<Exchange>,
}

enum Answer {
    /// Nothing of it is there.
    Awaited {
        timer: Option<Timer>,
        too_much: Pin<Box<WaitForCancellationFutureOwned>>,
    },
    /// It comes from the component.
    Comes,
    /// What is left of an error, which is all of it.
    Failed(&'static [u8]),
}

enum Timer {
    /// It begins when someone has to wait.
    Set(Duration),
    Runs(Pin<Box<Sleep>>),
}

impl Results {
    /// The call ends for its caller, with `code`.
    fn fail(&mut self, code: ErrorCode) {
        // The result is an error, and the error is this case.
        self.answer = Answer::Failed(match code {
            ErrorCode::ConnectionRefused => &[1, ErrorCode::ConnectionRefused as u8],
            ErrorCode::ConnectionReadTimeout => &[1, ErrorCode::ConnectionReadTimeout as u8],
            ErrorCode::HttpRequestDenied => &[1, ErrorCode::HttpRequestDenied as u8],
            // This case may have a value, and has none.
            ErrorCode::HttpRequestBodySize => &[1, ErrorCode::HttpRequestBodySize as u8, 0],
            ErrorCode::HttpProtocolError => &[1, ErrorCode::HttpProtocolError as u8],
        });
        self.stream = None;
    }
}

/// What a client would say of a call that has failed before there was an answer.
fn code_of(stream: &Reader, error: &io::Error) -> ErrorCode {
    match CallError::find(error) {
        Some(CallError::NotAccepted { .. } | CallError::NoRoom { .. }) => {
            ErrorCode::ConnectionRefused
        }
        _ if stream.is_denied() => ErrorCode::HttpRequestDenied,
        _ => ErrorCode::HttpProtocolError,
    }
}

impl Timer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Set(within) = self {
            *self = Self::Runs(Box::pin(sleep(*within)));
        }
        match self {
            Self::Set(_) => Poll::Pending,
            Self::Runs(sleep) => sleep.as_mut().poll(cx),
        }
    }
}

impl AsyncRead for Results {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let (Answer::Awaited { timer, too_much }, Some(stream)) =
            (&mut this.answer, &mut this.stream)
        {
            let before = buf.filled().len();
            let polled = Pin::new(&mut *stream).poll_read(cx, buf);
            let code = match polled {
                Poll::Ready(Ok(())) if buf.filled().len() > before => {
                    if this.exchange.tell(ANSWER) {
                        this.answer = Answer::Comes;
                        return Poll::Ready(Ok(()));
                    }
                    buf.set_filled(before);
                    ErrorCode::HttpRequestBodySize
                }
                Poll::Ready(Ok(())) if buf.remaining() == 0 => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => ErrorCode::HttpProtocolError,
                Poll::Ready(Err(error)) => {
                    debug!("an HTTP request that a component of this host was to answer has failed: {error}");
                    code_of(stream, &error)
                }
                Poll::Pending if too_much.as_mut().poll(cx).is_ready() => {
                    ErrorCode::HttpRequestBodySize
                }
                Poll::Pending => {
                    let Some(timer) = timer else {
                        return Poll::Pending;
                    };
                    ready!(timer.poll(cx));
                    ErrorCode::ConnectionReadTimeout
                }
            };
            this.fail(code);
        }
        match (&mut this.answer, &mut this.stream) {
            (Answer::Failed(left), _) => {
                let (now, later) = left.split_at(left.len().min(buf.remaining()));
                buf.put_slice(now);
                *left = later;
                if later.is_empty() {
                    this.exchange.over.cancel();
                }
                Poll::Ready(Ok(()))
            }
            (_, Some(stream)) => Pin::new(stream).poll_read(cx, buf),
            (_, None) => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        if !matches!(self.answer, Answer::Comes) {
            self.exchange.over.cancel();
        }
    }
}

impl Index<Reader> for Results {
    fn index(&self, path: &[usize]) -> anyhow::Result<Reader> {
        let Some(stream) = &self.stream else {
            anyhow::bail!("there is no answer to this HTTP request that could have a body");
        };
        stream.index(path)
    }
}
