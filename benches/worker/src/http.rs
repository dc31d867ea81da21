//! Requests to the HTTP component: `GET /ping?n=N`, over connections that are kept.
//!
//! A duration goes from before a request is sent until its whole answer is there. The connections are made before.
//!
//! All is done on one thread, and a connection and its caller are one task: what this takes of the
//! processors, the host that is measured does not have.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{handshake, SendRequest};
use hyper::{header, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::protocol::Http;

/// Lets all callers make their requests. Returns the duration of each in nanoseconds, and that of it all.
///
/// # Errors
///
/// When a request fails, its answer is not what it should be, or the time is over.
///
/// # Panics
///
/// Within an asynchronous task.
pub(crate) fn run(load: Http) -> anyhow::Result<(Vec<u64>, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?;
    runtime.block_on(requests(load))
}

async fn requests(load: Http) -> anyhow::Result<(Vec<u64>, Duration)> {
    let mut connections = Vec::new();
    for _ in 0..load.callers {
        let stream = TcpStream::connect(load.address).await;
        let stream = stream.with_context(|| format!("no one listens at {}", load.address))?;
        stream.set_nodelay(true)?;
        connections.push(handshake(TokioIo::new(stream)).await?);
    }
    let start = Instant::now();
    // They end when this returns.
    let mut callers = JoinSet::new();
    for (sender, connection) in connections {
        callers.spawn(async move {
            let mut caller = pin!(caller(sender, load));
            tokio::select! {
                // Its last answer ends both.
                biased;
                durations = &mut caller => durations,
                ended = connection => {
                    ended?;
                    // The server has closed it: after the last answer, or the caller has an error.
                    caller.await
                }
            }
        });
    }
    let mut durations = Vec::new();
    let all = async {
        while let Some(caller) = callers.join_next().await {
            durations.extend(caller??);
        }
        anyhow::Ok(())
    };
    let deadline = Duration::from_millis(load.deadline_ms);
    let all = tokio::time::timeout(deadline, all).await;
    all.with_context(|| format!("there were no answers within {deadline:?}"))??;
    Ok((durations, start.elapsed()))
}

async fn caller(mut sender: SendRequest<Empty<Bytes>>, load: Http) -> anyhow::Result<Vec<u64>> {
    let mut durations = Vec::with_capacity(load.calls as usize);
    for number in 0..load.calls {
        let request = Request::get(format!("/ping?n={number}"))
            .header(header::HOST, load.address.to_string())
            .body(Empty::new())?;
        let start = Instant::now();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        durations.push(start.elapsed().as_nanos() as u64);
        let expected = number.wrapping_add(1).to_string();
        ensure!(
            status == StatusCode::OK && *body == *expected.as_bytes(),
            "request {number} was answered with {status}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    Ok(durations)
}
