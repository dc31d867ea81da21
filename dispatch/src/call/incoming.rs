use std::any::Any;
use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::consume_budget;
use tokio::time::Instant;
use wrpc_transport::Index;

use super::home::Home;
use super::paths::Side;
use super::patience::{Received, Streamed};
use super::{join, Call, Handle, Way};
use crate::backend::Backend;
use crate::observe::Traveller;
use crate::route::Route;

/// The stream a side of a call reads from: results at the caller, parameters at the callee.
///
/// # End of stream
///
/// It ends when the other side shut its stream down or dropped it, after all bytes written before. The root of a
/// local call's results ends only when the callee shut it down; otherwise reading it is an error, every time.
/// Dropping this stream loses the bytes that were not read.
///
/// # Errors
///
/// On the root of a local call's results, in an [`io::Error`]:
/// [`CallError::CalleeFailed`](crate::CallError::CalleeFailed) (kind `ConnectionAborted`) when the callee ended
/// without finishing, and [`CallError::NotAccepted`](crate::CallError::NotAccepted) (kind `NotConnected`) when it
/// went away before it took the call.
///
/// # Cancel safety
///
/// A read that is dropped before it is ready has taken no bytes.
pub struct Incoming<B: Backend, R>(Inner<B, R>);

/// Small, as of [`Outgoing`](crate::Outgoing).
enum Inner<B: Backend, R> {
    Local(LocalIncoming<B>),
    Remote(Box<Remote<B, R>>),
    Adapted(Box<dyn Adapter<B, R>>, Route),
}

/// What [`Incoming::adapted`] takes.
trait Adapter<B: Backend, R>: AsyncRead + Index<Incoming<B, R>> + Send + Sync + Unpin {}

impl<B, R, T> Adapter<B, R> for T
where
    B: Backend,
    T: AsyncRead + Index<Incoming<B, R>> + Send + Sync + Unpin,
{
}

/// The remote half of [`Incoming`].
struct Remote<B: Backend, R> {
    stream: R,
    /// Who reads, if this is the root of a callee's parameters.
    callee: Option<Callee<B>>,
    /// For how long a stream within those is waited for.
    streamed: Option<Streamed<B>>,
    received: Received,
    traveller: Traveller,
}

/// The callee of a call that came over the remote transport.
pub(crate) struct Callee<B: Backend> {
    pub(crate) home: Arc<dyn Home<B>>,
    /// What came with the call, for whoever takes it after it was put back. `None` if it cannot be.
    pub(crate) context: Option<Box<dyn Any + Send + Sync>>,
    /// When the call came.
    pub(crate) came: Instant,
}

/// The largest piece of what was written to a stream.
const PIECE: usize = 512;

/// The local half of [`Incoming`]: it knows nothing of the remote transport.
pub(crate) struct LocalIncoming<B: Backend> {
    /// What came with the invocation itself; read before the stream.
    first: Bytes,
    /// `None` at a root that nothing was written to, as far as is known here.
    stream: Option<Box<B::Reader>>,
    handle: Handle<B>,
    path: Box<[usize]>,
    received: Received,
}

impl<B: Backend, R> Incoming<B, R> {
    pub(crate) fn local(local: LocalIncoming<B>) -> Self {
        Self(Inner::Local(local))
    }

    /// A stream of the results of a call that went over the remote transport.
    pub(crate) fn remote(stream: R, traveller: Traveller) -> Self {
        Self::of_remote(stream, None, traveller)
    }

    /// The root of the parameters of a call that came over the remote transport.
    pub(crate) fn remote_params(stream: R, callee: Callee<B>, traveller: Traveller) -> Self {
        Self::of_remote(stream, Some(callee), traveller)
    }

    fn of_remote(stream: R, callee: Option<Callee<B>>, traveller: Traveller) -> Self {
        Self(Inner::Remote(Box::new(Remote {
            stream,
            callee,
            streamed: None,
            received: Received::default(),
            traveller,
        })))
    }

    /// What a side of a call reads, which went by `route`, with something between: `stream` reads
    /// from the streams of the call, and says what their reader is used to.
    ///
    /// It is for those that read bytes and ask for paths. A callee whose parameters are adapted
    /// cannot put the call back.
    pub fn adapted<T>(stream: T, route: Route) -> Self
    where
        T: AsyncRead + Index<Self> + Send + Sync + Unpin + 'static,
        B: 'static,
        R: 'static,
    {
        Self(Inner::Adapted(Box::new(stream), route))
    }

    /// Whether the callee's side took the call and dropped it without a look at its parameters, as
    /// it does when a policy denies the call. To be asked after reading results has failed; false
    /// of a call that did not stay on this host.
    pub fn is_denied(&self) -> bool {
        matches!(&self.0, Inner::Local(local) if local.handle.call.is_denied())
    }

    /// Where the call can be put back, if it came over the remote transport.
    pub(crate) fn remote_home(&self) -> Option<Arc<dyn Home<B>>> {
        let callee = self.callee().filter(|it| it.context.is_some());
        callee.map(|callee| Arc::clone(&callee.home))
    }

    /// What came with a call that can be put back.
    pub(crate) fn context<C: Any>(&self) -> Option<&C> {
        self.callee()?.context.as_ref()?.downcast_ref()
    }

    fn callee(&self) -> Option<&Callee<B>> {
        match &self.0 {
            Inner::Local(_) | Inner::Adapted(..) => None,
            Inner::Remote(remote) => remote.callee.as_ref(),
        }
    }

    /// The stream, if it is that of a local call.
    pub(crate) fn into_local(self) -> Option<LocalIncoming<B>> {
        match self.0 {
            Inner::Local(local) => Some(local),
            Inner::Remote(_) | Inner::Adapted(..) => None,
        }
    }

    /// The stream, if it is that of a local call.
    pub(crate) fn as_local(&mut self) -> Option<&mut LocalIncoming<B>> {
        match &mut self.0 {
            Inner::Local(local) => Some(local),
            Inner::Remote(_) | Inner::Adapted(..) => None,
        }
    }

    /// Which way this call goes: [`Route::Local`] or [`Route::Remote`].
    pub fn route(&self) -> Route {
        match self.0 {
            Inner::Local(_) => Route::Local,
            Inner::Remote(_) => Route::Remote,
            Inner::Adapted(_, route) => route,
        }
    }
}

impl<B: Backend, R: Index<R>> Index<Self> for Incoming<B, R> {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        Ok(Self(match &self.0 {
            Inner::Local(local) => {
                let path = join(local.handle.call.target(), &local.path, path)?;
                local.wanted();
                Inner::Local(LocalIncoming {
                    first: Bytes::new(),
                    stream: Some(Box::new(local.handle.reader(&path)?)),
                    handle: local.handle.clone(),
                    path,
                    received: Received::default(),
                })
            }
            Inner::Remote(remote) => {
                let of_call = || {
                    let callee = remote.callee.as_ref()?;
                    Streamed::new(Arc::clone(&callee.home), callee.came)
                };
                Inner::Remote(Box::new(Remote {
                    stream: remote.stream.index(path)?,
                    callee: None,
                    streamed: remote
                        .streamed
                        .as_ref()
                        .map(Streamed::another)
                        .or_else(of_call),
                    received: Received::default(),
                    traveller: remote.traveller.clone(),
                }))
            }
            Inner::Adapted(stream, _) => return stream.index(path),
        }))
    }
}

impl<B: Backend> LocalIncoming<B> {
    pub(crate) fn root(call: Arc<Call<B>>, way: Way, first: Bytes) -> Self {
        Self {
            first,
            stream: None,
            handle: Handle::new(call, way, Side::Reading),
            path: Box::default(),
            received: Received::default(),
        }
    }

    /// How much of what came with the invocation has not been read.
    pub(crate) fn first_len(&self) -> usize {
        self.first.len()
    }

    /// What came with the invocation and has not been read.
    pub(crate) fn into_first(mut self) -> Bytes {
        std::mem::take(&mut self.first)
    }

    fn is_result_root(&self) -> bool {
        self.handle.way == Way::Results && self.path.is_empty()
    }

    fn is_param_root(&self) -> bool {
        self.handle.way == Way::Params && self.path.is_empty()
    }

    /// Notes that the caller waits for results, or that the callee takes its parameters.
    fn wanted(&self) {
        match self.handle.way {
            Way::Params => self.handle.call.params_read(),
            Way::Results => self.handle.call.results_wanted(),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.wanted();
        if !self.first.is_empty() {
            // The stream takes of the task's budget by itself. What is here already would keep others from running.
            ready!(pin!(consume_budget()).poll(cx));
        } else {
            let before = buf.filled().len();
            ready!(self.poll_stream(cx, buf))?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            self.first = self.at_end()?;
        }
        let n = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..n]);
        self.first.advance(n);
        if self.first.is_empty() {
            // What is left of it would keep all of it in memory for as long as the call runs.
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what was written to the stream, which ends at once when that was nothing.
    fn poll_stream(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_read(cx, buf),
            None => match self.handle.root().poll_begun(cx) {
                Poll::Ready(Some(stream)) => {
                    let stream = self.stream.insert(Box::new(stream));
                    Pin::new(stream).poll_read(cx, buf)
                }
                Poll::Ready(None) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            },
        };
        match polled {
            Poll::Pending if self.is_param_root() => {
                let call = &self.handle.call;
                let patience = call.home().patience();
                self.received.poll(patience, call.target(), cx)
            }
            polled => polled,
        }
    }

    /// What comes after the last byte of the stream: nothing, except for what a callee handed over in one piece.
    fn at_end(&self) -> io::Result<Bytes> {
        if !self.is_result_root() {
            return Ok(Bytes::new());
        }
        let call = &self.handle.call;
        call.outcome().map(|()| call.take_answer())
    }
}

impl<B: Backend> Drop for LocalIncoming<B> {
    fn drop(&mut self) {
        if self.stream.is_none() {
            self.handle.root().unread();
        }
    }
}

/// A local stream, without the backend in its type.
pub(crate) trait LocalReader: Send {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;

    /// Waits for the end, and counts as no one who waits for anything.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn is_whole(&self, types: &(dyn Any + Send + Sync)) -> bool;

    /// The cause that the callee has given, if these are results.
    fn why_failed(&self) -> Option<io::Error>;

    /// Whether these are results, and whoever should have sent them was ended from outside.
    fn was_cut_off(&self) -> bool;
}

impl<B: Backend> LocalReader for LocalIncoming<B> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        self.wanted();
        if !self.first.is_empty() {
            return Poll::Ready(Ok(std::mem::take(&mut self.first)));
        }
        let mut buffer = [0; PIECE];
        let mut buf = ReadBuf::new(&mut buffer);
        ready!(self.poll_stream(cx, &mut buf))?;
        Poll::Ready(match buf.filled() {
            [] => self.at_end(),
            bytes => Ok(Bytes::copy_from_slice(bytes)),
        })
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.first = Bytes::new();
        loop {
            let mut buffer = [0; PIECE];
            let mut buf = ReadBuf::new(&mut buffer);
            ready!(self.poll_stream(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(self.at_end().map(drop));
            }
        }
    }

    fn is_whole(&self, types: &(dyn Any + Send + Sync)) -> bool {
        self.path.is_empty() && self.handle.call.is_whole(self.handle.way, types)
    }

    fn why_failed(&self) -> Option<io::Error> {
        match self.handle.way {
            Way::Params => None,
            Way::Results => self.handle.call.why_failed(),
        }
    }

    fn was_cut_off(&self) -> bool {
        self.handle.way == Way::Results && self.handle.call.was_cut_off()
    }
}

impl<B: Backend, R: AsyncRead + Unpin> AsyncRead for Incoming<B, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Local(local) if local.is_param_root() => {
                let before = buf.filled().len();
                ready!(local.poll_read(cx, buf))?;
                let call = &local.handle.call;
                let (patience, target) = (call.home().patience(), call.target());
                let more = buf.filled().len() - before;
                let counted = local.received.count(more, patience, target);
                unread_if_failed(counted, buf, before)
            }
            Inner::Local(local) => local.poll_read(cx, buf),
            Inner::Remote(remote) => {
                let Remote {
                    stream,
                    callee,
                    streamed,
                    received,
                    ..
                } = &mut **remote;
                let before = buf.filled().len();
                let polled = Pin::new(stream).poll_read(cx, buf);
                if let (Some(streamed), true) = (streamed, polled.is_pending()) {
                    return streamed.poll(cx);
                }
                let Some(home) = callee.as_ref().map(|it| &it.home) else {
                    return polled;
                };
                let (patience, target) = (home.patience(), home.target());
                match polled {
                    Poll::Pending => received.poll(patience, target, cx),
                    Poll::Ready(Ok(())) => {
                        let more = buf.filled().len() - before;
                        let counted = received.count(more, patience, target);
                        unread_if_failed(counted, buf, before)
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                }
            }
            Inner::Adapted(stream, _) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

/// What was read comes with an error otherwise.
fn unread_if_failed(
    counted: io::Result<()>,
    buf: &mut ReadBuf<'_>,
    before: usize,
) -> Poll<io::Result<()>> {
    if counted.is_err() {
        buf.set_filled(before);
    }
    Poll::Ready(counted)
}

impl<B: Backend, R> fmt::Debug for Incoming<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Incoming");
        debug.field("route", &self.route());
        if let Inner::Local(local) = &self.0 {
            debug
                .field("target", local.handle.call.target())
                .field("path", &local.path);
        }
        debug.finish_non_exhaustive()
    }
}
