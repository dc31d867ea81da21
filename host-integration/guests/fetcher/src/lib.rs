//! Both ends of an HTTP request between components.
//!
//! - `/fetch?to=orders&path=/seen` makes a request to `http://orders/seen`, and answers with all that came back, in lines: the
//!   status or the error, headers, trailers, and the body. `method`, `scheme`, `agent` (a `user-agent`), `size` (of a body),
//!   `trailer` (of the body), and `first-byte` and `between-bytes` (time-outs in milliseconds) say what kind of request it is.
//! - `/seen` answers with all that it was asked, in lines, and with a trailer;
//! - `/early` answers before it has read the body, `/wait?ms=200` after a while, `/stall?ms=200` at once and then no more for a
//!   while, `/refuse` with an error, and `/trap` not at all.

use wasi::clocks::monotonic_clock;
use wasi::exports::http::incoming_handler::Guest;
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingRequest,
    Method, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam,
    Scheme,
};
use wasi::io::streams::StreamError;

/// How many bytes are written at once: as many as a blocking write takes.
const CHUNK: usize = 4096;

/// What bodies consist of.
const BYTE: u8 = b'x';

const MILLISECOND: u64 = 1_000_000;

struct Fetcher;

wasi::http::proxy::export!(Fetcher);

impl Guest for Fetcher {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query(query);
        let text = match path {
            "/fetch" => fetch(&query).unwrap_or_else(|error| format!("error {error:?}\n")),
            "/seen" => seen(&request),
            "/early" => "early\n".into(),
            "/wait" => {
                wait(&query);
                "waited\n".into()
            }
            "/stall" => return answer("stalled\n", || wait(&query), out),
            "/refuse" => {
                return ResponseOutparam::set(out, Err(ErrorCode::ConfigurationError));
            }
            "/trap" => panic!("asked to"),
            _ => "elsewhere\n".into(),
        };
        answer(&text, || (), out);
    }
}

fn wait(query: &Query<'_>) {
    monotonic_clock::subscribe_duration(query.number("ms") * MILLISECOND).block();
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|it| it.parse().ok()).unwrap_or(0)
    }
}

/// Makes the request, and says what came back.
fn fetch(query: &Query<'_>) -> Result<String, ErrorCode> {
    let agent = query
        .get("agent")
        .map(|it| ("user-agent".to_string(), it.as_bytes().to_vec()));
    let headers = Vec::from_iter(agent);
    let request = OutgoingRequest::new(Fields::from_list(&headers).expect("valid headers"));
    let method = match query.get("method") {
        Some("POST") => Method::Post,
        Some(other) => Method::Other(other.into()),
        None => Method::Get,
    };
    request.set_method(&method).expect("a valid method");
    let scheme = match query.get("scheme") {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    request.set_scheme(Some(&scheme)).expect("a valid scheme");
    request
        .set_authority(query.get("to"))
        .expect("a valid authority");
    request
        .set_path_with_query(query.get("path"))
        .expect("a valid path");
    let options = RequestOptions::new();
    let within = |name| query.get(name).map(|_| query.number(name) * MILLISECOND);
    options
        .set_first_byte_timeout(within("first-byte"))
        .and_then(|()| options.set_between_bytes_timeout(within("between-bytes")))
        .expect("they are kept");
    let body = request.body().expect("the body was not taken before");
    let response = outgoing_handler::handle(request, Some(options))?;
    let size = usize::try_from(query.number("size")).expect("a size");
    send(body, size, query.get("trailer"));
    received(&response)
}

/// Sends a body. That no one reads it is seen in the answer.
fn send(body: OutgoingBody, size: usize, trailer: Option<&str>) {
    let stream = body.write().expect("the stream was not taken before");
    let mut left = size;
    while left > 0 {
        let now = left.min(CHUNK);
        if stream
            .blocking_write_and_flush(&[BYTE; CHUNK][..now])
            .is_err()
        {
            return;
        }
        left -= now;
    }
    drop(stream);
    let trailers = trailer.map(|it| {
        let trailers = [("x-trailer".to_string(), it.as_bytes().to_vec())];
        Fields::from_list(&trailers).expect("valid trailers")
    });
    let _ = OutgoingBody::finish(body, trailers);
}

fn received(response: &FutureIncomingResponse) -> Result<String, ErrorCode> {
    response.subscribe().block();
    let response = response
        .get()
        .expect("it is there")
        .expect("it was not taken before")?;
    let mut text = format!("status {}\n", response.status());
    lines(&mut text, "header", &response.headers());
    let body = response.consume().expect("the body was not taken before");
    let (data, trailers) = read(body);
    if let Some(trailers) = trailers {
        lines(&mut text, "trailer", &trailers);
    }
    text.push_str(&String::from_utf8_lossy(&data));
    Ok(text)
}

/// What a request asks for.
fn seen(request: &IncomingRequest) -> String {
    let mut text = format!("method {:?}\n", request.method());
    text += &format!("path {}\n", request.path_with_query().unwrap_or_default());
    text += &format!("scheme {:?}\n", request.scheme());
    text += &format!("authority {}\n", request.authority().unwrap_or_default());
    lines(&mut text, "seen header", &request.headers());
    let (data, trailers) = read(request.consume().expect("the body was not taken before"));
    if let Some(trailers) = trailers {
        lines(&mut text, "seen trailer", &trailers);
    }
    let right = data.iter().filter(|it| **it == BYTE).count();
    text + &format!("body {} of {}\n", right, data.len())
}

fn lines(text: &mut String, what: &str, fields: &Fields) {
    for (name, value) in fields.entries() {
        *text += &format!("{what} {name}: {}\n", String::from_utf8_lossy(&value));
    }
}

/// All of a body, and its trailers.
fn read(body: IncomingBody) -> (Vec<u8>, Option<Fields>) {
    let stream = body.stream().expect("the stream was not taken before");
    let mut data = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => data.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                data.extend(error.to_debug_string().into_bytes());
                break;
            }
        }
    }
    drop(stream);
    let trailers: FutureTrailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = trailers.get().and_then(Result::ok);
    (data, trailers.and_then(Result::ok).flatten())
}

/// Answers with `text`, and does `then` before the end.
fn answer(text: &str, then: impl FnOnce(), out: ResponseOutparam) {
    let headers = [("x-answer".to_string(), b"yes".to_vec())];
    let response = OutgoingResponse::new(Fields::from_list(&headers).expect("valid headers"));
    let body = response.body().expect("the body was not taken before");
    // The head goes out first: the host passes the body on while it is written.
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream was not taken before");
    for chunk in text.as_bytes().chunks(CHUNK) {
        if stream.blocking_write_and_flush(chunk).is_err() {
            return;
        }
    }
    then();
    drop(stream);
    let trailers = [("x-end".to_string(), b"yes".to_vec())];
    let trailers = Fields::from_list(&trailers).expect("valid trailers");
    let _ = OutgoingBody::finish(body, Some(trailers));
}
