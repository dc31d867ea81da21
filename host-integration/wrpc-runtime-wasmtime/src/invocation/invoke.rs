//! Invoking the function that an import stands for, whatever way its values take.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail, Context as _};
use bytes::Bytes;
use inhost_codec::Signature;
use inhost_dispatch::{with_types, Types};
use tokio::time::{timeout_at, Instant};
use tokio::try_join;
use wrpc_transport::Invoke;

use crate::invocation::name::rpc_func_name;

/// A function that a guest imports and a peer serves.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) instance: Arc<str>,
    /// As the component has it, the kind of a resource's function included.
    pub(crate) name: Arc<str>,
    pub(crate) types: Arc<Signature>,
}

/// The path of a stream. `None` is any index.
pub(crate) type Path = Box<[Option<usize>]>;

/// An invocation that the transport has accepted.
pub(crate) struct Invocation<'a, C: Invoke> {
    pub(crate) outgoing: C::Outgoing,
    pub(crate) incoming: C::Incoming,
    pub(crate) rest: Rest<'a>,
}

/// What bounds the rest of an invocation.
pub(crate) struct Rest<'a> {
    import: &'a Import,
    /// What was allowed for the whole invocation, and when that is over.
    limit: Option<(Duration, Instant)>,
}

impl Import {
    /// Passes `params` to the transport.
    ///
    /// # Errors
    ///
    /// Those of the transport, and when it takes longer than `limit`, which is for the whole invocation.
    pub(crate) async fn start<'a, C: Invoke>(
        &'a self,
        client: &C,
        limit: Option<Duration>,
        context: C::Context,
        params: Bytes,
    ) -> anyhow::Result<Invocation<'a, C>> {
        self.start_with(client, limit, context, params, &[]).await
    }

    /// As [`start`](Self::start), with the paths of the streams in the results.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) async fn start_with<'a, C: Invoke>(
        &'a self,
        client: &C,
        limit: Option<Duration>,
        context: C::Context,
        params: Bytes,
        paths: &[Path],
    ) -> anyhow::Result<Invocation<'a, C>> {
        let (instance, name) = (&*self.instance, rpc_func_name(&self.name));
        // None as well when it would be over later than the clock can tell.
        let limit = limit.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?)));
        let types: Types = self.types.clone();
        // Pinned, here and below, before they pass through other hands: to hand on a future that is
        // not is to copy it. And what is in the frame of a function is on the guest's stack, which
        // keeps each page that was ever touched.
        let invoke = pin!(client.invoke(context, instance, name, params, paths));
        let invoke = with_types(types, invoke);
        let (outgoing, incoming) = match limit {
            Some((_, end)) => match timeout_at(end, invoke).await {
                Ok(invoked) => invoked,
                Err(_) => Err(anyhow!("invocation timed out")),
            },
            None => invoke.await,
        }
        .with_context(|| format!("failed to invoke `{self}`"))?;
        let rest = Rest {
            import: self,
            limit,
        };
        Ok(Invocation {
            outgoing,
            incoming,
            rest,
        })
    }
}

impl Rest<'_> {
    /// Runs what sends and what receives at the same time: a peer may send results before it has read all parameters.
    ///
    /// # Errors
    ///
    /// Those of the two, and when the time is over.
    pub(crate) async fn of<T>(
        &self,
        send: impl Future<Output = anyhow::Result<()>>,
        receive: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let import = self.import;
        let both = pin!(async {
            let ((), received) = try_join!(
                async {
                    send.await
                        .with_context(|| format!("failed to send the parameters of `{import}`"))
                },
                async {
                    receive
                        .await
                        .with_context(|| format!("failed to receive the results of `{import}`"))
                },
            )?;
            Ok(received)
        });
        self.within(both).await
    }

    /// Runs `rest`.
    ///
    /// # Errors
    ///
    /// Its own, and when the time is over.
    pub(crate) async fn within<T>(
        &self,
        rest: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let import = self.import;
        match self.limit {
            None => rest.await,
            Some((limit, end)) => match timeout_at(end, rest).await {
                Ok(result) => result,
                Err(_) => bail!("`{import}` timed out: it did not answer within {limit:?}"),
            },
        }
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.instance {
            "" => write!(f, "{}", self.name),
            instance => write!(f, "{instance}.{}", self.name),
        }
    }
}
