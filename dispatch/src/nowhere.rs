//! A remote transport that reaches no one.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::bail;
use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wrpc_transport::{Index, Invoke, Serve};

/// The remote transport of a [`Dispatcher`](crate::Dispatcher) whose calls all stay in this process: there is nothing
/// beyond it. `C` is the context of an invocation.
///
/// Serving a function over it never brings an invocation. Invoking one is an error; with
/// [`Mode::Require`](crate::Mode::Require) a dispatcher does not try.
pub struct Nowhere<C>(PhantomData<fn() -> C>);

impl<C> Nowhere<C> {
    /// A transport that reaches no one.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// A stream of [`Nowhere`]. There is no value of it.
#[derive(Clone, Copy, Debug)]
pub enum NoStream {}

impl<C: Send + Sync + 'static> Invoke for Nowhere<C> {
    type Context = C;
    type Outgoing = NoStream;
    type Incoming = NoStream;

    /// # Errors
    ///
    /// Always: an [`io::Error`] of kind `NotConnected`, as for a call to a function that no one serves.
    async fn invoke<P>(
        &self,
        _cx: Self::Context,
        instance: &str,
        func: &str,
        _params: Bytes,
        _paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        bail!(io::Error::new(
            io::ErrorKind::NotConnected,
            format!("no one outside of this process can be reached to call `{instance}.{func}`"),
        ))
    }
}

impl<C: Send + Sync + 'static> Serve for Nowhere<C> {
    type Context = C;
    type Outgoing = NoStream;
    type Incoming = NoStream;

    async fn serve(
        &self,
        _instance: &str,
        _func: &str,
        _paths: impl Into<Arc<[Box<[Option<usize>]>]>> + Send,
    ) -> anyhow::Result<
        impl Stream<Item = anyhow::Result<(Self::Context, Self::Outgoing, Self::Incoming)>>
            + Send
            + 'static,
    > {
        Ok(stream::pending())
    }
}

impl Index<Self> for NoStream {
    fn index(&self, _path: &[usize]) -> anyhow::Result<Self> {
        match *self {}
    }
}

impl AsyncWrite for NoStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncRead for NoStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl<C> Clone for Nowhere<C> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<C> Default for Nowhere<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Nowhere<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nowhere")
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn a_call_is_refused_as_one_that_no_one_serves() {
        let no_paths: [Box<[Option<usize>]>; 0] = [];
        let transport = Nowhere::<()>::new();
        let invoked = transport.invoke((), "demo:a/b", "ping", Bytes::new(), no_paths);
        let error = invoked.await.expect_err("there is no one");
        let cause = error.root_cause().downcast_ref::<io::Error>();
        assert_eq!(
            cause.map(io::Error::kind),
            Some(io::ErrorKind::NotConnected)
        );
        assert!(error.to_string().contains("`demo:a/b.ping`"), "{error}");
    }

    #[tokio::test]
    async fn what_is_served_is_never_called() {
        let transport = Nowhere::<()>::new();
        let served = transport.serve("demo:a/b", "ping", []).await;
        let mut served = Box::pin(served.expect("it can be served"));
        assert!(served.next().now_or_never().is_none());
    }
}
