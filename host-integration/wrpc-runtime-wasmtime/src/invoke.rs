//! Invoking the function that an import stands for, whatever way its values take.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, Context as _};
use bytes::Bytes;
use tokio::time::{timeout, Instant};
use tokio::try_join;
use wrpc_transport::{Invoke, InvokeExt as _};

use crate::name::rpc_func_name;

/// A function that a guest imports and a peer serves.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) instance: Arc<str>,
    /// As the component has it, the kind of a resource's function included.
    pub(crate) name: Arc<str>,
}

/// An invocation that the transport has accepted.
pub(crate) struct Invocation<'a, C: Invoke> {
    pub(crate) outgoing: C::Outgoing,
    pub(crate) incoming: C::Incoming,
    pub(crate) rest: Rest<'a>,
}

/// What bounds the rest of an invocation.
pub(crate) struct Rest<'a> {
    import: &'a Import,
    /// What was allowed for the whole invocation, and what is left of it.
    limit: Option<(Duration, Duration)>,
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
        // As upstream: nothing subscribes to the streams of results ahead of time.
        let paths: &[[Option<usize>; 0]] = &[];
        let (instance, name) = (&*self.instance, rpc_func_name(&self.name));
        let start = Instant::now();
        let (outgoing, incoming) = match limit {
            Some(limit) => {
                let client = client.timeout(limit);
                client.invoke(context, instance, name, params, paths).await
            }
            None => client.invoke(context, instance, name, params, paths).await,
        }
        .with_context(|| format!("failed to invoke `{self}`"))?;
        let limit = limit.map(|limit| (limit, limit.saturating_sub(start.elapsed())));
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
        let both = async {
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
        };
        match self.limit {
            None => both.await,
            Some((limit, left)) => match timeout(left, both).await {
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
