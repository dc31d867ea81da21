//! Requests that the host library's encoder makes to an HTTP client: which of them a component here
//! answers, and what both sides see.
#![cfg(any(feature = "duplex", feature = "mpsc"))]
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::Notify;
use wrpc_interface_http::bindings::exports::wrpc::http::{
    incoming_handler, outgoing_handler as client,
};
use wrpc_interface_http::bindings::wrpc::http::outgoing_handler;
use wrpc_interface_http::bindings::wrpc::http::types::{
    ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme,
};
use wrpc_transport::Invoke as _;
use wrpc_transport_nats::local::{BackendKind, Config, Local, Mode};
use wrpc_transport_nats::Client;

use support::{promptly, settle, until, Server, Task, NO_PATHS};

mod support;

const CLIENT: &str = "default.http-client";
const ORDERS: &str = "default.orders";

/// Answers requests.
#[derive(Clone, Default)]
struct Target {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// It answers once this lets it, if it does.
    lets: Option<Arc<Notify>>,
    /// It fails instead.
    fails: bool,
    /// It answers without a look at the body.
    is_early: bool,
    status: u16,
}

/// A request as it arrived.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    body: Vec<u8>,
    trailers: Option<Vec<(String, Vec<Vec<u8>>)>>,
    method: String,
    path: Option<String>,
    scheme: String,
    authority: Option<String>,
    headers: Vec<(String, Vec<Vec<u8>>)>,
}

fn plain(fields: Fields) -> Vec<(String, Vec<Vec<u8>>)> {
    let fields = fields.into_iter();
    let values = |values: Vec<Bytes>| values.into_iter().map(Vec::from).collect();
    fields.map(|(name, it)| (name, values(it))).collect()
}

fn fields(name: &str, value: &str) -> Fields {
    vec![(name.into(), vec![Bytes::copy_from_slice(value.as_bytes())])]
}

impl Target {
    async fn answer(&self, request: Request) -> anyhow::Result<Result<Response, ErrorCode>> {
        if let Some(lets) = &self.lets {
            lets.notified().await;
        }
        anyhow::ensure!(!self.fails, "it was to fail");
        let mut asked = Asked {
            method: format!("{:?}", request.method),
            path: request.path_with_query,
            scheme: format!("{:?}", request.scheme),
            authority: request.authority,
            headers: plain(request.headers),
            ..Asked::default()
        };
        if !self.is_early {
            let body: Vec<Bytes> = request.body.collect().await;
            asked.body = body.concat();
            asked.trailers = request.trailers.await.map(plain);
        }
        self.asked.lock().expect("no one panics").push(asked);
        Ok(Ok(Response {
            body: Box::pin(stream::iter(["an ", "answer"].map(Bytes::from))),
            trailers: Box::pin(async { Some(fields("x-end", "yes")) }),
            status: self.status,
            headers: fields("x-answer", "yes"),
        }))
    }
}

impl incoming_handler::Handler<Option<HeaderMap>> for Target {
    async fn handle(
        &self,
        _: Option<HeaderMap>,
        request: Request,
    ) -> anyhow::Result<Result<Response, ErrorCode>> {
        self.answer(request).await
    }
}

impl client::Handler<Option<HeaderMap>> for Target {
    async fn handle(
        &self,
        _: Option<HeaderMap>,
        request: Request,
        _: Option<RequestOptions>,
    ) -> anyhow::Result<Result<Response, ErrorCode>> {
        self.answer(request).await
    }
}

type Calls = Pin<
    Box<
        dyn Stream<Item = anyhow::Result<Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>>>
            + Send,
    >,
>;

fn run(calls: Calls) -> Task {
    Task::spawn(async move {
        // One that fails is its caller's.
        let calls = calls.filter_map(|call| async { call.ok() });
        calls
            .for_each_concurrent(None, |call| async { drop(call.await) })
            .await;
    })
}

/// Everything: a host with a component that answers, and a client elsewhere.
struct World {
    _server: Server,
    nats: Arc<async_nats::Client>,
    local: Local,
    /// Requests that went to the client, over NATS.
    elsewhere: Target,
    _client: Task,
}

impl World {
    async fn new(kind: BackendKind, configure: impl FnOnce(&mut Config)) -> Self {
        let server = Server::start().await;
        let nats = server.connect().await;
        let names =
            ["orders", "slow:8080"].map(|name| (name.parse().expect("a name"), "orders".into()));
        let mut config = Config {
            backend: Some(kind),
            http: BTreeMap::from(names),
            ..Config::default()
        };
        configure(&mut config);
        let local = Local::new(config).expect("the backend");
        local.offer_http(ORDERS, vec!["orders".parse().expect("a name")]);
        let elsewhere = Target {
            status: 299,
            ..Target::default()
        };
        let away = server.connect().await;
        let off = Local::new(Config {
            mode: Mode::Off,
            ..Config::default()
        });
        let serving = Client::with_local(Arc::clone(&away), CLIENT, None, &off.expect("it is off"));
        let [(_, _, calls)] = client::serve_interface(&serving, elsewhere.clone())
            .await
            .expect("served");
        let client = run(Box::pin(calls.map_ok(|it| Box::pin(it) as _)));
        settle(&away).await;
        Self {
            _server: server,
            nats,
            local,
            elsewhere,
            _client: client,
        }
    }

    fn client(&self, prefix: &str) -> Client {
        Client::with_local(Arc::clone(&self.nats), prefix, None, &self.local)
    }

    async fn serve(&self, target: &Target) -> Task {
        let calls = incoming_handler::serve_interface(&self.client(ORDERS), target.clone()).await;
        let [(_, _, calls)] = calls.expect("served");
        run(Box::pin(calls.map_ok(|it| Box::pin(it) as _)))
    }

    /// Makes a request. Answers with status, headers, body and trailers.
    async fn fetch(
        &self,
        request: Request,
        options: Option<RequestOptions>,
    ) -> anyhow::Result<Result<(u16, Vec<u8>, bool), ErrorCode>> {
        let client = self.client(CLIENT);
        let fetched = async {
            let (response, io) = outgoing_handler::handle(&client, None, request, options).await?;
            let response = match response {
                Ok(response) => response,
                Err(code) => return Ok(Err(code)),
            };
            assert_eq!(plain(response.headers), plain(fields("x-answer", "yes")));
            let io = Task::spawn(async move {
                if let Some(io) = io {
                    let _ = io.await;
                }
            });
            let body: Vec<Bytes> = response.body.collect().await;
            let has_trailers = response.trailers.await.is_some();
            drop(io);
            Ok(Ok((response.status, body.concat(), has_trailers)))
        };
        promptly(fetched).await
    }

    async fn status(&self, request: Request, options: Option<RequestOptions>) -> u16 {
        let fetched = self.fetch(request, options).await.expect("it is answered");
        fetched.expect("there is a response").0
    }
}

fn request(authority: &str, body: Vec<Bytes>, trailers: Option<Fields>) -> Request {
    Request {
        body: Box::pin(stream::iter(body)),
        trailers: Box::pin(async { trailers }),
        method: Method::Post,
        path_with_query: Some("/path?query".into()),
        scheme: Some(Scheme::Http),
        authority: Some(authority.into()),
        headers: fields("host", authority),
    }
}

fn within(first_byte: Duration) -> Option<RequestOptions> {
    let nanos = u64::try_from(first_byte.as_nanos()).expect("it is short");
    Some(RequestOptions {
        connect_timeout: Some(1),
        first_byte_timeout: Some(nanos),
        between_bytes_timeout: Some(1),
    })
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_component_here_answers_requests_with_and_without_body_and_trailers() {
    for kind in BackendKind::compiled_in() {
        let world = World::new(*kind, |_| ()).await;
        let target = Target {
            status: 200,
            ..Target::default()
        };
        let _serving = world.serve(&target).await;
        let large = vec![Bytes::from(vec![b'x'; 100_000]); 10];
        for (body, trailers) in [
            (vec![], None),
            (vec![Bytes::from("a body")], None),
            (
                vec![Bytes::from("a body")],
                Some(fields("x-trailer", "yes")),
            ),
            (large, Some(vec![])),
            (vec![], Some(fields("x-trailer", "yes"))),
        ] {
            let sent = request("orders", body.clone(), trailers.clone());
            let answer = world
                .fetch(sent, within(LONG))
                .await
                .expect("it is answered");
            assert_eq!(
                answer.expect("a response"),
                (200, b"an answer".into(), true)
            );
            let asked = std::mem::take(&mut *target.asked.lock().expect("no one panics"));
            let mut headers = plain(fields("host", "orders"));
            headers.extend(plain(fields("user-agent", "wasmcloud-local-http")));
            let expected = Asked {
                body: body.concat(),
                trailers: trailers.map(plain),
                method: "Method::Post".into(),
                path: Some("/path?query".into()),
                scheme: "Some(Scheme::Http)".into(),
                authority: Some("orders".into()),
                headers,
            };
            assert_eq!(asked, [expected], "{kind}");
        }
        let status = world.local.status();
        assert_eq!((status.calls.local, status.calls.remote), (5, 0));
        let [function] = &*status.functions else {
            panic!("one function is called: {:?}", status.functions);
        };
        assert_eq!((&*function.prefix, &*function.function), (ORDERS, "handle"));
        assert!(function.instance.starts_with("wrpc:http/incoming-handler@"));
        assert_eq!(
            world.elsewhere.asked.lock().expect("no one panics").len(),
            0
        );
    }
}

#[tokio::test]
async fn a_request_goes_to_the_client_unless_all_agree_that_a_component_here_answers() {
    let world = World::new(BackendKind::compiled_in()[0], |config| {
        config.steerable = true;
    })
    .await;
    let ask = async |authority: &str| world.status(request(authority, vec![], None), None).await;
    assert_eq!(ask("orders").await, 299, "it is not served");
    let target = Target {
        status: 200,
        ..Target::default()
    };
    let serving = world.serve(&target).await;
    assert_eq!(ask("orders").await, 200);
    assert_eq!(ask("ORDERS:80").await, 200);
    for other in ["orders:8080", "other", "orders.local"] {
        assert_eq!(ask(other).await, 299, "{other} is not its name");
    }
    assert_eq!(ask("slow:8080").await, 299, "it is not offered as that");
    // Without a port, a name is the one that a scheme has.
    for (authority, status) in [("orders", 200), ("orders:443", 200), ("orders:80", 299)] {
        let https = Request {
            scheme: Some(Scheme::Https),
            ..request(authority, vec![], None)
        };
        assert_eq!(world.status(https, None).await, status, "{authority}");
    }
    let connect = Request {
        method: Method::Connect,
        ..request("orders", vec![], None)
    };
    assert_eq!(world.status(connect, None).await, 299);

    world
        .local
        .steer(Some("orders"), Some(Mode::Off))
        .expect("it can be steered");
    assert_eq!(ask("orders").await, 299, "it is off");
    world
        .local
        .steer(Some("orders"), None)
        .expect("it can be steered");
    assert_eq!(ask("orders").await, 200);

    world
        .local
        .offer_http("other.orders", vec!["orders".parse().expect("a name")]);
    world.local.offer_http(ORDERS, vec![]);
    assert_eq!(
        ask("orders").await,
        299,
        "it is offered in another lattice only"
    );
    world
        .local
        .offer_http(ORDERS, vec!["orders".parse().expect("a name")]);
    assert_eq!(ask("orders").await, 200);
    drop(serving);
    let gone = || world.local.status().endpoints.is_empty();
    until("it is still served", gone).await;
    assert_eq!(ask("orders").await, 299);
}

#[tokio::test]
async fn what_is_not_understood_goes_to_the_client_as_it_is() {
    let world = World::new(BackendKind::compiled_in()[0], |_| ()).await;
    let _serving = world.serve(&Target::default()).await;
    let raw = world.nats.subscribe(format!("{CLIENT}.>")).await;
    let mut raw = raw.expect("a subscription");
    settle(&world.nats).await;
    for params in [
        &b"\0\0\0"[..],
        b"",
        b"\xff\xff\xff",
        b"\0\0\0\0\x01\0\x01\x06orders\0\x03",
    ] {
        let client = world.client(CLIENT);
        let called = client.invoke(
            None,
            "wrpc:http/outgoing-handler@0.1.0",
            "handle",
            Bytes::copy_from_slice(params),
            NO_PATHS,
        );
        let _streams = promptly(called).await.expect("it is sent");
        let sent = promptly(raw.next()).await.expect("a message");
        assert_eq!(sent.payload, params);
    }
    assert_eq!(world.local.status().calls.local, 0);
}

#[tokio::test]
async fn a_request_that_is_not_answered_in_time_is_given_up() {
    for kind in BackendKind::compiled_in() {
        let world = World::new(*kind, |_| ()).await;
        let lets = Arc::new(Notify::new());
        let target = Target {
            status: 200,
            lets: Some(Arc::clone(&lets)),
            ..Target::default()
        };
        let _serving = world.serve(&target).await;
        // The body goes on and on, and no one reads it.
        let body = stream::repeat(Bytes::from(vec![0; 65_536])).then(|piece| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            piece
        });
        let endless = Request {
            body: Box::pin(body),
            ..request("orders", vec![], None)
        };
        let answer = world
            .fetch(endless, within(Duration::from_millis(50)))
            .await;
        let code = answer.expect("it is answered").expect_err("an error");
        assert!(matches!(code, ErrorCode::ConnectionReadTimeout), "{code:?}");
        let time = world
            .fetch(request("orders", vec![], None), within(Duration::ZERO))
            .await;
        let code = time.expect("it is answered").expect_err("an error");
        assert!(matches!(code, ErrorCode::ConnectionReadTimeout), "{code:?}");
        lets.notify_one();
        lets.notify_waiters();
        // One that has the time is answered.
        let lets = Task::spawn(async move {
            loop {
                lets.notify_waiters();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert_eq!(
            world
                .status(request("orders", vec![], None), within(LONG))
                .await,
            200
        );
        drop(lets);
    }
}

#[tokio::test]
async fn a_component_that_fails_ends_the_request_with_an_error_of_http() {
    for kind in BackendKind::compiled_in() {
        let world = World::new(*kind, |_| ()).await;
        let target = Target {
            fails: true,
            ..Target::default()
        };
        let serving = world.serve(&target).await;
        let body = vec![Bytes::from(vec![0; 100_000]); 20];
        for body in [vec![], body] {
            let answer = world
                .fetch(request("orders", body, None), within(LONG))
                .await;
            let code = answer.expect("it is answered").expect_err("an error");
            assert!(matches!(code, ErrorCode::HttpProtocolError), "{code:?}");
        }
        drop(serving);
    }
}

#[tokio::test]
async fn a_component_may_answer_before_it_has_read_the_request() {
    for kind in BackendKind::compiled_in() {
        let world = World::new(*kind, |_| ()).await;
        let target = Target {
            status: 200,
            is_early: true,
            ..Target::default()
        };
        let _serving = world.serve(&target).await;
        for _ in 0..20 {
            let body = vec![Bytes::from(vec![0; 100_000]); 20];
            let trailers = Some(fields("x-trailer", "yes"));
            assert_eq!(
                world.status(request("orders", body, trailers), None).await,
                200
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_was_not_taken_is_refused() {
    let world = World::new(BackendKind::compiled_in()[0], |_| ()).await;
    // It is served, and no one takes calls.
    let client = world.client(ORDERS);
    let calls = incoming_handler::serve_interface(&client, Target::default())
        .await
        .expect("served");
    let waiting = world.fetch(request("orders", vec![], None), within(LONG));
    let ends = async {
        let waits = || world.local.status().in_flight == 1;
        until("it does not wait", waits).await;
        drop(calls);
    };
    let (answer, ()) = tokio::join!(waiting, ends);
    let code = answer.expect("it is answered").expect_err("an error");
    assert!(matches!(code, ErrorCode::ConnectionRefused), "{code:?}");
}

#[tokio::test]
async fn a_body_that_no_one_reads_is_not_sent_for_ever() {
    for kind in BackendKind::compiled_in() {
        let world = World::new(*kind, |_| ()).await;
        let target = Target {
            lets: Some(Arc::default()),
            ..Target::default()
        };
        let _serving = world.serve(&target).await;
        let piece = Bytes::from(vec![0; 1 << 20]);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // As one of a guest, which comes through a channel.
        let body = stream::repeat(piece).then(move |piece| {
            count.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::task::yield_now().await;
                piece
            }
        });
        let endless = Request {
            body: Box::pin(body),
            ..request("orders", vec![], None)
        };
        let answer = world.fetch(endless, within(LONG)).await;
        let code = answer.expect("it is answered").expect_err("an error");
        let is_that = matches!(code, ErrorCode::HttpRequestBodySize(None));
        assert!(is_that, "{code:?}");
        // Its sender learns that no one takes it any more.
        let ended = || Arc::strong_count(&asked) == 1;
        until("the body is not let go", ended).await;
        let pieces = asked.load(Ordering::Relaxed);
        assert!((240..600).contains(&pieces), "{pieces}");
    }
}
