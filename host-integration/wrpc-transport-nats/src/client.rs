use std::future::Future;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::future::{ready, Either};
use futures::{Stream, TryFutureExt as _, TryStreamExt as _};
use inhost_backends::AnyBackend;
use inhost_dispatch::{Dispatcher, Incoming, Outgoing};
use inhost_registry::Scope;
use wrpc_transport::{Invoke, Serve};

use crate::http::{self, Http};
use crate::local::{self, Local};
use crate::nats;
use crate::remote::Remote;

/// The caller's stream of parameters.
pub type ParamWriter = Outgoing<AnyBackend, nats::ParamWriter>;

/// The callee's stream of results.
pub type SubjectWriter = Outgoing<AnyBackend, nats::SubjectWriter>;

/// The stream that a side of a call reads from: results at the caller, parameters at the callee.
pub type Reader = Incoming<AnyBackend, nats::Reader>;

/// A wRPC client for one prefix (`lattice.component-id` in wasmCloud).
///
/// It serves and invokes functions in memory where it can and over NATS where it must. A clone shares everything.
///
/// The functions that one client serves, together with its clones, are one generation of a
/// component. A second client that serves under the same prefix on the same connection stands by
/// until the first has dropped what it serves; the NATS subscription of a function passes from one
/// to the next. See [`Local::generations`].
#[derive(Clone, Debug)]
pub struct Client {
    dispatcher: Dispatcher<Remote, Option<HeaderMap>, AnyBackend>,
    /// `None` where no HTTP request is answered in memory.
    http: Option<Arc<Http>>,
}

impl Client {
    /// A client over `nats`, with what [`local::install`] has configured for this process, or the default.
    ///
    /// `queue_group` is the NATS queue group in which functions are served.
    ///
    /// # Errors
    ///
    /// None. It is fallible and asynchronous because upstream's is; it does no I/O and does not wait.
    pub async fn new(
        nats: impl Into<Arc<async_nats::Client>>,
        prefix: impl Into<Arc<str>>,
        queue_group: Option<Arc<str>>,
    ) -> anyhow::Result<Self> {
        Ok(Self::with_local(
            nats,
            prefix,
            queue_group,
            local::of_process(),
        ))
    }

    /// As [`Client::new`], with what its local calls share given instead of taken from the process.
    pub fn with_local(
        nats: impl Into<Arc<async_nats::Client>>,
        prefix: impl Into<Arc<str>>,
        queue_group: Option<Arc<str>>,
        local: &Local,
    ) -> Self {
        let (nats, prefix) = (nats.into(), prefix.into());
        Self {
            dispatcher: Dispatcher::new(
                Remote::new(Arc::clone(&nats), Arc::clone(&prefix), queue_group),
                Scope::new(nats),
                prefix,
                local.shared(),
            ),
            http: local.http().cloned(),
        }
    }
}

impl Invoke for Client {
    type Context = Option<HeaderMap>;
    type Outgoing = ParamWriter;
    type Incoming = Reader;

    // Not `async`: that would be a future around the one that there is, with a copy of all that is passed.
    fn invoke<P>(
        &self,
        mut cx: Self::Context,
        instance: &str,
        func: &str,
        mut params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> impl Future<Output = anyhow::Result<(Self::Outgoing, Self::Incoming)>> + Send
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let is_request = http::is_outgoing(instance, func);
        if let Some(http) = self.http.as_ref().filter(|_| is_request) {
            (cx, params) = match http.invoke(&self.dispatcher, cx, params) {
                Ok((outgoing, incoming)) => {
                    let streams = (outgoing, http::guard_body(incoming));
                    return Either::Left(ready(Ok(streams)));
                }
                Err(untouched) => untouched,
            };
        }
        let invoked = self.dispatcher.invoke(cx, instance, func, params, paths);
        match is_request {
            true => {
                Either::Right(Either::Left(invoked.map_ok(|(outgoing, incoming)| {
                    (outgoing, http::guard_body(incoming))
                })))
            }
            false => Either::Right(Either::Right(invoked)),
        }
    }
}

impl Serve for Client {
    type Context = Option<HeaderMap>;
    type Outgoing = SubjectWriter;
    type Incoming = Reader;

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
        let calls = self.dispatcher.serve(instance, func, paths).await?;
        Ok(match http::is_incoming(instance, func) {
            true => Either::Left(
                calls.map_ok(|(cx, outgoing, incoming)| (cx, outgoing, http::guard_body(incoming))),
            ),
            false => Either::Right(calls),
        })
    }
}
