//! A nats-server of one's own, and a callee that echoes.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use inhost_testbed::NatsServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;
use tokio::task::{spawn_blocking, JoinHandle};
use wrpc_transport::{Index as _, Invoke, Serve};
use wrpc_transport_nats::local::{Config, Local, Mode};
use wrpc_transport_nats::Client;

pub const INSTANCE: &str = "inhost:test/callee@1.0.0";
pub const CALLEE: &str = "default.callee";
pub const NO_PATHS: [Box<[Option<usize>]>; 0] = [];
pub const GROUP: &str = "group";

/// What nothing here should take.
pub const PROMPTLY: Duration = Duration::from_secs(60);

/// A nats-server of a test's own. Dropping it ends it.
pub struct Server(NatsServer);

impl Server {
    pub async fn start() -> Self {
        // A test may be one that is moved from thread to thread, and what starts a server is not.
        let runtime = Handle::current();
        let server = spawn_blocking(move || runtime.block_on(NatsServer::start()));
        Self(server.await.expect("no panic").expect("a nats-server"))
    }

    pub async fn connect(&self) -> Arc<async_nats::Client> {
        let client = self.0.client().await;
        Arc::new(client.expect("a connection to the server"))
    }

    /// Ends the server, without a word to its clients.
    pub fn kill(&self) {
        self.0.kill();
    }

    /// Starts it again, on the same port.
    pub async fn restart(&self) {
        self.0.restart().await.expect("the server starts again");
    }
}

/// Waits until `holds`. `what` says what is wrong when it does not.
pub async fn until(what: &str, holds: impl FnMut() -> bool) {
    let held = inhost_testbed::until_known(what, PROMPTLY, holds).await;
    held.unwrap_or_else(|error| panic!("{error}"));
}

/// Waits until the server knows what has been subscribed over `nats`.
pub async fn settle(nats: &async_nats::Client) {
    // It answers in order, and says that no one is there.
    let answer = nats.request("no.one", Bytes::new()).await;
    answer.expect_err("the server's answer");
}

/// Fails instead of hanging.
pub async fn promptly<T>(what: impl std::future::Future<Output = T>) -> T {
    tokio::time::timeout(PROMPTLY, what)
        .await
        .expect("this takes too long: something hangs")
}

/// Runs a test that has upstream's client on one side, again when it fails, and passes when one run does.
///
/// That client hears of a call and of its messages in random order, and drops a message of a call that it has not heard
/// of. So a single run can fail for no fault of ours; what is broken fails each time.
#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it with the failed test"
)]
pub async fn upstream_may_lose_calls<T>(test: impl Fn() -> T)
where
    T: std::future::Future<Output = ()> + Send + 'static,
{
    const ATTEMPTS: usize = 5;
    const LOST: Duration = Duration::from_secs(20);
    for attempt in 1..=ATTEMPTS {
        let run = tokio::spawn(tokio::time::timeout(LOST, test()));
        let failure = match run.await {
            Ok(Ok(())) => return,
            Ok(Err(_)) => format!("it took longer than {LOST:?}"),
            Err(panic) => panic.to_string(),
        };
        assert!(
            attempt < ATTEMPTS,
            "failed {ATTEMPTS} times, at last: {failure}"
        );
        eprintln!("attempt {attempt} of {ATTEMPTS}: {failure}");
    }
}

/// Our client, with all calls over NATS.
pub fn ours(nats: &Arc<async_nats::Client>, group: Option<&str>) -> Client {
    let local = Local::new(Config {
        mode: Mode::Off,
        ..Config::default()
    })
    .expect("the default backend");
    Client::with_local(Arc::clone(nats), CALLEE, group.map(Arc::from), &local)
}

/// The published crate's.
pub async fn stock(nats: &Arc<async_nats::Client>, group: Option<&str>) -> upstream::Client {
    upstream::Client::new(Arc::clone(nats), CALLEE, group.map(Arc::from))
        .await
        .expect("upstream's client")
}

/// A task that ends when this is dropped.
pub struct Task(JoinHandle<()>);

impl Task {
    pub fn spawn(task: impl std::future::Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves `echo`: what comes in at the root goes out at the root, and the same for the path of `nested`.
pub async fn serve_echo<S>(callee: S, nested: Option<&'static [usize]>) -> Task
where
    S: Serve<Context = Option<HeaderMap>> + 'static,
{
    let paths: Vec<Box<[Option<usize>]>> = nested
        .iter()
        .map(|path| path.iter().copied().map(Some).collect())
        .collect();
    let calls = callee.serve(INSTANCE, "echo", paths).await.expect("serve");
    Task::spawn(async move {
        let mut calls = std::pin::pin!(calls);
        while let Some(call) = calls.next().await {
            let (_, mut outgoing, mut incoming) = call.expect("a call that is answered");
            tokio::spawn(async move {
                let nested = nested.map(|path| {
                    let incoming = incoming.index(path).expect("the nested parameters");
                    (outgoing.index(path).expect("the nested results"), incoming)
                });
                let mut bytes = Vec::new();
                incoming.read_to_end(&mut bytes).await.expect("parameters");
                outgoing.write_all(&bytes).await.expect("results");
                outgoing.shutdown().await.expect("the end of the results");
                if let Some((mut outgoing, mut incoming)) = nested {
                    tokio::io::copy(&mut incoming, &mut outgoing)
                        .await
                        .expect("nested");
                    outgoing.shutdown().await.expect("the end of them");
                }
            });
        }
    })
}

/// Calls `echo`, and returns what comes back.
pub async fn call_echo<I>(caller: &I, params: impl Into<Bytes>) -> anyhow::Result<Vec<u8>>
where
    I: Invoke<Context = Option<HeaderMap>>,
{
    let (mut outgoing, mut incoming) = caller
        .invoke(None, INSTANCE, "echo", params.into(), NO_PATHS)
        .await?;
    let mut bytes = Vec::new();
    let (sent, read) = tokio::join!(outgoing.shutdown(), incoming.read_to_end(&mut bytes));
    sent?;
    read?;
    Ok(bytes)
}

/// Bytes that are not the same everywhere.
pub fn payload(len: usize) -> Bytes {
    (0..len).map(|i| (i * i / 7 % 251) as u8).collect()
}
