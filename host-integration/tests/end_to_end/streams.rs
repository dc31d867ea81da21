//! A stream passes from one component to another and back while it is still written.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use inhost_testbed::{Deployment, Guest, NatsServer, CALLEE};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::TcpStream;

use crate::http::{serve, SERVER_FEATURE};
use crate::support::{
    assert_calls, component, nats, on_routes, promptly, queued, until, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    a_stream_comes_back_from_another_component_before_its_end_is_sent,
}

on_routes! { LOCAL:
    a_client_that_goes_in_the_middle_of_a_stream_leaves_the_instance_to_the_next,
    a_callee_that_traps_with_a_stream_ends_the_call_at_once_and_its_caller_learns_why,
    a_stream_that_is_cut_off_on_its_way_in_is_not_whole_on_its_way_out,
    streams_that_wait_when_their_callee_is_scaled_come_back_once,
    a_client_that_does_not_read_stops_who_sends_and_gets_all_of_it_later,
}

const FRONT: &str = "front";
const BACK: &str = CALLEE;

/// Many times what a call takes.
const A_WHILE: Duration = Duration::from_millis(200);

/// In bytes, many times what a transport holds of a stream.
const LARGE: u32 = 1024 * 1024;

/// A host with a component that passes requests on, to another one with so many instances, and where it takes them.
async fn start(nats: &Arc<NatsServer>, route: Route, instances: u32) -> (Deployment, SocketAddr) {
    let host = route.host().args(SERVER_FEATURE);
    let deployment = host.start_on(nats).await;
    for (id, count) in [(FRONT, 10), (BACK, instances)] {
        let deployed = deployment.deploy(Guest::Streamer, id, count).await;
        deployed.expect("deployed");
    }
    deployment.link(FRONT, BACK, "pipe").await.expect("linked");
    let address = serve(&deployment, FRONT).await;
    (deployment, address)
}

// Needs the runtime of `host-integration/wrpc-runtime-wasmtime`: the published one cannot link an import that takes a
// stream.
async fn a_stream_comes_back_from_another_component_before_its_end_is_sent(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, address) = start(&nats().await, route, 10).await;
    let exchange = async {
        let (mut request, mut response) = post(address).await;
        // Each comes back before the next one is sent.
        for piece in [b"first".to_vec(), b"second".to_vec(), pattern(LARGE)] {
            let (answer, ()) = tokio::join!(response.next(piece.len()), request.send(&piece));
            assert!(answer == piece, "{} bytes came back as others", piece.len());
        }
        request.end().await;
        response.ends().await;
    };
    promptly("the exchange hangs", exchange).await;
    assert_calls(route, deployment.host(), 1).await;
    Ok(())
}

async fn a_client_that_goes_in_the_middle_of_a_stream_leaves_the_instance_to_the_next(
    route: Route,
) -> anyhow::Result<()> {
    let (_deployment, address) = start(&nats().await, route, 1).await;
    let begin = async || {
        let (mut request, response) = post(address).await;
        request.send(b"first").await;
        (request, response)
    };
    let (request, mut response) = begin().await;
    let answered = promptly("it is not answered", response.next(5)).await;
    assert_eq!(answered, b"first");
    // The callee has returned the stream, and holds its only instance while there may be more.
    let (_next_request, mut next) = begin().await;
    let answered = tokio::time::timeout(A_WHILE, next.next(5)).await;
    answered.expect_err("there is no instance for it");
    drop((request, response));
    let answered = promptly("it is still taken", next.next(5)).await;
    assert_eq!(answered, b"first");
    Ok(())
}

/// A `pipe` that takes the stream, and traps.
const TRAPS: &str = r#"(component
    (import "wasi:io/streams@0.2.0" (instance $streams
        (export "input-stream" (type (sub resource)))))
    (alias export $streams "input-stream" (type $stream))
    (core module $module
        (func (export "through") (param i32) (result i32) unreachable)
        (func (export "ingest") (param i64 i64 i32) unreachable))
    (core instance $core (instantiate $module))
    (func $through (param "data" (own $stream)) (result (own $stream))
        (canon lift (core func $core "through")))
    (func $ingest (param "id" u64) (param "size" u64) (param "data" (own $stream))
        (canon lift (core func $core "ingest")))
    (instance $pipe (export "through" (func $through)) (export "ingest" (func $ingest)))
    (export "inhost:demo/pipe@0.1.0" (instance $pipe)))"#;

/// Passes an empty stream to the `pipe` that it is linked to, reads what comes back, and answers
/// with what it is told of why that failed.
const READS: &str = r#"(component
    (import "wasi:io/error@0.2.0" (instance $errors
        (export "error" (type $error (sub resource)))
        (export "[method]error.to-debug-string"
            (func (param "self" (borrow $error)) (result string)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (alias outer 1 $error (type $outer))
        (export "error" (type $error (eq $outer)))
        (export "input-stream" (type $stream (sub resource)))
        (type $failed (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failed)))
        (export "[method]input-stream.blocking-read"
            (func (param "self" (borrow $stream)) (param "len" u64)
                (result (result (list u8) (error $stream-error)))))))
    (alias export $streams "input-stream" (type $stream))
    (import "wasi:cli/stdin@0.2.0" (instance $stdin
        (alias outer 1 $stream (type $outer))
        (export "input-stream" (type $stream (eq $outer)))
        (export "get-stdin" (func (result (own $stream))))))
    (import "inhost:demo/pipe@0.1.0" (instance $pipe
        (alias outer 1 $stream (type $stream))
        (export "through" (func (param "data" (own $stream)) (result (own $stream))))))
    (core module $memory
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $bytes))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $stdin (canon lower (func $stdin "get-stdin")))
    (core func $through (canon lower (func $pipe "through")))
    (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
        (memory $bytes) (realloc $realloc)))
    (core func $why (canon lower (func $errors "[method]error.to-debug-string")
        (memory $bytes) (realloc $realloc)))
    (core module $module
        (import "" "memory" (memory 1))
        (import "" "stdin" (func $stdin (result i32)))
        (import "" "through" (func $through (param i32) (result i32)))
        (import "" "read" (func $read (param i32 i64 i32)))
        (import "" "why" (func $why (param i32 i32)))
        (func (export "call") (result i32)
            (call $read (call $through (call $stdin)) (i64.const 1) (i32.const 0))
            ;; It failed, and was not closed.
            (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 1)) (then (unreachable)))
            (if (i32.load8_u (i32.const 4)) (then (unreachable)))
            (call $why (i32.load (i32.const 8)) (i32.const 16))
            (i32.const 16)))
    (core instance $core (instantiate $module (with "" (instance
        (export "memory" (memory $bytes))
        (export "stdin" (func $stdin))
        (export "through" (func $through))
        (export "read" (func $read))
        (export "why" (func $why))))))
    (func $call (result string)
        (canon lift (core func $core "call") (memory $bytes) (realloc $realloc)))
    (instance $reads (export "call" (func $call)))
    (export "inhost:demo/reads" (instance $reads)))"#;

async fn a_callee_that_traps_with_a_stream_ends_the_call_at_once_and_its_caller_learns_why(
    route: Route,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let [reads, traps] = [("reads.wasm", READS), ("traps.wasm", TRAPS)]
        .map(|(name, text)| component(folder.path(), name, text));
    let deployment = route.start_on(&nats().await).await;
    let host = deployment.host();
    for (component, id) in [(&reads, FRONT), (&traps, BACK)] {
        deployment.deploy_on(host, component, id, 1).await?;
    }
    deployment.link(FRONT, BACK, "pipe").await?;
    let caller = deployment.peer(FRONT).await?;
    let call = caller.call::<_, (String,)>("inhost:demo/reads", "call", ());
    let ended = promptly("it does not end", call).await;
    let (why,) = ended.expect("the stream fails, and not its reader");
    for part in ["inhost:demo/pipe@0.1.0.through", "unreachable"] {
        assert!(why.contains(part), "it is told: {why}");
    }
    assert_calls(route, host, 1).await;
    Ok(())
}

/// The body of the request breaks off, and so does that of the response.
async fn a_stream_that_is_cut_off_on_its_way_in_is_not_whole_on_its_way_out(
    route: Route,
) -> anyhow::Result<()> {
    let (deployment, address) = start(&nats().await, route, 1).await;
    let (mut request, mut response) = post(address).await;
    request.send(b"first").await;
    assert_eq!(response.next(5).await, b"first");
    request.0.shutdown().await?;
    let rest = promptly("it does not end", response.rest()).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it is whole");
    // The only instance is free.
    let (mut request, mut response) = post(address).await;
    request.send(b"next").await;
    let next = promptly("it is not answered", response.next(4)).await;
    assert_eq!(next, b"next");
    assert_calls(route, deployment.host(), 2).await;
    Ok(())
}

/// Those that wait pass to the next version, and none is made again.
async fn streams_that_wait_when_their_callee_is_scaled_come_back_once(
    route: Route,
) -> anyhow::Result<()> {
    const WAITING: u32 = 4;
    let (deployment, address) = start(&nats().await, route, 1).await;
    let mut open = Vec::new();
    for _ in 0..=WAITING {
        let (mut request, response) = post(address).await;
        request.send(b"first").await;
        open.push((request, response));
    }
    let host = deployment.host();
    // One is answered, and one has been taken, and waits for the instance.
    until("they do not wait", async || {
        queued(host).await == u64::from(WAITING) - 1
    })
    .await;
    let callee = Guest::Streamer.reference()?;
    let control = deployment.control();
    control.scale(host.id(), &callee, BACK, WAITING + 1).await?;
    for (request, response) in &mut open {
        let exchange = async {
            assert_eq!(response.next(5).await, b"first");
            request.end().await;
            response.ends().await;
        };
        promptly("one of them is not answered", exchange).await;
    }
    assert_calls(route, host, u64::from(WAITING) + 1).await;
    Ok(())
}

/// All that is on the way is bounded: both streams, there and back, and the sockets.
async fn a_client_that_does_not_read_stops_who_sends_and_gets_all_of_it_later(
    route: Route,
) -> anyhow::Result<()> {
    const PIECES: usize = 64;
    let (_deployment, address) = start(&nats().await, route, 1).await;
    let (mut request, mut response) = post(address).await;
    let (piece, sent) = (pattern(LARGE), AtomicUsize::new(0));
    let send = async {
        for _ in 0..PIECES {
            request.send(&piece).await;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        request.end().await;
    };
    let read = async {
        let mut before = PIECES;
        while sent.load(Ordering::Relaxed) != before || before == 0 {
            before = sent.load(Ordering::Relaxed);
            tokio::time::sleep(5 * A_WHILE).await;
        }
        assert!(before < PIECES * 2 / 3, "{before} MiB");
        for _ in 0..PIECES {
            assert!(response.next(piece.len()).await == piece);
        }
        response.ends().await;
    };
    let exchange = async { tokio::join!(send, read) };
    tokio::time::timeout(6 * PROMPTLY, exchange)
        .await
        .unwrap_or_else(|_| panic!("the exchange hangs"));
    Ok(())
}

/// Bytes that do not repeat in step with the size of any buffer.
fn pattern(len: u32) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// Begins a request, whose response may begin before it ends.
async fn post(address: SocketAddr) -> (Request, Response) {
    let connection = TcpStream::connect(address).await.expect("connected");
    let (response, mut request) = connection.into_split();
    let head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n");
    request.write_all(head.as_bytes()).await.expect("sent");
    let response = Response {
        connection: BufReader::new(response),
        begun: false,
        ahead: Vec::new(),
    };
    (Request(request), response)
}

/// The body of a request, in chunks.
struct Request(OwnedWriteHalf);

impl Request {
    async fn send(&mut self, piece: &[u8]) {
        let size = format!("{:x}\r\n", piece.len());
        let chunk = [size.as_bytes(), piece, b"\r\n"].concat();
        self.0.write_all(&chunk).await.expect("sent");
    }

    async fn end(&mut self) {
        self.0.write_all(b"0\r\n\r\n").await.expect("sent");
    }
}

/// A response, whose body is read in pieces of any size, whatever its chunks are.
struct Response {
    connection: BufReader<OwnedReadHalf>,
    /// Whether its head was read.
    begun: bool,
    /// What of the last chunk was not asked for yet.
    ahead: Vec<u8>,
}

impl Response {
    /// The next `len` bytes of the body.
    async fn next(&mut self, len: usize) -> Vec<u8> {
        if !self.begun {
            self.head().await;
            self.begun = true;
        }
        while self.ahead.len() < len {
            let chunk = self.chunk().await;
            assert!(!chunk.is_empty(), "the response ends too early");
            self.ahead.extend(chunk);
        }
        self.ahead.drain(..len).collect()
    }

    /// Checks that the whole body was read.
    async fn ends(&mut self) {
        assert!(self.ahead.is_empty(), "more came back than was sent");
        assert!(self.chunk().await.is_empty(), "nothing more comes back");
    }

    /// What comes until the connection ends, in whichever way.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.connection.read_to_end(&mut rest).await;
        rest
    }

    async fn head(&mut self) {
        let status = self.line().await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        while !self.line().await.is_empty() {}
    }

    /// A chunk of the body. The one at its end is empty.
    async fn chunk(&mut self) -> Vec<u8> {
        let size = self.line().await;
        let size = usize::from_str_radix(&size, 16).expect("the size of a chunk");
        let mut chunk = vec![0; size];
        self.connection
            .read_exact(&mut chunk)
            .await
            .expect("the whole chunk");
        assert_eq!(self.line().await, "", "after a chunk");
        chunk
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.connection.read_line(&mut line).await.expect("a line");
        line.strip_suffix("\r\n").expect("a whole line").to_owned()
    }
}
