//! A collector of what hosts export with OpenTelemetry: OTLP over HTTP, with protobuf.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

mod otlp;

use otlp::{points, spans};

/// Attributes by name. Values that are no text are written as text.
pub type Attributes = BTreeMap<String, String>;

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// The trace that it belongs to.
    pub trace: Vec<u8>,
    /// Its id.
    pub id: Vec<u8>,
    /// The id of the span that it is a part of; empty for the first one of a trace.
    pub parent: Vec<u8>,
    /// Its attributes.
    pub attributes: Attributes,
    /// What it was given by hand, such as an error that was recorded: the names of its events.
    pub events: Vec<String>,
}

/// A metric with one set of attributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The metric's name.
    pub metric: String,
    /// The attributes.
    pub attributes: Attributes,
}

/// What has been received.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// All spans, in the order in which they came.
    pub spans: Vec<Span>,
    /// The newest value of each series: the sum of a counter, the value of a gauge, the number of values of a
    /// histogram.
    pub metrics: BTreeMap<Series, u64>,
}

/// A collector on a free port of the loopback interface. It takes traces and metrics, and lets go of logs.
///
/// It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: watch::Receiver<Received>,
    task: JoinHandle<()>,
}

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, received) = watch::channel(Received::default());
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(sender.clone(), request));
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    if let Err(err) = served.await {
                        tracing::debug!(?err, "an exporter's connection ended");
                    }
                });
            }
        });
        Ok(Self {
            address,
            received,
            task,
        })
    }

    /// What a host's `--override-observability-endpoint` is to name.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been received so far.
    #[must_use]
    pub fn received(&self) -> Received {
        self.received.borrow().clone()
    }

    /// Waits until `enough` finds what it looks for in what has been received, and returns that.
    ///
    /// # Errors
    ///
    /// When that takes longer than `deadline`; the error lists what has been received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for<T>(
        &self,
        deadline: Duration,
        enough: impl Fn(&Received) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut received = self.received.clone();
        let found = async {
            loop {
                if let Some(found) = enough(&received.borrow_and_update()) {
                    return anyhow::Ok(found);
                }
                received
                    .changed()
                    .await
                    .context("the collector has ended")?;
            }
        };
        let found = tokio::time::timeout(deadline, found).await;
        found.with_context(|| {
            let received = self.received();
            let spans: Vec<_> = received.spans.iter().map(|span| &span.name).collect();
            format!(
                "it was not received within {deadline:?}. Spans: {spans:?}. Metrics: {:#?}",
                received.metrics
            )
        })?
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn handle(
    received: watch::Sender<Received>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let status = match request.into_body().collect().await {
        Ok(body) => take(&received, &path, body.to_bytes()),
        Err(_) => StatusCode::BAD_REQUEST,
    };
    // An empty message of any type has no bytes.
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    Ok(response)
}

fn take(received: &watch::Sender<Received>, path: &str, body: Bytes) -> StatusCode {
    let taken = match path {
        "/v1/traces" => ExportTraceServiceRequest::decode(body).map(|request| {
            let spans: Vec<_> = spans(request).collect();
            received.send_modify(|received| received.spans.extend(spans));
        }),
        "/v1/metrics" => ExportMetricsServiceRequest::decode(body).map(|request| {
            let points: Vec<_> = points(request).collect();
            received.send_modify(|received| received.metrics.extend(points));
        }),
        "/v1/logs" => Ok(()),
        _ => return StatusCode::NOT_FOUND,
    };
    match taken {
        Ok(()) => StatusCode::OK,
        Err(err) => {
            tracing::warn!(?err, path, "an export cannot be decoded");
            StatusCode::BAD_REQUEST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        number_data_point, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    };
    use opentelemetry_proto::tonic::trace::v1::{self as trace, ResourceSpans, ScopeSpans};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn post(collector: &Collector, path: &str, body: Vec<u8>) -> String {
        let mut stream = tokio::net::TcpStream::connect(collector.address)
            .await
            .unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn pair(key: &str, value: &str) -> KeyValue {
        let value = Some(Value::StringValue(value.to_owned()));
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value }),
        }
    }

    fn counter(n: i64) -> Vec<u8> {
        let point = NumberDataPoint {
            attributes: vec![pair("operation", "ping")],
            value: Some(number_data_point::Value::AsInt(n)),
            ..NumberDataPoint::default()
        };
        let metric = Metric {
            name: "calls".to_owned(),
            data: Some(Data::Sum(Sum {
                data_points: vec![point],
                ..Sum::default()
            })),
            ..Metric::default()
        };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![metric],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        request.encode_to_vec()
    }

    #[tokio::test]
    async fn spans_are_kept_and_the_newest_value_of_a_metric() {
        let collector = Collector::start().await.unwrap();
        let span = trace::Span {
            name: "call".to_owned(),
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            attributes: vec![pair("a", "b")],
            ..trace::Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        for (path, body) in [
            ("/v1/traces", request.encode_to_vec()),
            ("/v1/metrics", counter(1)),
            ("/v1/metrics", counter(3)),
            ("/v1/logs", vec![1, 2, 3]),
        ] {
            let status = post(&collector, path, body).await;
            assert!(status.contains("200"), "{path}: {status}");
        }
        let received = collector.received();
        let span = &received.spans[0];
        assert_eq!(
            (span.name.as_str(), &span.attributes["a"]),
            ("call", &"b".to_owned())
        );
        let values: Vec<_> = received.metrics.into_iter().collect();
        assert_eq!(values.len(), 1);
        assert_eq!((values[0].0.metric.as_str(), values[0].1), ("calls", 3));
        for (path, status) in [("/v1/traces", "400"), ("/elsewhere", "404")] {
            let answer = post(&collector, path, vec![0xff]).await;
            assert!(answer.contains(status), "{path}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_in_vain_lists_what_came() {
        let collector = Collector::start().await.unwrap();
        let nothing = collector.wait_for(Duration::from_secs(1), |_| None::<()>);
        let error = nothing.await.unwrap_err().to_string();
        assert!(error.contains("Spans: []"), "{error}");
    }
}
