//! A nats-server of one's own, and a callee that echoes.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use wrpc_transport::{Index as _, Invoke, Serve};
use wrpc_transport_nats::local::{Config, Local, Mode};
use wrpc_transport_nats::Client;

pub const INSTANCE: &str = "inhost:test/callee@1.0.0";
pub const CALLEE: &str = "default.callee";
pub const NO_PATHS: [Box<[Option<usize>]>; 0] = [];
pub const GROUP: &str = "group";

/// What nothing here should take.
pub const PROMPTLY: Duration = Duration::from_secs(60);

/// A nats-server on a free port. Dropping it ends it.
pub struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    pub async fn start() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "nats-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&folder).expect("a folder for the server");
        let process = spawn("-1", &folder);
        let ports = folder.join(format!("nats-server_{}.ports", process.id()));
        let port = until("the server says its port", || {
            let ports = std::fs::read(&ports).ok()?;
            let ports: serde_json::Value = serde_json::from_slice(&ports).ok()?;
            ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
        })
        .await;
        Self {
            process,
            folder,
            port,
        }
    }

    pub async fn connect(&self) -> Arc<async_nats::Client> {
        let client = async_nats::connect(format!("127.0.0.1:{}", self.port)).await;
        Arc::new(client.expect("a connection to the server"))
    }

    /// Ends the server, without a word to its clients.
    pub fn kill(&mut self) {
        self.process.kill().expect("the server can be killed");
        self.process.wait().expect("the server ends");
    }

    /// Starts it again, on the same port.
    pub fn restart(&mut self) {
        self.process = spawn(&self.port.to_string(), &self.folder);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: &str, folder: &Path) -> Child {
    Command::new(binary())
        .args(["-a", "127.0.0.1", "-p", port, "--ports_file_dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the nats-server starts")
}

/// The server that `NATS_SERVER` names, else one on `PATH`, else one that `cargo xtask` has fetched.
fn binary() -> PathBuf {
    let variable = std::env::var_os("NATS_SERVER").filter(|path| !path.is_empty());
    if let Some(path) = variable {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let fetched = std::fs::read_dir(target.expect("a target folder").join("tools/nats-server"));
    let fetched = fetched
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("nats-server"));
    on_path
        .chain(fetched)
        .find(|path| path.is_file())
        .expect("a nats-server: put one on PATH, or set NATS_SERVER, or run `cargo xtask test`, which fetches one")
}

/// Waits until `what` is there, and returns it.
pub async fn until<T>(name: &str, mut what: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PROMPTLY;
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long until {name}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
