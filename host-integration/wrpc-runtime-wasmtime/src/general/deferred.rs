//! What is written after the bytes of a value: the content of its streams, each at a path of its own.

use core::future::Future;
use core::pin::Pin;

use anyhow::Context as _;
use futures::future::try_join_all;
use wrpc_transport::Index;

/// Writes what belongs to a value but is not among its bytes, to the stream that belongs to the value's path.
pub(crate) type Deferred<W> =
    Box<dyn FnOnce(W) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>> + Send>;

/// The deferred parts of values that stand side by side: parameters, results, elements or fields.
pub(crate) struct DeferredParts<W>(Vec<(usize, Deferred<W>)>);

impl<W> DeferredParts<W> {
    /// No parts. Takes no memory: most values have none.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the part of the value at `index`, if it has one.
    pub(crate) fn push(&mut self, index: usize, part: Option<Deferred<W>>) {
        if let Some(part) = part {
            self.0.push((index, part));
        }
    }
}

impl<W: Index<W>> DeferredParts<W> {
    /// Writes all parts at the same time, each to the path of its value below `w`.
    ///
    /// # Errors
    ///
    /// The first error ends the writing of all parts. It says which value it was.
    ///
    /// # Cancel safety
    ///
    /// A dropped write leaves the streams where they are, without their end.
    pub(crate) async fn write(self, w: &W) -> wasmtime::Result<()> {
        let writes = self
            .0
            .into_iter()
            .map(|(index, part)| {
                let w = w
                    .index(&[index])
                    .with_context(|| format!("failed to open the stream of value {index}"))?;
                let write = part(w);
                Ok(async move {
                    write
                        .await
                        .with_context(|| format!("failed to send the stream of value {index}"))
                })
            })
            .collect::<wasmtime::Result<Vec<_>>>()?;
        try_join_all(writes).await?;
        Ok(())
    }

    /// The deferred part of the value that holds these.
    pub(crate) fn into_part(self) -> Option<Deferred<W>>
    where
        W: Send + Sync + 'static,
    {
        if self.0.is_empty() {
            return None;
        }
        Some(Box::new(move |w| {
            Box::pin(async move { self.write(&w).await })
        }))
    }
}
