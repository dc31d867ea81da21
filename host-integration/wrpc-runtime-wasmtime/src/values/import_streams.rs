//! A guest calls an import that has streams in its parameters or results.

use core::future::{pending, Future};
use core::pin::pin;
use std::io;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures::FutureExt as _;
use inhost_dispatch::{CallError, Reader};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tracing::debug;
use wasmtime::StoreContextMut;
use wasmtime_wasi::WasiView;
use wrpc_transport::{Index, Invoke};

use super::abi::Given;
use super::import::Function;
use super::resources::from_wire;
use crate::invocation::invoke::Import;
use crate::invocation::memory::limit;
use crate::invocation::message::{finish, receive};
use crate::values::wire::{Sending, Streams};
use crate::view::{self, shared_client, WrpcView};

impl<C: Clone + 'static> Function<C> {
    /// Invokes it with `params`, and sends `streams` beside them. Returns when the results are
    /// there; the streams of either may still flow then.
    pub(super) async fn call_with_streams<V>(
        &self,
        mut store: StoreContextMut<'_, V>,
        params: Bytes,
        streams: Streams,
    ) -> anyhow::Result<Given>
    where
        V: WrpcView + WasiView,
        V::Invoke: Invoke<Context = C> + Clone + 'static,
    {
        let (view, cx) = (store.data_mut(), self.context.clone());
        let (client, timeout) = (shared_client(view), view::limit(view));
        let invocation = self
            .import
            .start_with(&*client, timeout, cx, params, &self.paths)
            .await?;
        let (mut incoming, import) = (invocation.incoming, &self.import);
        let rest = async {
            let (opening, opened) = oneshot::channel();
            let name = import.clone();
            let mut send = Box::pin(async move {
                send(invocation.outgoing, streams, opening)
                    .await
                    .with_context(|| format!("failed to send the parameters of `{name}`"))
            });
            let sending = Arc::new(Sending::default());
            let received = self.results(&mut store, &mut incoming, &sending);
            let (sent, results) = receive_while(&mut send, received, import).await?;
            if sent == Sent::Some && sending.is_kept() {
                // Streams are no bytes of a result. So the results may be complete before it is
                // known whether the function is served at all.
                return tokio::select! {
                    biased;
                    sent = &mut send => sent.map(|()| results),
                    _ = opened => {
                        sending.go_on(import, send);
                        Ok(results)
                    }
                };
            }
            // Whoever waits for the end of a function without results must not be one that waits
            // for results: it leaves when all is sent, and the callee goes on.
            let mut ended = pin!(async {
                match Reader::of(&mut incoming) {
                    Some(mut results) => {
                        let ended = results.until_ended().await;
                        unless_it_was_lost(ended, results.was_cut_off())
                    }
                    // A remote callee may end its results, and read on: of that one it cannot be
                    // learned that it is done.
                    None => pending().await,
                }
            });
            if sent == Sent::Some {
                tokio::select! {
                    biased;
                    sent = send => sent?,
                    ended = &mut ended => {
                        debug!(%import, "the callee has not read all streams of the parameters");
                        return ended.map(|()| results);
                    }
                }
            }
            ended.now_or_never().unwrap_or(Ok(())).map(|()| results)
        };
        invocation.rest.within(rest).await
    }

    async fn results<V, I>(
        &self,
        store: &mut StoreContextMut<'_, V>,
        incoming: &mut I,
        sending: &Arc<Sending>,
    ) -> anyhow::Result<Given>
    where
        V: WrpcView + WasiView,
        I: AsyncRead + Index<I> + Send + Unpin + 'static,
    {
        let (types, memory) = (&self.signature.results, limit(store.engine()));
        let (message, found) = receive(incoming, &types.plan, memory, None).await?;
        from_wire(
            store,
            types,
            message,
            found,
            incoming,
            Some(sending),
            "return",
        )
    }
}

/// How much of the parameters was sent.
#[derive(PartialEq)]
enum Sent {
    All,
    Some,
}

/// Receives results, and sends parameters until that is done.
async fn receive_while<T>(
    mut send: impl Future<Output = anyhow::Result<()>> + Unpin,
    receive: impl Future<Output = anyhow::Result<T>>,
    import: &Import,
) -> anyhow::Result<(Sent, T)> {
    let mut received = pin!(async {
        receive
            .await
            .with_context(|| format!("failed to receive the results of `{import}`"))
    });
    tokio::select! {
        sent = &mut send => {
            sent?;
            Ok((Sent::All, received.await?))
        }
        received = &mut received => Ok((Sent::Some, received?)),
    }
}

/// Sends the streams of the parameters, and ends the outgoing stream. Drops or uses `opening` once
/// the callee has taken the call, as far as the transport can tell.
async fn send<O>(
    mut outgoing: O,
    streams: Streams,
    opening: oneshot::Sender<()>,
) -> anyhow::Result<()>
where
    O: AsyncWrite + Index<O> + Unpin,
{
    // Some transports, NATS among them, open the paths below once the root is open, and open the root when it is used.
    unless_gone(outgoing.flush().await)?;
    let _ = opening.send(());
    streams
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

/// How a callee ended is of no interest to who has its results, or wants none. That it never began
/// is, and that it was ended from outside: what was sent to it is lost.
fn unless_it_was_lost(ended: io::Result<()>, was_cut_off: bool) -> anyhow::Result<()> {
    let did_not_run =
        |error: &io::Error| matches!(CallError::find(error), Some(CallError::NotAccepted { .. }));
    match ended {
        Err(error) if was_cut_off || did_not_run(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
