//! Both ends of `inhost:demo/pipe`: it passes the body of each HTTP request to the `pipe` that it is linked to, and
//! answers with what comes back. Its own `pipe` gives back the stream that it gets.
//!
//! - `POST /ingest?id=7&size=3` calls `pipe.ingest`, and is answered when that lets it go on;
//! - any other request calls `pipe.through`.
//!
//! It holds no more than a chunk, so that the response begins while the request is still sent.

wit_bindgen::generate!({
    path: "../wit",
    world: "streamer",
    with: {
        "wasi:io/error@0.2.0": wasi::io::error,
        "wasi:io/poll@0.2.0": wasi::io::poll,
        "wasi:io/streams@0.2.0": wasi::io::streams,
    },
});

mod content;

use content::{content, BEGUN, CUT, WRONG};
use exports::inhost::demo::pipe::Guest as Pipe;
use inhost::demo::{pipe as next, tally};
use wasi::exports::http::incoming_handler::Guest as IncomingHandler;
use wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasi::io::streams::{InputStream, OutputStream, StreamError};

/// How many bytes are passed on at once: as many as a blocking write takes.
const CHUNK: u64 = 4096;

/// How many bytes are read at once that are not passed on.
const LARGE_CHUNK: u64 = 64 * 1024;

struct Streamer;

export!(Streamer);
wasi::http::proxy::export!(Streamer);

impl Pipe for Streamer {
    fn through(data: InputStream) -> InputStream {
        data
    }

    fn ingest(id: u64, size: u64, data: InputStream) {
        tally::add(id | BEGUN);
        let became = match read(id, &data) {
            Ok(Some(read)) if read == size => id,
            Ok(_) => id | WRONG,
            Err(_) => id | CUT,
        };
        tally::add(became);
    }
}

/// Reads `data` until it closes. Returns its length, or `None` when it is not what the stream `id` consists of.
fn read(id: u64, data: &InputStream) -> Result<Option<u64>, StreamError> {
    let mut expected = content(id);
    let mut is_right = true;
    let mut size = 0;
    loop {
        match data.blocking_read(LARGE_CHUNK) {
            Ok(chunk) => {
                size += chunk.len() as u64;
                is_right = is_right && expected.by_ref().take(chunk.len()).eq(chunk);
            }
            Err(StreamError::Closed) => return Ok(is_right.then_some(size)),
            Err(error) => return Err(error),
        }
    }
}

impl IncomingHandler for Streamer {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        // It stays open while its stream is read, by whomever.
        let request_body = request.consume().expect("the body was not taken before");
        let sent = request_body
            .stream()
            .expect("the stream was not taken before");
        let target = request.path_with_query().unwrap_or_default();
        if let Some(query) = target.strip_prefix("/ingest?") {
            match (number(query, "id="), number(query, "size=")) {
                (Some(id), Some(size)) => next::ingest(id, size, sent),
                _ => return ResponseOutparam::set(out, Ok(status(400))),
            }
            return ResponseOutparam::set(out, Ok(status(200)));
        }
        let returned = next::through(sent);

        let response = OutgoingResponse::new(Fields::new());
        let response_body = response.body().expect("the body was not taken before");
        // The head goes out first: the host passes the body on while it is written.
        ResponseOutparam::set(out, Ok(response));
        let answer = response_body
            .write()
            .expect("the stream was not taken before");
        let copied = copy(&returned, &answer);
        // A body cannot be finished, nor dropped, while its stream is open.
        drop(answer);
        drop(returned);
        // Without its end, the client sees that the response is not whole.
        if copied.is_ok() {
            let _ = OutgoingBody::finish(response_body, None);
        }
    }
}

/// A response without a body.
fn status(status: u16) -> OutgoingResponse {
    let response = OutgoingResponse::new(Fields::new());
    response
        .set_status_code(status)
        .expect("it is one of HTTP's");
    response
}

/// The number that follows `name` in a query such as `id=7&size=3`.
fn number(query: &str, name: &str) -> Option<u64> {
    let number = query.split('&').find_map(|pair| pair.strip_prefix(name))?;
    number.parse().ok()
}

/// Copies what `from` has until it closes, each piece as soon as it is there.
fn copy(from: &InputStream, to: &OutputStream) -> Result<(), StreamError> {
    loop {
        match from.blocking_read(CHUNK) {
            Ok(chunk) => to.blocking_write_and_flush(&chunk)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
