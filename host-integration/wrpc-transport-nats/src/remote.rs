use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::Stream;
use tokio::sync::OnceCell;
use wrpc_transport::{Invoke, Serve};

/// Upstream's client, made when it is used for the first time.
///
/// Making one subscribes an inbox and spawns a task. A call that stays on this host needs neither.
#[derive(Clone)]
pub(crate) struct LazyClient(Arc<Inner>);

struct Inner {
    nats: Arc<async_nats::Client>,
    prefix: Arc<str>,
    queue_group: Option<Arc<str>>,
    client: OnceCell<upstream::Client>,
}

impl LazyClient {
    pub(crate) fn new(
        nats: Arc<async_nats::Client>,
        prefix: Arc<str>,
        queue_group: Option<Arc<str>>,
    ) -> Self {
        Self(Arc::new(Inner {
            nats,
            prefix,
            queue_group,
            client: OnceCell::new(),
        }))
    }

    async fn client(&self) -> anyhow::Result<&upstream::Client> {
        let Inner {
            nats,
            prefix,
            queue_group,
            client,
        } = &*self.0;
        client
            .get_or_try_init(|| {
                upstream::Client::new(Arc::clone(nats), Arc::clone(prefix), queue_group.clone())
            })
            .await
    }
}

impl Invoke for LazyClient {
    type Context = Option<HeaderMap>;
    type Outgoing = <upstream::Client as Invoke>::Outgoing;
    type Incoming = <upstream::Client as Invoke>::Incoming;

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
        self.client()
            .await?
            .invoke(cx, instance, func, params, paths)
            .await
    }
}

impl Serve for LazyClient {
    type Context = Option<HeaderMap>;
    type Outgoing = <upstream::Client as Serve>::Outgoing;
    type Incoming = <upstream::Client as Serve>::Incoming;

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
        self.client().await?.serve(instance, func, paths).await
    }
}

impl fmt::Debug for LazyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyClient")
            .field("prefix", &self.0.prefix)
            .field("queue_group", &self.0.queue_group)
            .field("used", &self.0.client.initialized())
            .finish_non_exhaustive()
    }
}
