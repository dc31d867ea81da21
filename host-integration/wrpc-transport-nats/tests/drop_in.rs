//! What the drop-in promises beside upstream's API. No server is needed: a client that has never been connected
//! takes subscriptions and publishes nothing.
#![allow(missing_docs)]

use std::sync::Arc;

use wrpc_transport_nats::local::{BackendKind, Config, InstallError, Local, Mode};
use wrpc_transport_nats::Client;

/// A NATS client whose server is not there. Whatever waits for an answer from it waits for ever.
async fn unconnected() -> Arc<async_nats::Client> {
    // Port 9 is the discard service: nothing listens there.
    let client = async_nats::ConnectOptions::new()
        .retry_on_initial_connect()
        .connect("127.0.0.1:9")
        .await
        .expect("a client that connects later");
    Arc::new(client)
}

fn config(mode: Mode, backend: Option<BackendKind>) -> Config {
    Config {
        mode,
        backend,
        ..Config::default()
    }
}

#[test]
fn a_backend_that_is_not_compiled_in_is_an_error_that_names_the_feature() {
    for kind in [BackendKind::Duplex, BackendKind::Mpsc] {
        let made = Local::new(config(Mode::Prefer, Some(kind)));
        if kind.is_compiled_in() {
            assert_eq!(made.expect("a backend").config().backend, Some(kind));
        } else {
            let error = made.expect_err("no such backend in this build");
            assert_eq!(
                error.clone(),
                InstallError::BackendNotCompiledIn { backend: kind }
            );
            let text = error.to_string();
            assert!(text.contains(&format!("--features {kind}")), "{text}");
        }
    }
}

#[test]
fn the_default_is_the_first_backend_of_the_build() {
    let local = Local::new(Config::default()).expect("the default fits any build");
    assert_eq!(
        local.config().backend,
        BackendKind::compiled_in().first().copied()
    );
    assert_eq!(local.config().mode, Mode::Prefer);
}

#[test]
fn names_are_read_as_they_are_written() {
    for kind in [BackendKind::Duplex, BackendKind::Mpsc] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let error = "tcp".parse::<BackendKind>().expect_err("no backend");
    assert!(error.to_string().contains("`tcp`"), "{error}");
}

#[test]
fn the_status_is_what_scripts_expect() {
    let local = Local::new(config(Mode::Off, None)).expect("the default fits any build");
    let status = serde_json::to_value(local.status()).expect("JSON");
    assert_eq!(status["mode"], "off");
    for route in ["local", "remote", "spilled", "fallback"] {
        assert_eq!(status["calls"][route], 0);
    }
    assert_eq!(status["endpoints"], serde_json::json!([]));
}

#[tokio::test]
async fn making_a_client_needs_no_server() {
    let nats = unconnected().await;
    let client = Client::new(nats, "default.caller", None)
        .await
        .expect("a client");
    assert!(format!("{client:?}").contains("default.caller"));
}

#[cfg(any(feature = "duplex", feature = "mpsc"))]
mod local_calls {
    use std::time::Duration;

    use bytes::Bytes;
    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wrpc_transport::{Invoke as _, Serve as _};

    use super::*;

    const INSTANCE: &str = "inhost:test/callee@1.0.0";
    const NO_PATHS: [&[Option<usize>]; 0] = [];

    #[tokio::test]
    async fn a_local_call_touches_no_server() {
        for kind in BackendKind::compiled_in() {
            let local = Local::new(config(Mode::Prefer, Some(*kind))).expect("a backend");
            let nats = unconnected().await;
            let callee = Client::with_local(Arc::clone(&nats), "default.callee", None, &local);
            let mut served = Box::pin(callee.serve(INSTANCE, "run", []).await.expect("serve"));
            let endpoints = local.status().endpoints;
            assert_eq!(endpoints.len(), 1);
            assert_eq!(&*endpoints[0].prefix, "default.callee");

            // The host makes a new client for each call, over its one connection.
            let caller = Client::with_local(nats, "default.callee", None, &local);
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("source-id", "caller");
            let (mut params, mut results) = caller
                .invoke(
                    Some(headers.clone()),
                    INSTANCE,
                    "run",
                    Bytes::from("in"),
                    NO_PATHS,
                )
                .await
                .expect("invoke");
            params.shutdown().await.expect("shutdown");

            let (context, mut outgoing, mut incoming) =
                served.next().await.expect("an invocation").expect("taken");
            assert_eq!(context, Some(headers), "the headers arrive untouched");
            let mut bytes = Vec::new();
            incoming.read_to_end(&mut bytes).await.expect("parameters");
            assert_eq!(bytes, b"in");
            outgoing.write_all(b"out").await.expect("write");
            outgoing.shutdown().await.expect("shutdown");
            let mut bytes = Vec::new();
            results.read_to_end(&mut bytes).await.expect("results");
            assert_eq!(bytes, b"out");

            let calls = local.status().calls;
            assert_eq!((calls.local, calls.remote), (1, 0));
            drop(served);
            assert!(local.status().endpoints.is_empty());
        }
    }

    #[tokio::test]
    async fn another_connection_is_another_scope() {
        let local = Local::new(Config::default()).expect("the default fits any build");
        let callee = Client::with_local(unconnected().await, "default.callee", None, &local);
        let mut served = Box::pin(callee.serve(INSTANCE, "run", []).await.expect("serve"));
        let caller = Client::with_local(unconnected().await, "default.callee", None, &local);
        // A server that is not there is waited for.
        let sent = std::pin::pin!(caller.invoke(None, INSTANCE, "run", Bytes::new(), NO_PATHS));
        let done = tokio::time::timeout(
            Duration::from_millis(50),
            futures::future::select(sent, served.next()),
        )
        .await;
        assert!(
            done.is_err(),
            "a call crossed from one connection to another"
        );
        assert_eq!(local.status().calls.remote, 1);
    }
}
