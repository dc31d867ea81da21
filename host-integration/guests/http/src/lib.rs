//! The component that an HTTP request reaches. It turns the request into a call of `inhost:demo/echo`:
//!
//! - `GET /ping?n=41` answers the callee's number;
//! - `POST /echo` answers the bytes that the callee sent back.

wit_bindgen::generate!({
    path: "../wit",
    world: "http",
});

use std::io::Write;

use inhost::demo::echo;
use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasi::io::streams::StreamError;

/// How many bytes of a request's body are read at once.
const CHUNK: u64 = 64 * 1024;

struct Http;

wasi::http::proxy::export!(Http);

impl Guest for Http {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        answer(&request).send(out);
    }
}

fn answer(request: &IncomingRequest) -> Answer {
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    match (request.method(), path) {
        (Method::Get, "/ping") => match number(query) {
            Some(n) => Answer::text(200, echo::ping(n).to_string()),
            None => Answer::text(400, "expected a number: /ping?n=41\n"),
        },
        (Method::Post, "/echo") => match body(request) {
            Ok(data) => Answer {
                status: 200,
                content_type: "application/octet-stream",
                body: echo::echo_bytes(&data),
            },
            Err(err) => Answer::text(400, format!("could not read the request's body: {err}\n")),
        },
        _ => Answer::text(404, "there are GET /ping?n=41 and POST /echo\n"),
    }
}

/// The number `n` of a query such as `n=41`.
fn number(query: &str) -> Option<u32> {
    let n = query.split('&').find_map(|pair| pair.strip_prefix("n="))?;
    n.parse().ok()
}

/// The whole body of the request.
fn body(request: &IncomingRequest) -> Result<Vec<u8>, String> {
    let body = request.consume().map_err(|()| "it was read before")?;
    let stream = body.stream().map_err(|()| "it was read before")?;
    let mut data = Vec::new();
    // Not by `std::io::Read`: it would take an empty chunk for the end.
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(chunk) => data.extend(chunk),
            Err(StreamError::Closed) => return Ok(data),
            Err(StreamError::LastOperationFailed(err)) => return Err(err.to_debug_string()),
        }
    }
}

/// A response.
struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn text(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: text.into().into_bytes(),
        }
    }

    fn send(self, out: ResponseOutparam) {
        let headers = Fields::from_list(&[(
            "content-type".to_string(),
            self.content_type.as_bytes().to_vec(),
        )])
        .expect("the name and the value are valid");
        let response = OutgoingResponse::new(headers);
        response
            .set_status_code(self.status)
            .expect("the status is valid");
        let body = response.body().expect("the body was not taken before");
        // The head goes out first: the host passes the body on while it is written.
        ResponseOutparam::set(out, Ok(response));
        let mut stream = body.write().expect("the stream was not taken before");
        let written = stream
            .write_all(&self.body)
            .and_then(|()| Write::flush(&mut stream));
        // The body cannot be finished while its stream is open.
        drop(stream);
        // A client that has gone away gets no end. There is nobody to tell about an error.
        if written.is_ok() {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}
