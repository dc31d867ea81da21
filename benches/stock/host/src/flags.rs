//! The flags, and the host library's configuration that they stand for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tracing::Level;
use wasmcloud_core::OtelConfig;
use wasmcloud_host::url::Url;
use wasmcloud_host::wasmbus::host_config::PolicyService;
use wasmcloud_host::wasmbus::Features;
use wasmcloud_host::{OciConfig, WasmbusHostConfig};

/// The wasmCloud v1.5 host as published, with the flags that are needed for comparison
#[derive(Parser)]
#[command(name = "stock-host")]
pub(crate) struct Flags {
    /// Host name or IP address of the NATS server
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    nats_host: String,

    /// Port of the NATS server
    #[arg(long, value_name = "PORT", default_value_t = 4222)]
    nats_port: u16,

    /// Name of the lattice that this host joins
    #[arg(short = 'x', long, value_name = "NAME", default_value = "default")]
    lattice: String,

    /// Label of this host; repeat the flag for more labels
    #[arg(short = 'l', long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Allow components and providers from the local file system (`file://` references)
    #[arg(long)]
    allow_file_load: bool,

    /// Experimental feature of the host to turn on; repeat the flag or separate names with commas
    // Text here, because the conversion logs a warning about a name that it does not know, and the log is not up yet.
    #[arg(long = "feature", value_name = "NAME", value_delimiter = ',')]
    features: Vec<String>,

    /// Subject on which a policy service decides about starts and invocations; nothing is asked without it
    #[arg(long, value_name = "SUBJECT")]
    policy_topic: Option<String>,

    /// Subject on which the policy service announces changed decisions
    #[arg(long, value_name = "SUBJECT")]
    policy_changes_topic: Option<String>,

    /// Registry that may be reached without TLS; repeat the flag for more
    #[arg(long, value_name = "REGISTRY")]
    allowed_insecure: Vec<String>,

    /// Time limit of one invocation of a component, in milliseconds
    #[arg(long, value_name = "MILLISECONDS")]
    max_execution_time_ms: Option<u64>,

    /// Least severe level that is logged: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value_t = Level::INFO)]
    pub(crate) log_level: Level,
}

impl Flags {
    /// What is not a flag has the library's default. Where the `wasmcloud` binary's default is another one, that.
    pub(crate) fn config(self, otel_config: OtelConfig) -> anyhow::Result<WasmbusHostConfig> {
        let nats = format!("nats://{}:{}", self.nats_host, self.nats_port);
        let nats = Url::parse(&nats)
            .with_context(|| format!("`--nats-host {}` is not a host name", self.nats_host))?;
        let default = WasmbusHostConfig::default();
        Ok(WasmbusHostConfig {
            ctl_nats_url: nats.clone(),
            rpc_nats_url: nats,
            lattice: Arc::from(self.lattice),
            labels: HashMap::from_iter(self.labels),
            allow_file_load: self.allow_file_load,
            log_level: self.log_level.into(),
            otel_config,
            provider_shutdown_delay: Some(Duration::from_millis(300)),
            // The library is the tree of this release.
            version: "1.5.1".to_owned(),
            // The sum of feature sets is their union.
            experimental_features: self
                .features
                .iter()
                .map(|name| Features::from(name.as_str()))
                .sum(),
            policy_service_config: PolicyService {
                policy_topic: self.policy_topic,
                policy_changes_topic: self.policy_changes_topic,
                policy_timeout_ms: None,
            },
            oci_opts: OciConfig {
                allowed_insecure: self.allowed_insecure,
                ..default.oci_opts
            },
            max_execution_time: self
                .max_execution_time_ms
                .map_or(default.max_execution_time, Duration::from_millis),
            ..default
        })
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("a label is `key=value`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> WasmbusHostConfig {
        Flags::try_parse_from(["stock-host"].iter().chain(flags))
            .expect("valid flags")
            .config(OtelConfig::default())
            .expect("a valid configuration")
    }

    /// The same values as in the test of this name's kind in `host-integration/src/host_config.rs`.
    #[test]
    fn limits_and_defaults_are_those_of_the_wasmcloud_binary() {
        let config = config(&[]);
        assert_eq!(config.ctl_nats_url.as_str(), "nats://127.0.0.1:4222");
        assert_eq!(config.rpc_nats_url, config.ctl_nats_url);
        assert_eq!(config.ctl_topic_prefix, "wasmbus.ctl");
        assert_eq!(config.rpc_timeout, Duration::from_secs(2));
        assert_eq!(&*config.lattice, "default");
        assert_eq!(config.version, "1.5.1");
        assert_eq!(
            config.provider_shutdown_delay,
            Some(Duration::from_millis(300))
        );
        assert_eq!(config.max_execution_time, Duration::from_secs(600));
        assert_eq!(config.max_linear_memory, 268_435_456);
        assert_eq!(config.max_component_size, 52_428_800);
        assert_eq!(config.max_components, 10_000);
        assert_eq!(config.heartbeat_interval, None);
        assert!(config.enable_component_auction && config.enable_provider_auction);
        assert!(!config.ctl_tls && !config.rpc_tls && !config.allow_file_load);
    }

    #[test]
    fn what_the_testbed_passes_arrives() {
        let config = config(&[
            "--nats-host=127.0.0.1",
            "--nats-port=4321",
            "--lattice=demo",
            "--label=inhost-testbed=1-1",
            "--allow-file-load",
            "--feature",
            "builtin-http-server",
        ]);
        assert_eq!(config.rpc_nats_url.as_str(), "nats://127.0.0.1:4321");
        assert_eq!(&*config.lattice, "demo");
        assert_eq!(config.labels["inhost-testbed"], "1-1");
        assert!(config.allow_file_load);
        let features = format!("{:?}", config.experimental_features);
        let expected = Features::new().enable_builtin_http_server();
        assert_eq!(features, format!("{expected:?}"));
    }
}
