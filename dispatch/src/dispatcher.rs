use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use inhost_registry::Scope;
use tracing::trace;
use wrpc_transport::{Invoke, Serve};

use crate::backend::Backend;
use crate::caller;
use crate::endpoint::{Reason, Rejected};
use crate::incoming::Incoming;
use crate::local::Local;
use crate::outgoing::Outgoing;
use crate::pieces;
use crate::route::Route;
use crate::served::LocalInvocations;

/// A wRPC transport that carries calls in memory when the callee is on this host, and over `R` otherwise.
///
/// One stands for one prefix, as a wRPC client does: functions are served and invoked under it. A clone shares
/// everything.
pub struct Dispatcher<R, C, B: Backend> {
    remote: R,
    scope: Scope,
    prefix: Arc<str>,
    local: Arc<Local<C, B>>,
}

impl<R, C, B: Backend> Dispatcher<R, C, B> {
    /// A dispatcher for `prefix` over `remote`.
    ///
    /// `scope` is the identity of the connection under `remote`: only functions served within the same scope can
    /// be reached in memory.
    pub fn new(remote: R, scope: Scope, prefix: Arc<str>, local: Arc<Local<C, B>>) -> Self {
        Self {
            remote,
            scope,
            prefix,
            local,
        }
    }
}

impl<R, C, B> Invoke for Dispatcher<R, C, B>
where
    R: Invoke<Context = C>,
    C: Send + Sync + 'static,
    B: Backend,
{
    type Context = C;
    type Outgoing = Outgoing<B, R::Outgoing>;
    type Incoming = Incoming<B, R::Incoming>;

    /// Decides which way the call goes, and starts it.
    ///
    /// A local call is queued when this returns; it has not necessarily been taken by the callee. `paths` are
    /// passed to the remote transport only: a local call opens each path when a side asks for it.
    ///
    /// # Errors
    ///
    /// Those of the remote transport. A local call does not fail here: its streams say how it went.
    ///
    /// # Cancel safety
    ///
    /// A local call never waits here. For a remote one, see the remote transport.
    async fn invoke<P>(
        &self,
        cx: Self::Context,
        instance: &str,
        func: &str,
        params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let local = &self.local;
        let (cx, params, route) = match local.lookup(&self.scope, &self.prefix, instance, func) {
            None => (cx, params, Route::Remote),
            Some((endpoint, backend)) => match endpoint.offer(backend, cx, params) {
                Ok((outgoing, incoming)) => {
                    pieces::know::<B, R::Incoming>();
                    local.counters.count(Route::Local);
                    trace!(prefix = &*self.prefix, instance, func, route = %Route::Local, "invoke");
                    return Ok((Outgoing::local(outgoing), Incoming::local(incoming)));
                }
                // Nothing ran, so the call may still go the other way.
                Err(Rejected {
                    context,
                    params,
                    reason,
                }) => {
                    let route = match reason {
                        Reason::QueueFull => Route::Spilled,
                        Reason::Closed => Route::Fallback,
                    };
                    (context, params, route)
                }
            },
        };
        local.counters.count(route);
        trace!(prefix = &*self.prefix, instance, func, %route, "invoke");
        let (outgoing, incoming) = self
            .remote
            .invoke(cx, instance, func, params, paths)
            .await?;
        Ok((Outgoing::remote(outgoing), Incoming::remote(incoming)))
    }
}

impl<R, C, B> Serve for Dispatcher<R, C, B>
where
    R: Serve<Context = C>,
    C: Send + Sync + 'static,
    B: Backend,
{
    type Context = C;
    type Outgoing = Outgoing<B, R::Outgoing>;
    type Incoming = Incoming<B, R::Incoming>;

    /// Serves a function on the remote transport and, unless the mode is off, on this host.
    ///
    /// The stream hands out remote and local invocations in turn when there are both. The function is served for
    /// as long as the stream lives.
    ///
    /// # Errors
    ///
    /// Those of the remote transport; then nothing is registered.
    async fn serve(
        &self,
        instance: &str,
        func: &str,
        paths: impl Into<Arc<[Box<[Option<usize>]>]>> + Send,
    ) -> anyhow::Result<
        impl Stream<Item = anyhow::Result<(Self::Context, Self::Outgoing, Self::Incoming)>>
            + Send
            + 'static,
    > {
        let remote =
            self.remote
                .serve(instance, func, paths)
                .await?
                .map_ok(|(cx, outgoing, incoming)| {
                    (cx, Outgoing::remote(outgoing), Incoming::remote(incoming))
                });
        caller::know::<B, R::Outgoing>();
        pieces::know::<B, R::Incoming>();
        let local = self.local.backend().map(|_| {
            LocalInvocations::new(
                Arc::clone(&self.local),
                self.scope.clone(),
                Arc::clone(&self.prefix),
                instance,
                func,
            )
        });
        let local = stream::iter(local).flatten().map(|invocation| {
            Ok((
                invocation.context,
                Outgoing::local(invocation.outgoing),
                Incoming::local(invocation.incoming),
            ))
        });
        // Polls the two in turn, so that neither can starve the other.
        Ok(stream::select(local, remote))
    }
}

impl<R: Clone, C, B: Backend> Clone for Dispatcher<R, C, B> {
    fn clone(&self) -> Self {
        Self {
            remote: self.remote.clone(),
            scope: self.scope.clone(),
            prefix: Arc::clone(&self.prefix),
            local: Arc::clone(&self.local),
        }
    }
}

impl<R, C, B: Backend> fmt::Debug for Dispatcher<R, C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("prefix", &self.prefix)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
