//! What the cases have in common.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use inhost_dispatch::{
    Backend, CallError, Dispatcher, Incoming, Local, Mode, Modes, Outgoing, QueueLimits, Reader,
};
use inhost_registry::Scope;
use tokio::io::AsyncReadExt as _;
use wrpc_transport::{Invoke as _, Serve as _};

use crate::remote::{Null, Remote};

/// The instance and function that the cases call.
pub const INSTANCE: &str = "inhost:test/callee@1.0.0";
/// See [`INSTANCE`].
pub const FUNCTION: &str = "run";
/// The prefix of the callee that the cases call.
pub const PREFIX: &str = "default.callee";

/// What a case writes to.
pub type Out<B> = Outgoing<B, Null>;
/// What a case reads from.
pub type In<B> = Incoming<B, Null>;
/// The callee's side of a call.
pub type Taken<B> = (String, Out<B>, In<B>);

/// A client of a host.
pub type Client<B> = Dispatcher<Remote, String, B>;
/// A function that is served.
pub type Served<B> = Pin<Box<dyn Stream<Item = Taken<B>> + Send>>;

/// Runs a case that must not hang. The limit is far above what any case needs.
///
/// # Panics
///
/// When it takes longer than a minute.
pub async fn within_a_minute(name: &str, case: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(60), case)
        .await
        .unwrap_or_else(|_| panic!("{name} hangs"));
}

/// Runs `case` outside of a task. Within one, tokio's budget makes a stream that is ready look as
/// if it had to wait, now and then.
///
/// # Panics
///
/// When `case` does.
pub async fn off_task<T: Send + 'static>(case: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(case)
        .await
        .unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// A number of bytes.
///
/// # Panics
///
/// When it is zero.
pub fn limit(bytes: usize) -> NonZeroUsize {
    NonZeroUsize::new(bytes).expect("a limit above zero")
}

/// Bytes that are easy to tell from others and from themselves a little later.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// What the stream of a local call can do besides to be read.
///
/// # Panics
///
/// When it is another stream.
pub fn reader<B: Backend>(incoming: &mut In<B>) -> Reader<'_> {
    Reader::of(incoming).expect("a local stream")
}

/// A host: what its dispatchers share, and the remote transport that they fall back to.
pub struct Host<B: Backend> {
    /// What the dispatchers share.
    pub local: Arc<Local<String, B>>,
    /// The remote transport.
    pub remote: Remote,
    scope: Scope,
}

impl<B: Backend> Host<B> {
    /// A host that prefers `backend`.
    pub fn new(backend: B) -> Self {
        Self::with(backend, Mode::Prefer, QueueLimits::default())
    }

    /// A host with a mode and limits of its own.
    pub fn with(backend: B, modes: impl Into<Modes>, limits: QueueLimits) -> Self {
        Self::of(Local::new(Some(backend), modes, limits))
    }

    /// A host whose callees wait for parameters only for `limit`.
    pub fn patient(backend: B, limit: Duration) -> Self {
        let local = Local::new(Some(backend), Mode::Prefer, QueueLimits::default());
        Self::of(local.receive_within(limit))
    }

    /// A host whose modes can be changed. It begins with `mode`.
    pub fn steerable(backend: B, mode: Mode) -> Self {
        let local = Local::new(Some(backend), mode, QueueLimits::default());
        Self::of(local.steerable())
    }

    /// A host whose callees take `limit` bytes of parameters.
    pub fn small(backend: B, limit: usize) -> Self {
        let local = Local::new(Some(backend), Mode::Prefer, QueueLimits::default());
        Self::of(local.receive_at_most(limit))
    }

    fn of(local: Local<String, B>) -> Self {
        Self {
            local: Arc::new(local),
            remote: Remote::default(),
            scope: Scope::new(Arc::new(())),
        }
    }

    /// Another host in the same process: it shares the registry, and has a connection of its own.
    pub fn neighbour(&self) -> Self {
        Self {
            local: Arc::clone(&self.local),
            remote: Remote::default(),
            scope: Scope::new(Arc::new(())),
        }
    }

    /// A client for [`PREFIX`].
    pub fn client(&self) -> Client<B> {
        self.client_for(PREFIX)
    }

    /// A client for `prefix`.
    pub fn client_for(&self, prefix: &str) -> Client<B> {
        Dispatcher::new(
            self.remote.clone(),
            self.scope.clone(),
            prefix.into(),
            Arc::clone(&self.local),
        )
    }

    /// Serves [`FUNCTION`].
    ///
    /// # Panics
    ///
    /// When it cannot be served.
    pub async fn serve(&self) -> Served<B> {
        self.serve_function(&self.client(), FUNCTION).await
    }

    /// Has `client` serve `function`.
    ///
    /// # Panics
    ///
    /// When it cannot be served.
    pub async fn serve_function(&self, client: &Client<B>, function: &str) -> Served<B> {
        let served = client.serve(INSTANCE, function, []).await;
        let served = served.expect("the function can be served");
        Box::pin(served.map(|taken| taken.expect("the invocation can be taken")))
    }

    /// Calls [`FUNCTION`].
    ///
    /// # Errors
    ///
    /// Those of [`wrpc_transport::Invoke::invoke`].
    pub async fn invoke(
        &self,
        context: &str,
        params: impl Into<Bytes>,
    ) -> anyhow::Result<(Out<B>, In<B>)> {
        self.invoke_function(FUNCTION, context, params).await
    }

    /// Calls `function`.
    ///
    /// # Errors
    ///
    /// Those of [`wrpc_transport::Invoke::invoke`].
    pub async fn invoke_function(
        &self,
        function: &str,
        context: &str,
        params: impl Into<Bytes>,
    ) -> anyhow::Result<(Out<B>, In<B>)> {
        let paths: [&[Option<usize>]; 0] = [];
        self.client()
            .invoke(context.into(), INSTANCE, function, params.into(), paths)
            .await
    }

    /// Both sides of a call: the caller's, then the callee's.
    ///
    /// # Panics
    ///
    /// When the call does not start.
    pub async fn call(&self, params: impl Into<Bytes>) -> ((Out<B>, In<B>), (Out<B>, In<B>)) {
        let mut served = pin!(self.serve().await);
        let caller = self.invoke("", params).await.expect("the call starts");
        let (_, outgoing, incoming) = served.next().await.expect("the call arrives");
        (caller, (outgoing, incoming))
    }
}

/// Everything up to the end of the stream.
///
/// # Errors
///
/// That of the stream.
pub async fn read_all<B: Backend>(incoming: &mut In<B>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    incoming.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The error of a call inside an I/O error.
///
/// # Panics
///
/// When there is none.
pub fn call_error(error: &io::Error) -> &CallError {
    error
        .get_ref()
        .and_then(|error| error.downcast_ref())
        .unwrap_or_else(|| panic!("{error:?} does not hold a `CallError`"))
}
