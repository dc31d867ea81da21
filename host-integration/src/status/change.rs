//! `POST /mode`: changes the mode of calls, over a loopback address, if the host was started so.
//!
//! A web page must not do this. A browser lets a page of another site send a POST, but no header of
//! its own without asking the listing first, which does not allow it. So such a header is required,
//! beside a name that is the listing's own.

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::HeaderName;
use hyper::{Request, Response, StatusCode};

use super::{json_response, text};
use crate::steer::{Steering, Way, LONGEST};

/// The header that a browser does not send for a page of another site.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-wasmcloud-steer");

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
    let body = request.into_body();
    let says = body.size_hint().exact();
    let (status, answer) = match Limited::new(body, LONGEST).collect().await {
        Ok(body) => {
            let answer = steering.command(&body.to_bytes(), Way::Http);
            let status = match answer.accepted {
                true => StatusCode::OK,
                false => StatusCode::BAD_REQUEST,
            };
            (status, answer)
        }
        Err(error) if error.is::<LengthLimitError>() => {
            let answer = steering.too_long(says, Way::Http);
            (StatusCode::PAYLOAD_TOO_LARGE, answer)
        }
        Err(_) => return text(StatusCode::BAD_REQUEST, "the command is not complete\n"),
    };
    let mut response = json_response(answer.json().into());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use wrpc_transport_nats::local::{Config, Local};

    use super::*;

    async fn answer<B>(body: B) -> (StatusCode, String)
    where
        B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let config = Config {
            steerable: true,
            ..Config::default()
        };
        let steering = Steering::new(Local::new(config).expect("it fits any build"));
        let request = Request::builder().header(HEADER, "yes").body(body);
        let answer = response(request.expect("a request"), Some(&steering)).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("it is there");
        let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
        (status, body)
    }

    #[tokio::test]
    async fn a_command_that_is_too_long_is_refused_with_its_size_and_the_limit() {
        let command = |length: usize| format!("{:length$}", r#"{"mode":"off"}"#);
        let (status, _) = answer(Full::<Bytes>::from(command(LONGEST))).await;
        assert_eq!(status, StatusCode::OK);

        let (status, said) = answer(Full::<Bytes>::from(command(LONGEST + 1))).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(said.contains("4096") && said.contains("4097"), "{said}");

        // In parts, with a size that is not known before.
        let part = Frame::data(Bytes::from(command(LONGEST)));
        let parts = [part, Frame::data(Bytes::from(command(1)))];
        let parts = futures::stream::iter(parts.map(Ok::<_, Infallible>));
        let (status, said) = answer(StreamBody::new(parts)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(said.contains("4096") && said.contains("has more"), "{said}");
    }
}
