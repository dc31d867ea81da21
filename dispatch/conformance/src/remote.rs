//! A remote transport that records what it is asked for.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{ready, Context, Poll};

use anyhow::{bail, Context as _};
use bytes::Bytes;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use wrpc_transport::{Index, Invoke, Serve};

/// Records invocations and delivers those that a case makes up. A clone is the same transport.
#[derive(Clone, Default)]
pub struct Remote(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    invoked: Vec<(String, Bytes)>,
    served: Option<mpsc::UnboundedSender<String>>,
    subscribed: usize,
    taken: usize,
    reachable: bool,
    broken: bool,
}

impl Remote {
    /// From here on invocations succeed. They fail as if no one served the function before.
    pub fn set_reachable(&self) {
        self.with(|state| state.reachable = true);
    }

    /// From here on no function can be served.
    pub fn set_broken(&self) {
        self.with(|state| state.broken = true);
    }

    /// Context and parameters of what was invoked, in order.
    pub fn invoked(&self) -> Vec<(String, Bytes)> {
        self.with(|state| state.invoked.clone())
    }

    /// How many functions were subscribed up to now.
    pub fn subscribed(&self) -> usize {
        self.with(|state| state.subscribed)
    }

    /// How many of the invocations that were delivered were taken.
    pub fn taken(&self) -> usize {
        self.with(|state| state.taken)
    }

    /// Whether the function that was served last is still subscribed.
    pub fn is_subscribed(&self) -> bool {
        self.with(|state| state.served.as_ref().is_some_and(|it| !it.is_closed()))
    }

    /// Delivers an invocation from elsewhere to the function that was served last.
    ///
    /// # Panics
    ///
    /// When no function is served.
    pub fn deliver(&self, context: &str) {
        self.with(|state| {
            let served = state.served.as_ref().expect("a function is served");
            served.send(context.into()).expect("it is still served");
        });
    }

    /// Ends the invocations of the function that was served last, as the end of a connection does.
    pub fn end(&self) {
        self.with(|state| state.served = None);
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Invoke for Remote {
    type Context = String;
    type Outgoing = Null;
    type Incoming = Null;

    async fn invoke<P>(
        &self,
        context: String,
        _instance: &str,
        _func: &str,
        params: Bytes,
        _paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Null, Null)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let reachable = self.with(|state| {
            state.invoked.push((context, params));
            state.reachable
        });
        if reachable {
            Ok((Null, Null))
        } else {
            Err(io::Error::from(io::ErrorKind::NotConnected)).context("no one serves this function")
        }
    }
}

impl Serve for Remote {
    type Context = String;
    type Outgoing = Null;
    type Incoming = Null;

    async fn serve(
        &self,
        _instance: &str,
        _func: &str,
        _paths: impl Into<Arc<[Box<[Option<usize>]>]>> + Send,
    ) -> anyhow::Result<impl Stream<Item = anyhow::Result<(String, Null, Null)>> + Send + 'static>
    {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        if self.with(|state| state.broken) {
            bail!("the remote transport cannot subscribe");
        }
        self.with(|state| {
            state.served = Some(sender);
            state.subscribed += 1;
        });
        let remote = self.clone();
        Ok(futures::stream::poll_fn(move |cx| {
            let context = ready!(receiver.poll_recv(cx));
            remote.with(|state| state.taken += usize::from(context.is_some()));
            Poll::Ready(context.map(|context| Ok((context, Null, Null))))
        }))
    }
}

/// A stream that swallows what is written and has nothing to read.
#[derive(Debug)]
pub struct Null;

impl Index<Self> for Null {
    fn index(&self, _path: &[usize]) -> anyhow::Result<Self> {
        Ok(Self)
    }
}

impl AsyncRead for Null {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Null {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
