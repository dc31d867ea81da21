//! Which way a call came, on the span of it.

use std::sync::OnceLock;

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use wrpc_transport_nats::local::{self, Local, Route};

/// What carries calls in memory.
static BACKEND: OnceLock<String> = OnceLock::new();

/// The attributes of a span that say which way a call came, and over what.
const ROUTE: &str = "route";
const BACKEND_NAME: &str = "backend";

/// Has the span of each invocation that this host serves say `route` and `backend`.
///
/// The host library makes the span, and does not declare these fields, so they are set beneath `tracing`.
pub(super) fn mark(local: &Local) {
    if let Some(backend) = local.config().backend {
        let _ = BACKEND.set(backend.to_string());
    }
    local::on_start(|route| {
        let backend = match (route, BACKEND.get()) {
            (Route::Local, Some(backend)) => backend,
            _ => "nats",
        };
        let span = Span::current();
        span.set_attribute(ROUTE, route.to_string());
        span.set_attribute(BACKEND_NAME, backend);
    });
}
