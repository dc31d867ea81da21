//! Flags about logs, traces and metrics.

use clap::Args;
use tracing::Level;
use wasmcloud_core::OtelProtocol;

#[derive(Args)]
#[command(next_help_heading = "Logs, traces and metrics")]
pub(crate) struct TelemetryArgs {
    /// Least severe level that is logged: error, warn, info, debug or trace
    #[arg(
        long,
        alias = "structured-log-level",
        value_name = "LEVEL",
        env = "WASMCLOUD_LOG_LEVEL",
        default_value_t = Level::INFO
    )]
    pub(crate) log_level: Level,

    /// Least severe level that is traced: error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        env = "WASMCLOUD_TRACE_LEVEL",
        default_value_t = Level::INFO
    )]
    pub(crate) trace_level: Level,

    /// Log as JSON, one object a line
    #[arg(long, env = "WASMCLOUD_STRUCTURED_LOGGING_ENABLED")]
    pub(crate) enable_structured_logging: bool,

    /// Export traces, metrics and logs with OpenTelemetry
    #[arg(
        long,
        env = "WASMCLOUD_OBSERVABILITY_ENABLED",
        conflicts_with_all = ["enable_traces", "enable_metrics", "enable_logs"]
    )]
    pub(crate) enable_observability: bool,

    /// Export traces, `true` or `false`
    #[arg(
        long,
        value_name = "BOOL",
        env = "WASMCLOUD_TRACES_ENABLED",
        hide = true
    )]
    pub(crate) enable_traces: Option<bool>,

    /// Export metrics, `true` or `false`
    #[arg(
        long,
        value_name = "BOOL",
        env = "WASMCLOUD_METRICS_ENABLED",
        hide = true
    )]
    pub(crate) enable_metrics: Option<bool>,

    /// Export logs, `true` or `false`
    #[arg(long, value_name = "BOOL", env = "WASMCLOUD_LOGS_ENABLED", hide = true)]
    pub(crate) enable_logs: Option<bool>,

    /// URL of the OpenTelemetry collector for traces, metrics and logs
    #[arg(
        long = "override-observability-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT"
    )]
    pub(crate) observability_endpoint: Option<String>,

    /// URL of the OpenTelemetry collector for traces
    #[arg(
        long = "override-traces-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        hide = true
    )]
    pub(crate) traces_endpoint: Option<String>,

    /// URL of the OpenTelemetry collector for metrics
    #[arg(
        long = "override-metrics-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        hide = true
    )]
    pub(crate) metrics_endpoint: Option<String>,

    /// URL of the OpenTelemetry collector for logs
    #[arg(
        long = "override-logs-endpoint",
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        hide = true
    )]
    pub(crate) logs_endpoint: Option<String>,

    /// Protocol to the OpenTelemetry collector, `http` or `grpc`; `http` without it
    #[arg(
        long,
        value_name = "PROTOCOL",
        env = "WASMCLOUD_OBSERVABILITY_PROTOCOL",
        hide = true
    )]
    pub(crate) observability_protocol: Option<OtelProtocol>,

    /// File to write samples for a flame graph to, in the folded format of tracing-flame
    #[arg(long, value_name = "FILE", env = "WASMCLOUD_FLAME_GRAPH")]
    pub(crate) flame_graph: Option<String>,
}
