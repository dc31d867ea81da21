//! The log alone, for a host that exports neither traces nor logs.
//!
//! What `wasmcloud-tracing` sets up then writes the same lines. But it asks two filters about each
//! span that is made, entered or left, because a directive may say something about spans, and each
//! call of a component has a span. Here there is one filter, and it looks at targets and levels
//! only.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing::Dispatch;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{fmt, Registry};

/// What is logged of the libraries below the host unless `RUST_LOG` says otherwise, whatever the
/// level: as on a stock host.
const LIBRARIES: [(&str, LevelFilter); 4] = [
    ("async_nats", LevelFilter::INFO),
    ("cranelift_codegen", LevelFilter::WARN),
    ("hyper", LevelFilter::INFO),
    ("oci_client", LevelFilter::INFO),
];

/// What is logged at `level` with `rust_log`, the value of `RUST_LOG`. `None` when that says more
/// than which targets are logged from which level on, or cannot be understood.
pub(super) fn filter(level: LevelFilter, rust_log: Option<&str>) -> Option<Targets> {
    let mut filter = Targets::new().with_default(level).with_targets(LIBRARIES);
    for directive in rust_log
        .into_iter()
        .flat_map(|directives| directives.split(','))
    {
        filter = match directive.split_once('=') {
            Some((target, level)) if is_plain(target) => filter.with_target(target, parse(level)?),
            Some(_) => return None,
            None => filter.with_default(parse(directive)?),
        };
    }
    Some(filter)
}

fn parse(level: &str) -> Option<LevelFilter> {
    // An empty one would be taken for a level.
    level.parse().ok().filter(|_| !level.is_empty())
}

/// Whether it is a path of Rust modules: a directive can also name spans and fields.
fn is_plain(target: &str) -> bool {
    let of_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !target.is_empty() && target.chars().all(of_path)
}

/// Writes what passes `filter` to standard error, as text or as JSON. What is written last gets there when the guard is
/// dropped.
pub(super) fn subscriber(filter: Targets, json: bool) -> (Dispatch, WorkerGuard) {
    let ansi = std::io::stderr().is_terminal();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let registry = Registry::default().with(filter);
    let layer = fmt::layer().with_writer(writer).with_ansi(ansi);
    let dispatch = if json {
        registry.with(layer.json()).into()
    } else {
        registry.with(layer).into()
    };
    (dispatch, guard)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    /// Whether an event of this target and level is logged.
    fn logs(filter: &Targets, target: &str, level: Level) -> bool {
        filter.would_enable(target, &level)
    }

    #[test]
    fn libraries_have_levels_of_their_own() {
        let filter = filter(LevelFilter::DEBUG, None).expect("nothing to understand");
        assert!(logs(&filter, "wasmcloud_host::wasmbus", Level::DEBUG));
        assert!(!logs(&filter, "wasmcloud_host::wasmbus", Level::TRACE));
        assert!(logs(&filter, "async_nats::connector", Level::INFO));
        assert!(!logs(&filter, "async_nats::connector", Level::DEBUG));
        assert!(!logs(&filter, "cranelift_codegen", Level::INFO));
    }

    #[test]
    fn rust_log_says_otherwise() {
        let rust_log = Some("async_nats=trace,hyper=off,error");
        let filter = filter(LevelFilter::INFO, rust_log).expect("targets and levels");
        assert!(logs(&filter, "async_nats", Level::TRACE));
        assert!(!logs(&filter, "hyper", Level::ERROR));
        assert!(logs(&filter, "inhost", Level::ERROR));
        assert!(!logs(&filter, "inhost", Level::WARN));
    }

    #[test]
    fn what_is_more_than_targets_and_levels_is_left_to_who_understands_it() {
        for rust_log in [
            "",
            "a b=info",
            "info,",
            "wasmcloud_host[component_invocation]=debug",
            "[component_invocation{id=\"callee\"}]=debug",
            "=debug",
            "async_nats=",
            "async_nats=loud",
            "async_nats",
        ] {
            assert_eq!(
                filter(LevelFilter::INFO, Some(rust_log)),
                None,
                "{rust_log}"
            );
        }
    }
}
