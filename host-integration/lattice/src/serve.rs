//! Serves the exports of a component to the others.

use std::ops::Deref;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info_span, warn, Span};
use wasmcloud_runtime::component::{InvocationStream, WrpcServeEvent};
use wrpc_runtime_wasmtime::type_being_served;
use wrpc_transport::Serve;

use crate::client::{Client, Origin};
use crate::exports::{Exported, Exports};

/// Serves one component, and notes what it exports.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) id: Arc<str>,
    pub(crate) client: Client,
    pub(crate) exports: Arc<Exports>,
}

/// An invocation that was taken: the span that it runs in.
#[derive(Debug)]
pub(crate) struct Taken(Span);

impl Deref for Taken {
    type Target = Span;

    fn deref(&self) -> &Span {
        &self.0
    }
}

impl Serve for Server {
    type Context = Taken;
    type Outgoing = <Client as Serve>::Outgoing;
    type Incoming = <Client as Serve>::Incoming;

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
        let invocations = self.client.serve(instance, func, paths).await?;
        let (instance, function): (Arc<str>, Arc<str>) = (instance.into(), func.into());
        self.exports.add(Exported {
            instance: Arc::clone(&instance),
            function: Arc::clone(&function),
            ty: type_being_served(),
        });
        let id = Arc::clone(&self.id);
        Ok(invocations.map_ok(move |(origin, outgoing, incoming)| {
            let Origin { source, link, span } = origin;
            let span = info_span!(
                parent: &span,
                "invocation",
                component = &*id,
                instance = &*instance,
                function = &*function,
                source = source.as_deref(),
                link = link.as_deref(),
            );
            (Taken(span), outgoing, incoming)
        }))
    }
}

/// Runs the invocations of a component, at most `max_instances` at the same time, until it is told to stop. Those that
/// run then are ended.
///
/// An invocation stays in the queue of its function until there is room for it.
pub(crate) async fn run(
    id: Arc<str>,
    invocations: Vec<InvocationStream>,
    max_instances: usize,
    mut events: mpsc::Receiver<WrpcServeEvent<Taken>>,
    stop: CancellationToken,
) {
    let mut invocations = stream::select_all(invocations);
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = running.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(component = &*id, "an invocation failed: {error:#}"),
                Err(error) => warn!(component = &*id, %error, "an invocation ended early"),
            },
            // It has no item when the component exports nothing.
            Some(taken) = invocations.next(), if running.len() < max_instances => match taken {
                Ok(invocation) => {
                    running.spawn(invocation);
                }
                Err(error) => warn!(component = &*id, "an invocation could not be taken: {error:#}"),
            },
            // They say that an invocation has ended, which `running` does too.
            Some(_) = events.recv() => {}
        }
    }
    // Nothing is served any more; calls that wait are answered with an error.
    drop(invocations);
    running.shutdown().await;
}
