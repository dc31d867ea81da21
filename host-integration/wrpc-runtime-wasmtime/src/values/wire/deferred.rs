//! What is written after the bytes of values: the content of their streams, each at a path of its own.

use core::future::Future;
use core::pin::Pin;

use anyhow::Context as _;
use futures::future::try_join_all;
use tokio::io::AsyncWrite;
use wasmtime_wasi::InputStream;
use wrpc_transport::Index;

use super::streams::send;

/// Writes what belongs to a value but is not among its bytes, to the stream that belongs to the value's path.
pub(crate) type Deferred<W> =
    Box<dyn FnOnce(W) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>> + Send>;

/// Streams that were taken out of a store, each with the path of its value.
#[derive(Default)]
pub(crate) struct Streams(Vec<(Vec<usize>, InputStream)>);

impl Streams {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, path: Vec<usize>, stream: InputStream) {
        self.0.push((path, stream));
    }

    /// Writes all of them at the same time, each to its path below `w`.
    ///
    /// # Errors
    ///
    /// The first error ends the writing of all. It says which one it was.
    ///
    /// # Cancel safety
    ///
    /// A dropped write leaves the streams where they are, without their end.
    pub(crate) async fn write<W>(self, w: &W) -> wasmtime::Result<()>
    where
        W: AsyncWrite + Index<W>,
    {
        let writes = self.0.into_iter().map(|(path, stream)| {
            let w = w
                .index(&path)
                .with_context(|| format!("failed to open the stream at {path:?}"))?;
            Ok(async move {
                send(stream, w)
                    .await
                    .with_context(|| format!("failed to send the stream at {path:?}"))
            })
        });
        try_join_all(writes.collect::<wasmtime::Result<Vec<_>>>()?).await?;
        Ok(())
    }

    /// As [`write`](Self::write), later, and below the path of the value that holds them.
    pub(super) fn deferred<W>(mut self) -> Option<Deferred<W>>
    where
        W: AsyncWrite + Index<W> + Send + Sync + 'static,
    {
        if self.is_empty() {
            return None;
        }
        Some(Box::new(move |w| {
            Box::pin(async move {
                match self.0.pop() {
                    // The value is a stream itself.
                    Some((path, stream)) if path.is_empty() => send(stream, w).await,
                    last => {
                        self.0.extend(last);
                        self.write(&w).await
                    }
                }
            })
        }))
    }
}
