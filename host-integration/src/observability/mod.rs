//! Logging, tracing and metrics of the process.

use std::io::Write as _;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing::Dispatch;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::util::SubscriberInitExt as _;
use wasmcloud_core::logging::Level;
use wasmcloud_core::OtelConfig;
use wasmcloud_tracing::{configure_observability, FlushGuard};

use crate::args::Args;

mod log;

/// Name of this service in exported telemetry; the same as that of the stock host, for dashboards that know it.
const SERVICE_NAME: &str = "wasmcloud-host";

/// What the flags say about OpenTelemetry; used by this process and passed on to providers.
pub(crate) fn otel_config(args: &Args) -> OtelConfig {
    let telemetry = &args.telemetry;
    OtelConfig {
        enable_observability: telemetry.enable_observability,
        enable_traces: telemetry.enable_traces,
        enable_metrics: telemetry.enable_metrics,
        enable_logs: telemetry.enable_logs,
        observability_endpoint: telemetry.observability_endpoint.clone(),
        traces_endpoint: telemetry.traces_endpoint.clone(),
        metrics_endpoint: telemetry.metrics_endpoint.clone(),
        logs_endpoint: telemetry.logs_endpoint.clone(),
        protocol: telemetry.observability_protocol.unwrap_or_default(),
        additional_ca_paths: args.host.tls_ca_paths.clone(),
        trace_level: Level::from(telemetry.trace_level),
        ..OtelConfig::default()
    }
}

/// Writes what was logged and traced last when it is dropped.
pub(crate) struct Flush {
    _exports: Option<FlushGuard>,
    _log: Option<WorkerGuard>,
}

/// Starts logging to standard error, and the exports that the flags ask for. Dropping the guard flushes them.
///
/// A host whose telemetry cannot be set up still runs, as the stock host does: then this says so on standard error
/// and returns `None`.
///
/// # Errors
///
/// When this process has a global tracing subscriber already.
pub(crate) fn start(args: &Args) -> anyhow::Result<Option<Flush>> {
    match configure(args) {
        Ok((dispatch, flush)) => {
            dispatch
                .try_init()
                .context("cannot install the log subscriber of this process")?;
            Ok(Some(flush))
        }
        Err(error) => {
            // There is no log to write to, and nothing to be done when standard error is closed as well.
            let _ = writeln!(
                std::io::stderr(),
                "logs, traces and metrics are off because they could not be set up: {error:#}"
            );
            Ok(None)
        }
    }
}

fn configure(args: &Args) -> anyhow::Result<(Dispatch, Flush)> {
    let otel = otel_config(args);
    let flags = &args.telemetry;
    let spans_are_used =
        otel.traces_enabled() || otel.logs_enabled() || flags.flame_graph.is_some();
    let level = LevelFilter::from_level(flags.log_level);
    let rust_log = std::env::var("RUST_LOG").ok();
    let filter = match spans_are_used {
        true => None,
        false => log::filter(level, rust_log.as_deref()),
    };
    let Some(filter) = filter else {
        let (dispatch, guard) = configure_all(args, &otel)?;
        let flush = Flush {
            _exports: Some(guard),
            _log: None,
        };
        return Ok((dispatch, flush));
    };
    if otel.metrics_enabled() {
        // They are the process's. Of the log that comes with them, nothing is used.
        configure_all(args, &otel)?;
    }
    let (dispatch, guard) = log::subscriber(filter, flags.enable_structured_logging);
    let flush = Flush {
        _exports: None,
        _log: Some(guard),
    };
    Ok((dispatch, flush))
}

/// As the stock host does.
fn configure_all(args: &Args, otel: &OtelConfig) -> anyhow::Result<(Dispatch, FlushGuard)> {
    configure_observability(
        SERVICE_NAME,
        otel,
        args.telemetry.enable_structured_logging,
        args.telemetry.flame_graph.as_deref(),
        Some(&Level::from(args.telemetry.log_level)),
        Some(&otel.trace_level),
    )
}
