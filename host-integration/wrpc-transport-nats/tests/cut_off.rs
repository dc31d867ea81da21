//! HTTP messages whose sender goes in the middle: whoever reads one learns of it, and never takes it for a whole one.
#![cfg(any(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use wrpc_interface_http::bindings::exports::wrpc::http::incoming_handler;
use wrpc_interface_http::bindings::wrpc::http::outgoing_handler;
use wrpc_interface_http::bindings::wrpc::http::types::{
    ErrorCode, Fields, Method, Request, Response, Scheme,
};
use wrpc_transport::{Index, Invoke as _, Serve as _};
use wrpc_transport_nats::local::{BackendKind, Config, Local, Mode};
use wrpc_transport_nats::Client;

use support::{promptly, settle, Server, Task};

mod support;

const INCOMING: &str = "wrpc:http/incoming-handler@0.1.0";
const OUTGOING: &str = "wrpc:http/outgoing-handler@0.1.0";
const ORDERS: &str = "default.orders";
const CLIENT: &str = "default.http-client";

/// A `GET` of `/` from `orders`, without headers. Body and trailers follow.
const REQUEST: &[u8] = b"\0\0\0\x01\x01/\x01\0\x01\x06orders\0";

/// An answer with status 200, without headers. Body and trailers follow.
const RESPONSE: &[u8] = b"\0\0\0\xc8\x01\0";

/// What of a body and of its trailers is sent, before the sender goes.
struct Sent {
    body: &'static [u8],
    trailers: &'static [u8],
}

/// What was read of a body, and its trailers.
type Read = (Vec<u8>, Option<Fields>);

impl Sent {
    const ALL: [(Self, &'static [u8], Trailers); 14] = [
        (Self::new(b"\x03abc\0", b"\0"), b"abc", Trailers::None),
        (Self::new(b"\0", b"\0"), b"", Trailers::None),
        (
            Self::new(b"\x01a\x02bc\0", b"\x01\x01\x01t\x01\x01v"),
            b"abc",
            Trailers::Some,
        ),
        // The body breaks off: at its beginning, after a piece, in one, and in its length.
        (Self::new(b"", b""), b"", Trailers::Invalid),
        (Self::new(b"\x03abc", b""), b"abc", Trailers::Invalid),
        (Self::new(b"\x03abc\x02d", b""), b"abc", Trailers::Invalid),
        (Self::new(b"\x03abc\x80", b""), b"abc", Trailers::Invalid),
        // The same, and the trailers are there.
        (Self::new(b"", b"\0"), b"", Trailers::Invalid),
        (Self::new(b"\x03abc", b"\0"), b"abc", Trailers::Invalid),
        (Self::new(b"\x03abc\x02d", b"\0"), b"abc", Trailers::Invalid),
        // The trailers break off: at their beginning, and in the middle.
        (Self::new(b"\x03abc\0", b""), b"abc", Trailers::Invalid),
        (
            Self::new(b"\x03abc\0", b"\x01\x02\x01t\x01\x01v"),
            b"abc",
            Trailers::Invalid,
        ),
        // What is no length is not read with what comes with it, and what is no option.
        (
            Self::new(b"\x03abc\xff\xff\xff\xff\xff\xff", b"\0"),
            b"",
            Trailers::Invalid,
        ),
        (Self::new(b"\x03abc\0", b"\x07"), b"abc", Trailers::Invalid),
    ];

    const fn new(body: &'static [u8], trailers: &'static [u8]) -> Self {
        Self { body, trailers }
    }

    /// Sends it at `root`, and goes.
    async fn send<W>(&self, root: &W, trailers_first: bool)
    where
        W: Index<W> + tokio::io::AsyncWrite + Unpin,
    {
        let path = |at| root.index(&[0, at]).expect("the path is free");
        let mut parts = [(path(0), self.body), (path(1), self.trailers)];
        if trailers_first {
            parts.reverse();
        }
        for (mut stream, bytes) in parts {
            stream.write_all(bytes).await.expect("it is read");
        }
    }
}

#[derive(Clone, Copy)]
enum Trailers {
    None,
    Some,
    /// None that an HTTP library takes for such: there is no name.
    Invalid,
}

impl Trailers {
    fn check(self, trailers: Option<Fields>) {
        let expected = match self {
            Self::None => None,
            Self::Some => Some(vec![("t".to_owned(), vec![Bytes::from("v")])]),
            Self::Invalid => Some(vec![(String::new(), vec![])]),
        };
        assert_eq!(trailers, expected);
    }
}

/// Answers with nothing, and hands on what it has read.
#[derive(Clone)]
struct Target(mpsc::UnboundedSender<Read>);

impl incoming_handler::Handler<Option<HeaderMap>> for Target {
    async fn handle(
        &self,
        _: Option<HeaderMap>,
        request: Request,
    ) -> anyhow::Result<Result<Response, ErrorCode>> {
        let body: Vec<Bytes> = request.body.collect().await;
        let read = (body.concat(), request.trailers.await);
        self.0.send(read).expect("it is waited for");
        Ok(Err(ErrorCode::ConfigurationError))
    }
}

fn client(nats: &Arc<async_nats::Client>, prefix: &str, config: Config) -> Client {
    let local = Local::new(config).expect("the backend");
    let name = "orders".parse().expect("a name");
    local.offer_http(ORDERS, vec![name]);
    Client::with_local(Arc::clone(nats), prefix, None, &local)
}

/// A host's configuration for each route: over NATS, and in memory over each backend.
fn routes() -> Vec<Config> {
    let off = Config {
        mode: Mode::Off,
        ..Config::default()
    };
    let kinds = BackendKind::compiled_in().iter().map(|kind| Config {
        backend: Some(*kind),
        http: [("orders".parse().expect("a name"), "orders".to_owned())].into(),
        ..Config::default()
    });
    std::iter::once(off).chain(kinds).collect()
}

#[tokio::test]
async fn a_request_that_breaks_off_is_an_error_to_who_answers_it() {
    let server = Server::start().await;
    let nats = server.connect().await;
    for config in routes() {
        let client = client(&nats, ORDERS, config);
        let (tell, mut told) = mpsc::unbounded_channel();
        let calls = incoming_handler::serve_interface(&client, Target(tell)).await;
        let [(_, _, calls)] = calls.expect("served");
        let _serving = Task::spawn(async move {
            let calls = calls.filter_map(|call| async { call.ok() });
            calls
                .for_each_concurrent(None, |call| async { drop(call.await) })
                .await;
        });
        settle(&nats).await;
        for (sent, body, trailers) in Sent::ALL {
            for trailers_first in [false, true] {
                let paths = [[Some(0), Some(0)], [Some(0), Some(1)]];
                let request = Bytes::from_static(REQUEST);
                let called = client.invoke(None, INCOMING, "handle", request, paths);
                let (mut params, _results) = promptly(called).await.expect("it is sent");
                params.shutdown().await.expect("it is taken");
                sent.send(&params, trailers_first).await;
                drop(params);
                let (read, came) = promptly(told.recv()).await.expect("it is read");
                assert_eq!(read, body);
                trailers.check(came);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_to_who_made_the_request() {
    let server = Server::start().await;
    let nats = server.connect().await;
    for config in routes() {
        let (prefix, instance) = match config.mode {
            Mode::Off => (CLIENT, OUTGOING),
            _ => (ORDERS, INCOMING),
        };
        let local = Local::new(config).expect("the backend");
        local.offer_http(ORDERS, vec!["orders".parse().expect("a name")]);
        let of = |prefix| Client::with_local(Arc::clone(&nats), prefix, None, &local);
        let paths: [Box<[Option<usize>]>; 0] = [];
        let serving = of(prefix);
        let calls = serving.serve(instance, "handle", paths).await;
        let mut calls = Box::pin(calls.expect("served"));
        settle(&nats).await;
        let client = of(CLIENT);
        for (sent, body, trailers) in Sent::ALL {
            for trailers_first in [false, true] {
                let request = Request {
                    body: Box::pin(futures::stream::empty()),
                    trailers: Box::pin(async { None }),
                    method: Method::Get,
                    path_with_query: None,
                    scheme: Some(Scheme::Http),
                    authority: Some("orders".into()),
                    headers: vec![],
                };
                let asks = outgoing_handler::handle(&client, None, request, None);
                let answers = async {
                    let call = calls.try_next().await.expect("a call");
                    let (_, mut results, _params) = call.expect("it goes on");
                    results.write_all(RESPONSE).await.expect("it is read");
                    results.shutdown().await.expect("it is read");
                    sent.send(&results, trailers_first).await;
                };
                let (answer, ()) = promptly(async { tokio::join!(asks, answers) }).await;
                let (response, io) = answer.expect("an answer");
                let response = response.expect("a response");
                let read = async {
                    let body: Vec<Bytes> = response.body.collect().await;
                    (body.concat(), response.trailers.await)
                };
                let io = Task::spawn(async {
                    if let Some(io) = io {
                        let _ = io.await;
                    }
                });
                let (read, came) = promptly(read).await;
                drop(io);
                assert_eq!(read, body);
                trailers.check(came);
            }
        }
    }
}
