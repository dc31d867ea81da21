//! `POST /mode`: changes the mode of calls, over a loopback address, if the host was started so.
//!
//! A web page must not do this. A browser lets a page of another site send a POST, but no header of its own without asking
//! the listing first, which does not allow it. So such a header is required, beside a name that is the listing's own.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::HeaderName;
use hyper::{Request, Response, StatusCode};

use super::{json_response, text};
use crate::steer::{Steering, Way};

/// The header that a browser does not send for a page of another site.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-wasmcloud-steer");

/// The longest command, in bytes.
const LONGEST: usize = 4096;

/// What is answered to a request with a command.
pub(super) async fn response<B>(
    request: Request<B>,
    steering: Option<&Steering>,
) -> Response<Full<Bytes>>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let Some(steering) = steering else {
        return text(
            StatusCode::FORBIDDEN,
            "no mode can be changed here: start the host with `--local-steer on`, and with a loopback address for \
             `--local-status`\n",
        );
    };
    if !request.headers().contains_key(&HEADER) {
        return text(
            StatusCode::FORBIDDEN,
            "a change needs the header `x-wasmcloud-steer: yes`, which a web page of another site cannot send\n",
        );
    }
    let body = Limited::new(request.into_body(), LONGEST).collect().await;
    let Ok(body) = body else {
        return text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a command has at most 4096 bytes\n",
        );
    };
    let answer = steering.command(&body.to_bytes(), Way::Http);
    let mut response = json_response(answer.json());
    if !answer.accepted {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}
