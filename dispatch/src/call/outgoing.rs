use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use anyhow::bail;
use tokio::io::AsyncWrite;
use wrpc_transport::Index;

use super::error::CallError;
use super::paths::Side;
use super::pile::{Pile, LIMIT};
use super::{join, Call, Handle, Way};
use crate::backend::Backend;
use crate::drain::{Arrival, Drain};
use crate::observe::{Counters, Target, Traveller};
use crate::route::Route;

/// What a write takes at least in the queue that its call waits in, in bytes: a backend may have a message for each.
const A_WRITE: usize = 64;

/// The stream a side of a call writes to: parameters at the caller, results at the callee.
///
/// # End of stream
///
/// The reader sees end of stream after `shutdown`. Dropping a stream without `shutdown` ends it too, with one
/// difference: when it is the root of the callee's results, a local caller gets
/// [`CallError::CalleeFailed`]. Bytes that were written are read before either.
///
/// # Waiting
///
/// As long as the call waits in a queue, what is written to its parameters counts there, a write as 64 bytes at least,
/// and one for which there is no room waits until the call is taken. When the queue was full from the beginning, and
/// the mode is [`Mode::Require`](crate::Mode::Require), `flush` and `shutdown` of a parameter stream wait for room,
/// too. Of a function without results, both fail with [`CallError::NotAccepted`] when the function is not served any
/// more before the call was taken.
///
/// # Errors
///
/// [`CallError::ReaderGone`] in an [`io::Error`] of kind `BrokenPipe` when the other side dropped its stream, and
/// [`CallError::CalleeFailed`] when it was [ended from outside](crate::Caller::cut_off).
/// [`CallError::NotRead`], of kind `OutOfMemory`, at a path whose writer has added 240 MiB to a write that waits.
pub struct Outgoing<B: Backend, R>(Inner<B, R>);

/// Small, because the streams of a call pass through many hands on the way to who reads and writes them.
enum Inner<B: Backend, R> {
    Local(LocalOutgoing<B>),
    Remote(Box<Remote<R>>),
    Adapted(Box<dyn Adapter<B, R>>),
    /// Results that were sent when calls were ended already. Whoever runs the function would let go
    /// of the instance now, and begin with the next call.
    Over(Route),
}

/// What [`Outgoing::adapted`] takes.
trait Adapter<B: Backend, R>: AsyncWrite + Index<Outgoing<B, R>> + Send + Sync + Unpin {}

impl<B, R, T> Adapter<B, R> for T
where
    B: Backend,
    T: AsyncWrite + Index<Outgoing<B, R>> + Send + Sync + Unpin,
{
}

/// The remote half of [`Outgoing`].
struct Remote<R> {
    stream: R,
    target: Arc<Target>,
    traveller: Traveller,
    /// `None` at the root.
    pile: Option<Pile>,
    /// Of the root of the results of a call from elsewhere.
    arrival: Option<Arrival>,
}

/// The local half of [`Outgoing`]: it knows nothing of the remote transport.
pub(crate) struct LocalOutgoing<B: Backend> {
    /// `None` at a root that nothing was written to: it has no stream yet.
    stream: Option<Box<Stream<B::Writer>>>,
    handle: Handle<B>,
    path: Box<[usize]>,
    /// Whether it was shut down.
    ended: bool,
}

/// A stream, and what its writer has added to a write that waits.
struct Stream<W> {
    writer: W,
    pile: Pile,
}

impl<W> Stream<W> {
    fn new(writer: W) -> Box<Self> {
        let pile = Pile::default();
        Box::new(Self { writer, pile })
    }
}

impl<B: Backend, R> Outgoing<B, R> {
    pub(crate) fn local(local: LocalOutgoing<B>) -> Self {
        Self(Inner::Local(local))
    }

    /// The root of the parameters of a call of `target` over the remote transport.
    pub(crate) fn remote(stream: R, target: Arc<Target>, traveller: Traveller) -> Self {
        Self::of_remote(stream, target, traveller, None)
    }

    /// The root of the results of a call of `target` that came over the remote transport.
    pub(crate) fn remote_results(stream: R, target: Arc<Target>, traveller: Traveller) -> Self {
        let arrival = Arrival::new(Drain::of_process(), target.has_results());
        Self::of_remote(stream, target, traveller, Some(arrival))
    }

    fn of_remote(
        stream: R,
        target: Arc<Target>,
        traveller: Traveller,
        arrival: Option<Arrival>,
    ) -> Self {
        Self(Inner::Remote(Box::new(Remote {
            stream,
            target,
            traveller,
            pile: None,
            arrival,
        })))
    }

    /// Whether this is the root of the results.
    fn is_result_root(&self) -> bool {
        match &self.0 {
            Inner::Local(local) => local.handle.way == Way::Results && local.path.is_empty(),
            Inner::Remote(remote) => remote.arrival.is_some(),
            Inner::Adapted(_) | Inner::Over(_) => false,
        }
    }

    /// The stream of a call in memory whose caller takes it for one that went elsewhere: `stream`
    /// writes to the streams of the call, and says what the caller is used to.
    pub fn adapted<T>(stream: T) -> Self
    where
        T: AsyncWrite + Index<Self> + Send + Sync + Unpin + 'static,
        B: 'static,
        R: 'static,
    {
        Self(Inner::Adapted(Box::new(stream)))
    }

    /// The local call that this is a result stream of.
    pub(crate) fn call(&self) -> Option<Arc<Call<B>>> {
        match &self.0 {
            Inner::Local(local) if local.handle.way == Way::Results => {
                Some(Arc::clone(&local.handle.call))
            }
            _ => None,
        }
    }

    /// The stream, if it is that of a local call.
    pub(crate) fn into_local(self) -> Option<LocalOutgoing<B>> {
        match self.0 {
            Inner::Local(local) => Some(local),
            Inner::Remote(_) | Inner::Adapted(_) | Inner::Over(_) => None,
        }
    }

    /// Which way this call goes: [`Route::Local`] or [`Route::Remote`].
    pub fn route(&self) -> Route {
        match self.0 {
            Inner::Local(_) | Inner::Adapted(_) => Route::Local,
            Inner::Remote(_) => Route::Remote,
            Inner::Over(route) => route,
        }
    }
}

impl<B: Backend, R: Index<R>> Index<Self> for Outgoing<B, R> {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        Ok(Self(match &self.0 {
            Inner::Local(local) => {
                let path = join(local.handle.call.target(), &local.path, path)?;
                Inner::Local(LocalOutgoing {
                    stream: Some(Stream::new(local.handle.writer(&path)?)),
                    handle: local.handle.clone(),
                    path,
                    ended: false,
                })
            }
            Inner::Remote(remote) => Inner::Remote(Box::new(Remote {
                stream: remote.stream.index(path)?,
                target: Arc::clone(&remote.target),
                traveller: remote.traveller.clone(),
                pile: Some(Pile::default()),
                arrival: None,
            })),
            Inner::Adapted(stream) => return stream.index(path),
            Inner::Over(_) => bail!("this host stops, and the time for calls to end is over"),
        }))
    }
}

impl<B: Backend> LocalOutgoing<B> {
    pub(crate) fn root(call: Arc<Call<B>>, way: Way) -> Self {
        Self {
            stream: None,
            handle: Handle::new(call, way, Side::Writing),
            path: Box::default(),
            ended: false,
        }
    }

    pub(crate) fn call(&self) -> Arc<Call<B>> {
        Arc::clone(&self.handle.call)
    }

    /// Those of the function that is called.
    pub(crate) fn counters(&self) -> &Counters {
        &self.handle.call.target().counters
    }

    /// Notes that a root is about to end. Before the stream does: who sees the end looks there next.
    fn finishing(&self) {
        if self.path.is_empty() {
            match self.handle.way {
                Way::Params => self.handle.call.params_finished(),
                Way::Results => self.handle.call.complete(),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let polled = self.poll_write_within(cx, buf);
        match &mut self.stream {
            Some(stream) if !self.path.is_empty() => {
                if !stream.pile.is_too_high(buf.len(), &polled) {
                    return polled;
                }
                let call = &self.handle.call;
                let error = CallError::not_read(call.target(), LIMIT);
                if self.handle.way == Way::Results {
                    call.set_cause(error.to_string().into());
                }
                Poll::Ready(Err(error))
            }
            _ => polled,
        }
    }

    fn poll_write_within(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let queued = self.handle.queued();
        let Some(call) = queued.filter(|call| !call.room.has_left()) else {
            return self.poll_write_now(cx, buf);
        };
        // What waits in a queue counts there, whichever way it got into it.
        let home = call.home();
        let asked = buf.len().max(A_WRITE);
        let grown = ready!(home.poll_grow(&call.room, self.id(), asked, cx));
        let call = Arc::clone(call);
        let polled = self.poll_write_now(cx, &buf[..grown.min(buf.len())]);
        let takes = match polled {
            Poll::Ready(Ok(written)) => written.max(A_WRITE).min(grown),
            _ => 0,
        };
        if takes < grown {
            call.home().shrink(&call.room, grown - takes);
        }
        polled
    }

    fn poll_write_now(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            begins => begins.insert(Stream::new(self.handle.begin_root()?)),
        };
        Pin::new(&mut stream.writer).poll_write(cx, buf)
    }

    /// Whether the call is beyond the bounds of the queue that it is in.
    pub(crate) fn is_beyond(&self) -> bool {
        self.handle
            .queued()
            .is_some_and(|call| call.room.is_beyond())
    }

    /// Waits as long as the call is beyond the bounds of the queue that it is in.
    ///
    /// # Errors
    ///
    /// When the queue was closed meanwhile, if this is all that the caller sees of the call. Who
    /// waits for results learns of it there.
    fn poll_within(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(call) = self.handle.queued() else {
            return Poll::Ready(Ok(()));
        };
        if call.room.is_beyond() {
            ready!(call.home().poll_within(&call.room, self.id(), cx));
        }
        Poll::Ready(
            match call.room.is_left_behind() && !call.target().has_results() {
                true => Err(CallError::not_accepted(call.target())),
                false => Ok(()),
            },
        )
    }

    /// Tells the streams of a direction apart.
    fn id(&self) -> usize {
        self.path.as_ptr() as usize
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_within(cx))?;
        match &mut self.stream {
            Some(stream) => Pin::new(&mut stream.writer).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_within(cx))?;
        self.ended = true;
        self.finishing();
        match &mut self.stream {
            Some(stream) => Pin::new(&mut stream.writer).poll_shutdown(cx),
            None => {
                self.handle.root().end();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Says which call it is about. The backend knows only that its other half is gone.
    fn explain(&self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.handle.other_side_left();
            match self.handle.way {
                Way::Params => self.handle.call.why_unread(),
                Way::Results => CallError::reader_gone(self.handle.call.target()),
            }
        } else {
            error
        }
    }
}

impl<B: Backend> Drop for LocalOutgoing<B> {
    fn drop(&mut self) {
        if self.stream.is_none() {
            self.handle.root().end();
        } else if !self.ended && !self.path.is_empty() && self.handle.way == Way::Params {
            self.handle.call.params_cut();
        }
    }
}

impl<B: Backend, R: AsyncWrite + Unpin> AsyncWrite for Outgoing<B, R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Inner::Local(local) => local
                .poll_write(cx, buf)
                .map_ok(|written| {
                    local.handle.wrote(written);
                    written
                })
                .map_err(|error| local.explain(error)),
            Inner::Remote(remote) => {
                let polled = Pin::new(&mut remote.stream).poll_write(cx, buf);
                let pile = remote.pile.as_mut();
                match pile.is_some_and(|pile| pile.is_too_high(buf.len(), &polled)) {
                    true => Poll::Ready(Err(CallError::not_read(&remote.target, LIMIT))),
                    false => polled,
                }
            }
            Inner::Adapted(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Over(_) => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Local(local) => local.poll_flush(cx).map_err(|error| local.explain(error)),
            Inner::Remote(remote) => Pin::new(&mut remote.stream).poll_flush(cx),
            Inner::Adapted(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Over(_) => Poll::Pending,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut_down = match &mut this.0 {
            Inner::Local(local) => local
                .poll_shutdown(cx)
                .map_err(|error| local.explain(error)),
            Inner::Remote(remote) => {
                let shut_down = Pin::new(&mut remote.stream).poll_shutdown(cx);
                if remote.pile.is_none() && shut_down.is_ready() {
                    remote.traveller.sent();
                }
                if let (Some(arrival), Poll::Ready(Ok(()))) = (&mut remote.arrival, &shut_down) {
                    arrival.complete();
                }
                shut_down
            }
            Inner::Adapted(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Over(_) => Poll::Pending,
        };
        if shut_down.is_ready() && this.is_result_root() && Drain::of_process().is_over() {
            this.0 = Inner::Over(this.route());
            return Poll::Pending;
        }
        shut_down
    }
}

impl<B: Backend, R> fmt::Debug for Outgoing<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Outgoing");
        debug.field("route", &self.route());
        if let Inner::Local(local) = &self.0 {
            debug
                .field("target", local.handle.call.target())
                .field("path", &local.path);
        }
        debug.finish_non_exhaustive()
    }
}
