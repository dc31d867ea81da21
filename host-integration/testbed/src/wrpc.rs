//! Typed calls of exported functions, and functions served for a test, over NATS.
//!
//! This is the unpatched transport: what a peer elsewhere in the lattice would use. It has a connection of its
//! own and runs on a thread of its own, for the reason that [`thread`] gives.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::codec::{Decoder, Encoder};
use wrpc_transport::{InvokeExt as _, SendFuture as _, ServeExt as _, TupleDecode, TupleEncode};
use wrpc_transport_nats_upstream::{self as transport, ParamWriter, Reader, SubjectWriter};

use crate::thread;

/// How long a call may take when nothing else is said.
const DEADLINE: Duration = Duration::from_secs(30);

/// One end of wRPC: the component with one id in one lattice, to call it or to serve in its place.
///
/// Clones share a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    nats: async_nats::Client,
    client: transport::Client,
    prefix: Arc<str>,
    deadline: Duration,
}

impl Peer {
    /// The component `component_id` of `lattice`, over a new connection to the server that `nats` is connected
    /// to. Calls may take 30 seconds.
    ///
    /// # Errors
    ///
    /// When there is no connection to be had.
    pub async fn new(
        nats: &async_nats::Client,
        lattice: &str,
        component_id: &str,
    ) -> anyhow::Result<Self> {
        let server = nats.server_info();
        let address = format!("nats://{}:{}", server.host, server.port);
        let prefix: Arc<str> = format!("{lattice}.{component_id}").into();
        thread::run(async move {
            let nats = async_nats::connect(address)
                .await
                .context("cannot connect to NATS once more")?;
            // As the host does it: all who serve for one component share its calls.
            let group = Some(Arc::clone(&prefix));
            let client = transport::Client::new(nats.clone(), Arc::clone(&prefix), group)
                .await
                .with_context(|| format!("cannot make a wRPC client for {prefix}"))?;
            Ok(Self {
                nats,
                client,
                prefix,
                deadline: DEADLINE,
            })
        })
        .await
    }

    /// The same peer, with another limit for the duration of a call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Calls `func` of `instance` and waits for all of its results. `Params` and `Results` are tuples.
    ///
    /// An enum without payload is passed as a `u8`: its number is encoded in one byte.
    ///
    /// # Errors
    ///
    /// When no one serves the function, when the callee fails, when the results are not of these types, or when
    /// the call takes too long. The error names the component and the function.
    ///
    /// # Cancel safety
    ///
    /// wRPC over NATS has no cancel: a callee that has started goes on when the future is dropped.
    pub async fn call<Params, Results>(
        &self,
        instance: &str,
        func: &str,
        params: Params,
    ) -> anyhow::Result<Results>
    where
        Params: TupleEncode<ParamWriter> + Send + 'static,
        Results: TupleDecode<Reader> + Send + 'static,
        <Params::Encoder as Encoder<Params>>::Error: std::error::Error + Send + Sync + 'static,
        <Results::Decoder as Decoder>::Error: std::error::Error + Send + Sync + 'static,
    {
        self.call_with_headers(None, instance, func, params).await
    }

    /// As [`Peer::call`], with NATS headers, such as those that carry a trace context.
    ///
    /// # Errors
    ///
    /// As for [`Peer::call`].
    ///
    /// # Cancel safety
    ///
    /// As for [`Peer::call`].
    pub async fn call_with_headers<Params, Results>(
        &self,
        headers: Option<async_nats::HeaderMap>,
        instance: &str,
        func: &str,
        params: Params,
    ) -> anyhow::Result<Results>
    where
        Params: TupleEncode<ParamWriter> + Send + 'static,
        Results: TupleDecode<Reader> + Send + 'static,
        <Params::Encoder as Encoder<Params>>::Error: std::error::Error + Send + Sync + 'static,
        <Results::Decoder as Decoder>::Error: std::error::Error + Send + Sync + 'static,
    {
        let client = self.client.clone();
        let function = (instance.to_owned(), func.to_owned());
        let call = thread::run(async move {
            let (instance, func) = function;
            let no_paths: [&[Option<usize>]; 0] = [];
            client
                .invoke_values_blocking(headers, &instance, &func, params, no_paths)
                .send()
                .await
        });
        tokio::time::timeout(self.deadline, call)
            .await
            .map_err(|_| anyhow::anyhow!("there was no answer within {:?}", self.deadline))
            .and_then(|results| results)
            .with_context(|| format!("the call of {instance}.{func} of {} failed", self.prefix))
    }

    /// Serves `func` of `instance` for others to call, until the returned value is dropped.
    ///
    /// The function can be called when this returns. `handler` is called in the order in which
    /// calls come; they are answered as their answers are there.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn serve<Params, Results, Handler, Answer>(
        &self,
        instance: &str,
        func: &str,
        mut handler: Handler,
    ) -> anyhow::Result<Served>
    where
        Params: TupleDecode<Reader> + Send + 'static,
        Results: TupleEncode<SubjectWriter> + Send + 'static,
        <Params::Decoder as Decoder>::Error: std::error::Error + Send + Sync + 'static,
        <Results::Encoder as Encoder<Results>>::Error: std::error::Error + Send + Sync + 'static,
        Handler: FnMut(Params) -> Answer + Send + 'static,
        Answer: Future<Output = Results> + Send + 'static,
    {
        let Self {
            nats,
            client,
            prefix,
            ..
        } = self.clone();
        let name = format!("{instance}.{func} for {prefix}");
        let function = (instance.to_owned(), func.to_owned());
        thread::run(async move {
            let (instance, func) = function;
            let no_paths: [Box<[Option<usize>]>; 0] = [];
            let calls = client
                .serve_values::<Params, Results>(&instance, &func, no_paths)
                .await
                .with_context(|| format!("cannot serve {name}"))?;
            settle(&nats).await?;
            let task = tokio::spawn(async move {
                let mut calls = std::pin::pin!(calls);
                // They end with this task.
                let mut answers = JoinSet::new();
                while let Some(call) = calls.next().await {
                    while answers.try_join_next().is_some() {}
                    let answer = call.map(|(_headers, params, _deferred, respond)| {
                        let results = handler(params);
                        async move { respond(results.await).await }
                    });
                    let name = name.clone();
                    answers.spawn(async move {
                        let result = match answer {
                            Ok(answer) => answer.await,
                            Err(err) => Err(err),
                        };
                        if let Err(err) = result {
                            tracing::warn!(function = name, ?err, "could not handle a call");
                        }
                    });
                }
            });
            Ok(Served(task))
        })
        .await
    }
}

/// Waits until the server has dealt with all that was sent over this connection before.
///
/// A flush is not enough: it ends when the bytes have been handed to the operating system.
///
/// # Errors
///
/// When the server does not answer, or the connection is closed.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing.
pub async fn settle(nats: &async_nats::Client) -> anyhow::Result<()> {
    let inbox = nats.new_inbox();
    let mut messages = nats.subscribe(inbox.clone()).await?;
    nats.publish(inbox, bytes::Bytes::new()).await?;
    // The server handles what one client sends in the order in which it comes.
    tokio::time::timeout(DEADLINE, messages.next())
        .await
        .ok()
        .flatten()
        .context("the nats-server does not answer")
        .map(drop)
}

/// A function that is being served. Dropping it ends that.
#[derive(Debug)]
#[must_use = "the function is served until this is dropped"]
pub struct Served(JoinHandle<()>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsServer;
    use bytes::Bytes;

    const INSTANCE: &str = "inhost:demo/echo@0.1.0";

    #[tokio::test]
    async fn values_go_there_and_back() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let peer = Peer::new(&nats, "lattice", "callee").await.unwrap();
        let _ping = peer
            .serve(INSTANCE, "ping", |(n,): (u32,)| async move { (n + 1,) })
            .await
            .unwrap();
        let _echo = peer
            .serve(INSTANCE, "echo-bytes", |(bytes,): (Bytes,)| async move {
                (Ok::<Bytes, String>(bytes),)
            })
            .await
            .unwrap();

        let other = server.client().await.unwrap();
        let caller = Peer::new(&other, "lattice", "callee").await.unwrap();
        let (n,): (u32,) = caller.call(INSTANCE, "ping", (41_u32,)).await.unwrap();
        assert_eq!(n, 42);
        let large = Bytes::from(vec![7; 3 << 20]);
        let (echo,): (Result<Bytes, String>,) = caller
            .call(INSTANCE, "echo-bytes", (large.clone(),))
            .await
            .unwrap();
        assert_eq!(echo.unwrap(), large);
    }

    #[tokio::test]
    async fn a_function_that_no_one_serves_is_named() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let peer = Peer::new(&nats, "lattice", "nobody").await.unwrap();
        let result: anyhow::Result<(u32,)> = peer.call(INSTANCE, "ping", (1_u32,)).await;
        let error = format!("{:#}", result.unwrap_err());
        assert!(
            error.contains("inhost:demo/echo@0.1.0.ping of lattice.nobody"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_callee_that_does_not_answer_is_not_waited_for_for_ever() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let peer = Peer::new(&nats, "lattice", "slow").await.unwrap();
        let _served = peer
            .serve(INSTANCE, "ping", |(n,): (u32,)| async move {
                std::future::pending::<()>().await;
                (n,)
            })
            .await
            .unwrap();
        let peer = peer.with_deadline(Duration::from_millis(200));
        let result: anyhow::Result<(u32,)> = peer.call(INSTANCE, "ping", (1_u32,)).await;
        let error = format!("{:#}", result.unwrap_err());
        assert!(error.contains("no answer within 200ms"), "{error}");
    }
}
