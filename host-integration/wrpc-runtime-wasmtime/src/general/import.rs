//! A guest calls an import.

use core::future::Future;
use core::iter::zip;
use core::pin::pin;
use std::io;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use inhost_dispatch::{until_ended, CallError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tracing::{debug, Instrument as _, Span};
use wasmtime::component::{types, LinkerInstance, ResourceType, Type, Val};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::WasiView;
use wrpc_transport::{Index, Invoke};

use super::decode;
use super::deferred::DeferredParts;
use super::encode::encode;
use super::kinds::Kinds;
use super::sending::Sending;
use crate::invoke::{Import, Path};
use crate::message::finish;
use crate::view::{self, WrpcView};

/// Defines the function `import.name` in `linker`, so that a guest that calls it invokes it with the store's
/// [`client`](WrpcView::client).
///
/// `resources` are the resource types that the guest defines, and `used` those of the function. `cx` goes to the transport with every invocation.
///
/// # Errors
///
/// When `linker` has a definition of that name, or each call would pass a resource that cannot pass.
pub(crate) fn link<V>(
    linker: &mut LinkerInstance<'_, V>,
    resources: Arc<[ResourceType]>,
    used: &[ResourceType],
    ty: types::ComponentFunc,
    import: Import,
    cx: <V::Invoke as Invoke>::Context,
) -> wasmtime::Result<()>
where
    V: WrpcView + WasiView,
    <V::Invoke as Invoke>::Context: Clone + 'static,
{
    let span = Span::current();
    let kinds = Kinds::of_import(used, &resources);
    kinds
        .check(&ty)
        .with_context(|| format!("`{import}` cannot be invoked"))?;
    let name = Arc::clone(&import.name);
    let function = Arc::new(Function {
        params: ty.params().collect(),
        paths: import.types.results.paths().into(),
        import,
        results: ty.results().collect(),
        kinds,
    });
    linker.func_new_async(&name, move |store, params, results| {
        let function = Arc::clone(&function);
        let cx = cx.clone();
        Box::new(
            async move { function.invoke(store, params, results, cx).await }
                .instrument(span.clone()),
        )
    })
}

struct Function {
    import: Import,
    params: Box<[Type]>,
    results: Box<[Type]>,
    /// Those of the streams in the results.
    paths: Box<[Path]>,
    kinds: Kinds,
}

impl Function {
    async fn invoke<V>(
        &self,
        mut store: StoreContextMut<'_, V>,
        params: &[Val],
        results: &mut [Val],
        cx: <V::Invoke as Invoke>::Context,
    ) -> wasmtime::Result<()>
    where
        V: WrpcView + WasiView,
    {
        let (params, parts) = self.encode(&mut store, params)?;
        let view = store.data();
        let invocation = self
            .import
            .start_with(view.client(), view::limit(view), cx, params, &self.paths)
            .await?;
        let (mut incoming, import) = (invocation.incoming, &self.import);
        let rest = async {
            let (opening, opened) = oneshot::channel();
            let name = import.clone();
            let mut send = Box::pin(async move {
                send(invocation.outgoing, parts, opening)
                    .await
                    .with_context(|| format!("failed to send the parameters of `{name}`"))
            });
            let sending = Arc::new(Sending::default());
            let receive = self.receive(&mut store, &mut incoming, &sending, results);
            let sent = receive_while(&mut send, receive, import).await?;
            if sent == Sent::Some && sending.is_kept() {
                // Streams are no bytes of a result. So the results may be complete before it is known whether the function
                // is served at all.
                return tokio::select! {
                    biased;
                    sent = &mut send => sent,
                    _ = opened => {
                        sending.go_on(import, send);
                        Ok(())
                    }
                };
            }
            // A remote callee may end its results, and read on: of that one it cannot be learned that it is done. And whoever
            // waits for the end of a function without results must not be one that waits for results: it leaves when all is
            // sent, and the callee goes on.
            let mut ended = pin!(until_ended(&mut incoming));
            if sent == Sent::Some {
                tokio::select! {
                    biased;
                    sent = send => sent?,
                    ended = &mut ended => {
                        debug!(%import, "the callee has not read all streams of the parameters");
                        return unless_it_did_not_run(ended);
                    }
                }
            }
            ended.now_or_never().map_or(Ok(()), unless_it_did_not_run)
        };
        invocation.rest.within(rest).await
    }

    fn encode<V>(
        &self,
        store: &mut StoreContextMut<'_, V>,
        params: &[Val],
    ) -> wasmtime::Result<(Bytes, DeferredParts<<V::Invoke as Invoke>::Outgoing>)>
    where
        V: WrpcView + WasiView,
    {
        let mut buf = BytesMut::new();
        let mut parts = DeferredParts::new();
        for (i, (v, ty)) in zip(params, &self.params).enumerate() {
            let part = encode(store.as_context_mut(), &self.kinds, v, ty, &mut buf).with_context(
                || format!("failed to encode parameter value {i} of `{}`", self.import),
            )?;
            parts.push(i, part);
        }
        Ok((buf.freeze(), parts))
    }

    async fn receive<V, I>(
        &self,
        store: &mut StoreContextMut<'_, V>,
        incoming: &mut I,
        sending: &Arc<Sending>,
        results: &mut [Val],
    ) -> wasmtime::Result<()>
    where
        V: WrpcView + WasiView,
        I: AsyncRead + Index<I> + Send + Unpin + 'static,
    {
        for (i, (v, ty)) in zip(results, &self.results).enumerate() {
            *v = decode::read(store, incoming, &self.kinds, Some(sending), ty, &[i])
                .await
                .with_context(|| format!("failed to decode return value {i}"))?;
        }
        Ok(())
    }
}

/// How much of the parameters was sent.
#[derive(PartialEq)]
enum Sent {
    All,
    Some,
}

/// Receives results, and sends parameters until that is done.
async fn receive_while(
    mut send: impl Future<Output = anyhow::Result<()>> + Unpin,
    receive: impl Future<Output = anyhow::Result<()>>,
    import: &Import,
) -> anyhow::Result<Sent> {
    let mut received = pin!(async {
        receive
            .await
            .with_context(|| format!("failed to receive the results of `{import}`"))
    });
    tokio::select! {
        sent = &mut send => {
            sent?;
            received.await?;
            Ok(Sent::All)
        }
        received = &mut received => {
            received?;
            Ok(Sent::Some)
        }
    }
}

/// Sends the streams of the parameters, and ends the outgoing stream. Drops or uses `opening` once the callee has taken the
/// call, as far as the transport can tell.
async fn send<O>(
    mut outgoing: O,
    parts: DeferredParts<O>,
    opening: oneshot::Sender<()>,
) -> anyhow::Result<()>
where
    O: AsyncWrite + Index<O> + Unpin,
{
    // Some transports, NATS among them, open the paths below once the root is open, and open the root when it is used.
    unless_gone(outgoing.flush().await)?;
    let _ = opening.send(());
    parts
        .write(&outgoing)
        .await
        .context("failed to write asynchronous parameters")?;
    unless_gone(finish(&mut outgoing).await)
}

/// A local callee that has gone is no failure to send: why it has is what its results end with.
fn unless_gone(sent: io::Result<()>) -> anyhow::Result<()> {
    match sent {
        Err(error) if matches!(CallError::find(&error), Some(CallError::ReaderGone { .. })) => {
            Ok(())
        }
        sent => sent.context("failed to flush outgoing stream"),
    }
}

/// How a callee ended is of no interest to who has its results, or wants none. That it never began is: what was sent to it is
/// lost.
fn unless_it_did_not_run(ended: io::Result<()>) -> anyhow::Result<()> {
    match ended {
        Err(error) if matches!(CallError::find(&error), Some(CallError::NotAccepted { .. })) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}
