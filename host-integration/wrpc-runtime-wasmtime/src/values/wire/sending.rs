//! The streams of parameters that still flow when their call has returned.
//!
//! A guest that has got a stream as a result reads it while it, or who it has its streams from,
//! still produces the parameters. So the import returns, and the parameters are sent by a task. The
//! streams of the results own that task: a callee reads parameters, once it has returned, only to
//! produce those. When the guest drops the last of them, passes it on to a call that ends, or ends
//! itself, the task ends too.

use core::future::Future;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tracing::{debug, Instrument as _, Span};
use wasmtime_wasi::pipe::AsyncReadStream;
use wasmtime_wasi::runtime::{spawn, AbortOnDropJoinHandle};
use wasmtime_wasi::{HostInputStream, StreamResult, Subscribe};

use crate::invocation::invoke::Import;

/// What sends the rest of a call's parameters, once it is a task. Dropping it ends the task.
#[derive(Default)]
pub(crate) struct Sending(OnceLock<AbortOnDropJoinHandle<()>>);

impl Sending {
    /// Whether a stream keeps it.
    pub(crate) fn is_kept(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    /// Makes `rest` a task of those who keep this.
    ///
    /// No one waits for it any more, so a failure is logged. The callee sees it as a stream that breaks off.
    pub(crate) fn go_on<F>(&self, import: &Import, rest: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let import = import.clone();
        let task = async move {
            if let Err(error) = rest.await {
                debug!(%import, "failed to send the rest of the parameters: {error:#}");
            }
        };
        let _ = self.0.set(spawn(task.instrument(Span::current())));
    }
}

/// A stream that keeps a [`Sending`].
pub(super) struct Keeping {
    stream: AsyncReadStream,
    _sending: Arc<Sending>,
}

impl Keeping {
    pub(super) fn new(stream: AsyncReadStream, sending: Arc<Sending>) -> Self {
        Self {
            stream,
            _sending: sending,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl HostInputStream for Keeping {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.stream.read(size)
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}

#[wasmtime_wasi::async_trait]
impl Subscribe for Keeping {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}
