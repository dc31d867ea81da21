//! The writing side of a call, which keeps what is written.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use anyhow::{bail, ensure};
use tokio::io::AsyncWrite;

/// The end marker of a stream.
const END: &[u8] = &[0];

/// How often the writing of streams is looked at before it is taken for stuck. None of them ever waits.
const ROUNDS: usize = 10_000;

/// The content of streams, by their paths, up to the end marker.
pub(crate) type Streams = BTreeMap<Vec<usize>, Vec<u8>>;

/// Writes to a path.
#[derive(Clone, Default)]
pub(crate) struct Writer {
    path: Vec<usize>,
    written: Arc<Mutex<Written>>,
}

#[derive(Default)]
struct Written {
    open: Streams,
    ended: Streams,
}

/// What writes streams, below the path of the value that they are in.
pub(crate) type Deferred =
    Box<dyn FnOnce(Writer) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>> + Send>;

/// What `deferred` writes, which are `count` streams.
pub(crate) fn written(deferred: Option<Deferred>, count: usize) -> anyhow::Result<Streams> {
    let Some(deferred) = deferred else {
        ensure!(count == 0, "streams are not sent");
        return Ok(Streams::new());
    };
    let writer = Writer::default();
    let mut writing = deferred(writer.clone());
    for _ in 0..ROUNDS {
        let ended = match writing
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        let mut written = writer
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if written.ended.len() == count {
            return Ok(std::mem::take(&mut written.ended));
        }
        ensure!(
            !ended,
            "{} of {count} streams have an end",
            written.ended.len()
        );
    }
    bail!("the writing of streams is stuck")
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.ended.contains_key(&self.path) {
            // The published crate writes the marker again and again.
            return Poll::Pending;
        }
        let stream = written.open.entry(self.path.clone()).or_default();
        stream.extend(bytes);
        if bytes == END {
            let stream = std::mem::take(stream);
            written.ended.insert(self.path.clone(), stream);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wrpc_transport::Index<Self> for Writer {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        Ok(Self {
            path: [&self.path, path].concat(),
            written: Arc::clone(&self.written),
        })
    }
}
