//! The streams of a request that is answered here, as its caller knows them: those of an HTTP client.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use inhost_dispatch::CallError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::debug;
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
    /// The server has ended without an answer.
    HttpProtocolError = 35,
}

/// The streams of a call as those of a request, which fails when there is no answer within `first_byte`.
pub(super) fn adapt(
    (params, results): (ParamWriter, Reader),
    first_byte: Option<Duration>,
) -> (ParamWriter, Reader) {
    let given_up = CancellationToken::new();
    let params = Params {
        stream: Some(params),
        cancelled: Box::pin(given_up.clone().cancelled_owned()),
        given_up: given_up.clone(),
    };
    let results = Results {
        stream: Some(results),
        answer: Answer::Awaited(first_byte.map(Timer::Set)),
        given_up,
    };
    (ParamWriter::adapted(params), Reader::adapted(results))
}

/// The request. Of what becomes of it its sender hears in the answer only: a client sends, and a server may not look.
struct Params {
    /// `None` once no one reads it.
    stream: Option<ParamWriter>,
    /// Told when its sender was told that there is no answer.
    given_up: CancellationToken,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Params {
    /// What a stream has said of something that leaves `done` if no one reads.
    fn unless_unread<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: T,
        poll: impl FnOnce(Pin<&mut ParamWriter>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.given_up.is_cancelled() {
            self.stream = None;
        }
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(done));
        };
        match poll(Pin::new(stream), cx) {
            Poll::Ready(Ok(written)) => return Poll::Ready(Ok(written)),
            Poll::Ready(Err(error)) => debug!("the rest of an HTTP request is not read: {error}"),
            Poll::Pending => ready!(self.cancelled.as_mut().poll(cx)),
        }
        self.stream = None;
        Poll::Ready(Ok(done))
    }
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
        let stream = self.stream.as_ref().map(|it| it.index(path)).transpose()?;
        let given_up = self.given_up.clone();
        Ok(ParamWriter::adapted(Self {
            stream,
            cancelled: Box::pin(given_up.clone().cancelled_owned()),
            given_up,
        }))
    }
}

/// The answer to a request.
struct Results {
    /// `None` once the request was given up.
    stream: Option<Reader>,
    answer: Answer,
    given_up: CancellationToken,
}

enum Answer {
    /// Nothing of it is there.
    Awaited(Option<Timer>),
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
        // The result is an error, and the error is this case, without a value.
        self.answer = Answer::Failed(match code {
            ErrorCode::ConnectionRefused => &[1, ErrorCode::ConnectionRefused as u8],
            ErrorCode::ConnectionReadTimeout => &[1, ErrorCode::ConnectionReadTimeout as u8],
            ErrorCode::HttpRequestDenied => &[1, ErrorCode::HttpRequestDenied as u8],
            ErrorCode::HttpProtocolError => &[1, ErrorCode::HttpProtocolError as u8],
        });
        self.stream = None;
        self.given_up.cancel();
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
        if let (Answer::Awaited(timer), Some(stream)) = (&mut this.answer, &mut this.stream) {
            let before = buf.filled().len();
            let code = match Pin::new(&mut *stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() > before => {
                    this.answer = Answer::Comes;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) if buf.remaining() == 0 => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => ErrorCode::HttpProtocolError,
                Poll::Ready(Err(error)) => {
                    debug!("an HTTP request that a component of this host was to answer has failed: {error}");
                    code_of(stream, &error)
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
                Poll::Ready(Ok(()))
            }
            (_, Some(stream)) => Pin::new(stream).poll_read(cx, buf),
            (_, None) => Poll::Ready(Ok(())),
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
