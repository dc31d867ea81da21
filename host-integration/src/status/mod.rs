//! The listing behind `--local-status`: in-host invocation as JSON, and as a page for people, over HTTP/1.1.
//!
//! `GET /` and `GET /status` answer with the listing as JSON; `GET /ui` with the page, and so does
//! `GET /` to a client that accepts HTML. Other methods there are answered with 405, other paths
//! with 404, and requests for another host's name with 421. `POST /mode` changes the mode of calls
//! (`change`). One request a connection. Clients are bounded in number and in time, and a long
//! listing is kept for a moment (`snapshot`), so that they cannot keep the host from its work.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{HeaderValue, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::steer::Steering;

mod change;
mod names;
mod page;
mod snapshot;

pub(crate) use change::HEADER as STEER_HEADER;

use names::Names;
use snapshot::Snapshot;

/// Connections served at the same time; further ones wait in the listen queue of the system.
const MAX_CONNECTIONS: usize = 16;
/// Time for a client to send the head of its request.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Time for a whole connection, so that a client which does not read cannot hold it for ever.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of file descriptors, the next one would fail at once, too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
#[derive(Clone)]
struct Site {
    names: Names,
    snapshot: Snapshot,
    /// For an address that only this machine reaches.
    steering: Option<Arc<Steering>>,
}

/// The running listing. Dropping it closes the listener and all connections.
pub(crate) struct Listing {
    _task: JoinSet<()>,
}

impl Listing {
    /// Binds `address`, logs the address that was bound, and serves `snapshot` there, under `hosts`
    /// besides its own names.
    ///
    /// # Errors
    ///
    /// When `address` cannot be bound. The message names the flag.
    pub(crate) async fn start(
        address: SocketAddr,
        hosts: &[String],
        steering: Option<Arc<Steering>>,
        snapshot: impl Fn() -> serde_json::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.with_context(|| {
            format!(
                "cannot listen on `--local-status {address}`; choose another address, or leave the flag \
                 (environment variable WASMCLOUD_LOCAL_STATUS) out"
            )
        })?;
        let address = listener.local_addr().unwrap_or(address);
        info!(%address, "in-host invocation is listed at http://{address}/");
        if !address.ip().is_loopback() {
            warn!(
                %address,
                "`--local-status` is not a loopback address: whoever reaches it sees which functions are served and called here"
            );
        }
        let site = Site {
            names: Names::new(hosts),
            snapshot: Snapshot::new(snapshot),
            steering: steering.filter(|_| address.ip().is_loopback()),
        };
        Ok(Self::serve(listener, site))
    }

    fn serve(listener: TcpListener, site: Site) -> Self {
        let mut task = JoinSet::new();
        task.spawn(accept(listener, site));
        Self { _task: task }
    }
}

/// Accepts connections for ever. The connections end with this future: their tasks belong to it.
async fn accept(listener: TcpListener, site: Site) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, site.clone()));
                }
                Err(error) => {
                    warn!(%error, "`--local-status`: cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    error!(%error, "`--local-status`: a connection's task failed");
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, site: Site) {
    let serve = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            hyper::service::service_fn(|request| respond(request, &site)),
        );
    match tokio::time::timeout(CONNECTION_TIME, serve).await {
        Ok(Ok(())) => {}
        // Whatever a client does wrong is not worth more than this.
        Ok(Err(error)) => debug!(%error, "`--local-status`: a connection failed"),
        Err(_) => debug!("`--local-status`: a connection took too long"),
    }
}

async fn respond<B>(request: Request<B>, site: &Site) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let is_own = site.names.are_of(&request);
    if is_own && request.uri().path() == "/mode" && request.method() == Method::POST {
        return Ok(change::response(request, site.steering.as_deref()).await);
    }
    Ok(shown(&request.into_parts().0, site, is_own).await)
}

async fn shown(request: &Parts, site: &Site, is_own: bool) -> Response<Full<Bytes>> {
    let snapshot = &site.snapshot;
    match (request.uri.path(), &request.method) {
        _ if !is_own => text(
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the name of the listing: ask for localhost or for an IP address, or start the host with \
             `--local-status-host NAME` (environment variable WASMCLOUD_LOCAL_STATUS_HOSTS)\n",
        ),
        ("/", &Method::GET) if page::is_wanted(&request.headers) => {
            page::varies(listed(snapshot, |json| page::response(&json)).await)
        }
        ("/", &Method::GET) => page::varies(listed(snapshot, json_response).await),
        ("/status", &Method::GET) => listed(snapshot, json_response).await,
        ("/ui", &Method::GET) => listed(snapshot, |json| page::response(&json)).await,
        ("/" | "/status" | "/ui", _) => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET works here\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET"));
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "the listing is at / and /status, and as a page at /ui\n",
        ),
    }
}

/// The listing, as `shown`.
async fn listed(
    snapshot: &Snapshot,
    shown: impl FnOnce(Bytes) -> Response<Full<Bytes>>,
) -> Response<Full<Bytes>> {
    match snapshot.json().await {
        Ok(json) => shown(json),
        Err(error) => {
            error!(%error, "`--local-status`: cannot write the listing as JSON");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the listing cannot be written; see the host's log\n",
            )
        }
    }
}

fn json_response(json: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(message));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn example() -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&serde_json::json!({"mode": "prefer", "endpoints": []}))
    }

    fn failing() -> serde_json::Result<Vec<u8>> {
        serde_json::from_str::<u8>("not a number").map(|_| Vec::new())
    }

    async fn listing(snapshot: fn() -> serde_json::Result<Vec<u8>>) -> (Listing, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let site = Site {
            names: Names::default(),
            snapshot: Snapshot::new(snapshot),
            steering: None,
        };
        (Listing::serve(listener, site), address)
    }

    /// Sends `request` and reads until the server closes the connection.
    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut response = String::new();
        stream.read_to_string(&mut response).await.expect("receive");
        response
    }

    async fn request(address: SocketAddr, method: &str, path: &str) -> String {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        exchange(address, &request).await
    }

    #[tokio::test]
    async fn get_answers_with_the_listing() {
        let (_listing, address) = listing(example).await;
        for path in ["/", "/status", "/?pretty"] {
            let response = request(address, "GET", path).await;
            let (head, body) = response.split_once("\r\n\r\n").expect("head and body");
            assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
            assert!(
                head.contains("content-type: application/json"),
                "{path}: {head}"
            );
            assert_eq!(body.as_bytes(), example().expect("JSON"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_browser_gets_a_page() {
        let (_listing, address) = listing(example).await;
        let browser = "GET / HTTP/1.1\r\nhost: localhost\r\naccept: text/html,*/*;q=0.8\r\n\r\n";
        let responses = [
            exchange(address, browser).await,
            request(address, "GET", "/ui").await,
        ];
        for response in responses {
            let (head, body) = response.split_once("\r\n\r\n").expect("head and body");
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(head.contains("content-type: text/html"), "{head}");
            assert!(head.contains("default-src 'none'"), "{head}");
            assert!(body.contains(r#""mode":"prefer""#), "{body}");
        }
        let response = request(address, "GET", "/").await;
        assert!(response.contains("vary: accept"), "{response}");
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let (_listing, address) = listing(example).await;
        for (method, path) in [
            ("GET", "/x"),
            ("POST", "/x"),
            ("GET", "/status/"),
            ("GET", "//"),
        ] {
            let response = request(address, method, path).await;
            assert!(
                response.starts_with("HTTP/1.1 404 "),
                "{method} {path}: {response}"
            );
        }
        for method in ["POST", "HEAD", "DELETE", "PUT"] {
            for path in ["/", "/status", "/ui"] {
                let response = request(address, method, path).await;
                assert!(
                    response.starts_with("HTTP/1.1 405 "),
                    "{method} {path}: {response}"
                );
                assert!(
                    response.contains("allow: GET"),
                    "{method} {path}: {response}"
                );
            }
        }
        let response = exchange(address, "what is this\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    }

    #[tokio::test]
    async fn a_page_of_another_site_reads_nothing_through_a_name_that_leads_here() {
        let (_listing, address) = listing(example).await;
        for path in ["/", "/status", "/ui", "/x"] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: example.com:{}\r\n\r\n",
                address.port()
            );
            let response = exchange(address, &request).await;
            assert!(response.starts_with("HTTP/1.1 421 "), "{path}: {response}");
            assert!(
                response.contains("--local-status-host"),
                "{path}: {response}"
            );
            assert!(!response.contains("prefer"), "{path}: {response}");
        }
    }

    #[tokio::test]
    async fn a_listing_that_cannot_be_written_is_an_error_response() {
        let (_listing, address) = listing(failing).await;
        let response = request(address, "GET", "/").await;
        assert!(response.starts_with("HTTP/1.1 500 "), "{response}");
    }

    #[tokio::test]
    async fn silent_clients_do_not_keep_others_out_for_long() {
        let (_listing, address) = listing(example).await;
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.expect("connect"));
        }
        // Served once the silent ones have used up their time.
        let response = tokio::time::timeout(HEADER_TIME * 3, request(address, "GET", "/")).await;
        assert!(response.expect("answered").starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn dropping_it_closes_listener_and_connections() {
        let (listing, address) = listing(example).await;
        let mut open = TcpStream::connect(address).await.expect("connect");
        // Connections are accepted in order, so this one's answer says that the first is served, too.
        request(address, "GET", "/").await;
        drop(listing);
        // End of stream, or an error: either way it is closed.
        let mut rest = Vec::new();
        let _ = open.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_names_the_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = taken.local_addr().expect("address");
        let error = Listing::start(address, &[], None, example)
            .await
            .err()
            .expect("in use");
        let error = format!("{error:#}");
        assert!(
            error.contains("--local-status") && error.contains(&address.to_string()),
            "{error}"
        );
    }
}
