//! Both ends of `inhost:demo/pipe`: it passes the body of each HTTP request to the `pipe` that it is linked to, and
//! answers with what comes back. Its own `pipe` gives back the stream that it gets.
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

use exports::inhost::demo::pipe::Guest as Pipe;
use inhost::demo::pipe as next;
use wasi::exports::http::incoming_handler::Guest as IncomingHandler;
use wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasi::io::streams::{InputStream, OutputStream, StreamError};

/// How many bytes are passed on at once: as many as a blocking write takes.
const CHUNK: u64 = 4096;

struct Streamer;

export!(Streamer);
wasi::http::proxy::export!(Streamer);

impl Pipe for Streamer {
    fn through(data: InputStream) -> InputStream {
        data
    }
}

impl IncomingHandler for Streamer {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        // It stays open while its stream is read, by whomever.
        let request_body = request.consume().expect("the body was not taken before");
        let sent = request_body
            .stream()
            .expect("the stream was not taken before");
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
