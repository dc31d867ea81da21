//! Streams in memory, with a stream of its own for each path, and a transport over them.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, Context as _};
use bytes::{Buf as _, Bytes};
use tokio::io::{duplex, AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use wrpc_transport::{Index, Invoke};

/// How many bytes a stream holds before its writer waits.
const CAPACITY: usize = 1024;

/// The two ends of a path's stream. An end is there until it is opened.
struct Ends {
    w: Option<DuplexStream>,
    r: Option<DuplexStream>,
}

#[derive(Default)]
struct Paths(Mutex<HashMap<Vec<usize>, Ends>>);

impl Paths {
    fn open(
        &self,
        path: &[usize],
        end: fn(&mut Ends) -> Option<DuplexStream>,
    ) -> anyhow::Result<DuplexStream> {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = paths.entry(path.to_vec()).or_insert_with(|| {
            let (w, r) = duplex(CAPACITY);
            let (w, r) = (Some(w), Some(r));
            Ends { w, r }
        });
        end(ends).with_context(|| format!("path {path:?} was opened before"))
    }
}

/// The writing side of a call.
pub(super) struct Outgoing {
    path: Vec<usize>,
    paths: Arc<Paths>,
    stream: DuplexStream,
}

/// The reading side of a call.
pub(super) struct Incoming {
    path: Vec<usize>,
    paths: Arc<Paths>,
    stream: DuplexStream,
}

pub(super) fn channel() -> (Outgoing, Incoming) {
    let (w, r) = duplex(CAPACITY);
    let paths = Arc::new(Paths::default());
    let outgoing = Outgoing {
        path: Vec::new(),
        paths: Arc::clone(&paths),
        stream: w,
    };
    let incoming = Incoming {
        path: Vec::new(),
        paths,
        stream: r,
    };
    (outgoing, incoming)
}

impl Index<Self> for Outgoing {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        let path = [&self.path, path].concat();
        let stream = self.paths.open(&path, |ends| ends.w.take())?;
        let paths = Arc::clone(&self.paths);
        Ok(Self {
            path,
            paths,
            stream,
        })
    }
}

impl Index<Self> for Incoming {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        let path = [&self.path, path].concat();
        let stream = self.paths.open(&path, |ends| ends.r.take())?;
        let paths = Arc::clone(&self.paths);
        Ok(Self {
            path,
            paths,
            stream,
        })
    }
}

impl Incoming {
    /// All bytes of this stream, to its end.
    pub(super) async fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Bytes that arrive at most `max` at a time. It has no paths.
pub(super) struct Slice {
    bytes: Bytes,
    max: usize,
}

impl Slice {
    pub(super) fn new(bytes: &[u8], max: usize) -> Self {
        let bytes = Bytes::copy_from_slice(bytes);
        Self { bytes, max }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }
}

impl Index<Self> for Slice {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        bail!("nothing arrives at {path:?}")
    }
}

impl AsyncRead for Slice {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = buf.remaining().min(self.max).min(self.bytes.len());
        buf.put_slice(&self.bytes[..n]);
        self.bytes.advance(n);
        Poll::Ready(Ok(()))
    }
}

/// A writer that fails, as when the peer is gone.
pub(super) struct Broken;

impl Index<Self> for Broken {
    fn index(&self, _: &[usize]) -> anyhow::Result<Self> {
        Ok(Self)
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

/// What a peer got.
pub(super) struct Invocation {
    pub(super) instance: String,
    pub(super) func: String,
    pub(super) params: Bytes,
    pub(super) rx: Incoming,
    pub(super) tx: Outgoing,
}

/// The transport to a peer.
#[derive(Clone)]
pub(super) enum Peer {
    /// Nobody takes an invocation, nor refuses it.
    Silent,
    /// Nobody serves the function.
    Absent,
    /// Invocations arrive at the other end of the channel, each after the delay.
    At(mpsc::UnboundedSender<Invocation>, Duration),
}

impl Invoke for Peer {
    type Context = ();
    type Outgoing = Outgoing;
    type Incoming = Incoming;

    async fn invoke<P>(
        &self,
        (): (),
        instance: &str,
        func: &str,
        params: Bytes,
        _: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Outgoing, Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let (peer, delay) = match self {
            Self::Silent => return core::future::pending().await,
            Self::Absent => return Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            Self::At(peer, delay) => (peer, *delay),
        };
        tokio::time::sleep(delay).await;
        let (outgoing, rx) = channel();
        let (tx, incoming) = channel();
        peer.send(Invocation {
            instance: instance.into(),
            func: func.into(),
            params,
            rx,
            tx,
        })
        .ok()
        .context("the test has ended")?;
        Ok((outgoing, incoming))
    }
}
