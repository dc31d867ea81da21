//! Streams that the tests produce.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use wasmtime_wasi::{HostInputStream, InputStream, StreamError, StreamResult, Subscribe};

/// A stream that the test produces, chunk by chunk. It closes when the producer is dropped.
pub(crate) struct Feed {
    chunks: mpsc::UnboundedReceiver<StreamResult<Bytes>>,
    next: Option<StreamResult<Bytes>>,
}

/// The producing end of a [`Feed`].
pub(crate) struct Producer(mpsc::UnboundedSender<StreamResult<Bytes>>);

pub(crate) fn feed() -> (Producer, Feed) {
    let (tx, chunks) = mpsc::unbounded_channel();
    (Producer(tx), Feed { chunks, next: None })
}

impl Producer {
    pub(crate) fn chunk(&self, text: &'static str) {
        let sent = self.0.send(Ok(Bytes::from_static(text.as_bytes())));
        sent.expect("the stream is there");
    }

    pub(crate) fn fail(&self, why: &'static str) {
        let failed = StreamError::LastOperationFailed(anyhow::anyhow!(why));
        self.0.send(Err(failed)).expect("the stream is there");
    }

    /// Waits until the stream is gone.
    pub(crate) async fn unwanted(&self) {
        self.0.closed().await;
    }
}

impl HostInputStream for Feed {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        self.next.take().unwrap_or(Ok(Bytes::new()))
    }
}

#[wasmtime_wasi::async_trait]
impl Subscribe for Feed {
    async fn ready(&mut self) {
        if self.next.is_none() {
            let next = self.chunks.recv().await;
            self.next = Some(next.unwrap_or(Err(StreamError::Closed)));
        }
    }
}

/// The next chunk of a stream, or `None` once it has closed.
pub(crate) async fn next(stream: &mut InputStream) -> StreamResult<Option<String>> {
    match stream.blocking_read(4096).await {
        Ok(chunk) => Ok(Some(String::from_utf8_lossy(&chunk).into_owned())),
        Err(StreamError::Closed) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks that a stream ends with a failure, and does not close.
pub(crate) async fn breaks_off(stream: &mut InputStream) {
    let error = next(stream).await.expect_err("it breaks off");
    let failed = matches!(error, StreamError::LastOperationFailed(_));
    assert!(failed, "{error}");
}

/// A stream that always has more, and counts what was taken of it.
pub(crate) struct Endless(pub(crate) Arc<AtomicUsize>);

impl HostInputStream for Endless {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.0.fetch_add(size, Ordering::SeqCst);
        Ok(vec![b'x'; size].into())
    }
}

#[wasmtime_wasi::async_trait]
impl Subscribe for Endless {
    async fn ready(&mut self) {}
}
