//! A calls B, and B fails because the C that it calls is not there. Whichever way the two calls go,
//! nobody may take it that B is not there: the host library would call an older interface of it,
//! and B would run twice.
#![cfg(any(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use async_nats::HeaderMap;
use futures::StreamExt as _;
use inhost_dispatch::Caller;
use wrpc_transport::{Index, Invoke, InvokeExt as _, Serve as _};
use wrpc_transport_nats::local::{BackendKind, Config, Local, Mode};
use wrpc_transport_nats::{Client, SubjectWriter};

use support::{ours, promptly, settle, stock, upstream_may_lose_calls, Server, Task};
use support::{CALLEE, GROUP, INSTANCE, NO_PATHS};

mod support;

/// Where B and what it calls are, as seen from who calls them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Memory,
    Nats,
}

const WAYS: [Way; 2] = [Way::Memory, Way::Nats];

fn local(mode: Mode, kind: BackendKind) -> Local {
    let config = Config {
        mode,
        backend: Some(kind),
        ..Config::default()
    };
    Local::new(config).expect("the backend")
}

fn client(nats: &Arc<async_nats::Client>, local: &Local) -> Client {
    Client::with_local(Arc::clone(nats), CALLEE, Some(GROUP.into()), local)
}

/// The only rule by which the host library and the runtime tell a call that found no one from one that failed.
fn finds_no_one(error: &anyhow::Error) -> bool {
    let root = error.root_cause().downcast_ref::<io::Error>();
    root.is_some_and(|error| error.kind() == io::ErrorKind::NotConnected)
}

async fn call<I>(caller: &I, function: &str) -> anyhow::Error
where
    I: Invoke<Context = Option<HeaderMap>>,
    I::Outgoing: Index<I::Outgoing>,
{
    let called = caller.invoke_values(None, INSTANCE, function, (1_u32,), NO_PATHS);
    let called = promptly(called).await;
    let Ok::<((u32,), _), _>(_) = called else {
        return called.err().expect("it is not `Ok`");
    };
    panic!("`{function}` has answered");
}

/// Serves `middle`, which calls `absent` over `to_c` and fails because of that, as the runtime fails.
async fn serve_middle(client: &Client, to_c: Client, ran: &Arc<AtomicUsize>) -> Task {
    let calls = client.serve(INSTANCE, "middle", []).await.expect("serve");
    let ran = Arc::clone(ran);
    Task::spawn(async move {
        let mut calls = std::pin::pin!(calls);
        while let Some(called) = calls.next().await {
            let (_, results, _params): (_, SubjectWriter, _) = called.expect("a call");
            ran.fetch_add(1, Ordering::SeqCst);
            let caller = Caller::of(&results);
            caller.iter().for_each(Caller::started);
            let error = call(&to_c, "absent").await;
            assert!(finds_no_one(&error), "C is not there: {error:#}");
            if let Some(caller) = caller {
                caller.failed(error.context("the component trapped").as_ref());
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_that_ran_is_not_taken_for_absent_on_any_route() {
    let server = Server::start().await;
    for kind in BackendKind::compiled_in() {
        for (to_b, to_c) in WAYS.into_iter().flat_map(|b| WAYS.map(|c| (b, c))) {
            let (near, far) = (server.connect().await, server.connect().await);
            let shared = local(Mode::Prefer, *kind);
            // In memory, one that is not there is refused at once.
            let inner = match to_c {
                Way::Memory => client(&near, &local(Mode::Require, *kind)),
                Way::Nats => client(&near, &shared),
            };
            let ran = Arc::default();
            let b = client(&near, &shared);
            let _b = serve_middle(&b, inner, &ran).await;
            settle(&near).await;
            let caller = match to_b {
                Way::Memory => client(&near, &shared),
                Way::Nats => ours(&far, None),
            };
            let error = call(&caller, "middle").await;
            assert!(
                !finds_no_one(&error),
                "{kind}, {to_b:?}, {to_c:?}: {error:#}"
            );
            assert_eq!(ran.load(Ordering::SeqCst), 1, "{kind}, {to_b:?}, {to_c:?}");
            let text = format!("{error:#}");
            if to_b == Way::Memory {
                // Nothing of the cause is lost with its class.
                for part in ["middle", "the component trapped", "absent"] {
                    assert!(text.contains(part), "`{part}` is not in: {text}");
                }
            }
            assert_eq!(shared.status().calls.local, u64::from(to_b == Way::Memory));
        }
    }
}

/// A peer with the published crates comes to the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_stock_caller_does_not_take_a_callee_that_ran_for_absent() {
    upstream_may_lose_calls(|| async {
        let server = Server::start().await;
        let (near, far) = (server.connect().await, server.connect().await);
        let shared = Local::new(Config::default()).expect("the default backend");
        let b = client(&near, &shared);
        let ran = Arc::default();
        let _b = serve_middle(&b, b.clone(), &ran).await;
        settle(&near).await;
        let error = call(&stock(&far, None).await, "middle").await;
        assert!(!finds_no_one(&error), "{error:#}");
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        let error = call(&stock(&far, None).await, "nothing").await;
        assert!(finds_no_one(&error), "{error:#}");
    })
    .await;
}
