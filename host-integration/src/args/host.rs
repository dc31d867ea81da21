//! Flags about the host itself: its lattice, identity, labels and switches.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{milliseconds, whole};

#[derive(Args)]
#[command(next_help_heading = "Host")]
pub(crate) struct HostArgs {
    /// Name of the lattice that this host joins
    #[arg(
        short = 'x',
        long,
        value_name = "NAME",
        env = "WASMCLOUD_LATTICE",
        default_value = "default"
    )]
    pub(crate) lattice: String,

    /// Server seed nkey (`SN…`) from which the host id is derived; a new identity is made at each start without it
    #[arg(
        long,
        value_name = "SEED",
        env = "WASMCLOUD_HOST_SEED",
        hide_env_values = true
    )]
    pub(crate) host_seed: Option<String>,

    /// Label of this host as `key=value`; repeat the flag for more labels
    ///
    /// A variable `WASMCLOUD_LABEL_<key>=<value>` in the environment sets a label, too. The flag wins where both
    /// name the same key.
    #[arg(short = 'l', long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,

    /// Allow components and providers from the local file system (`file://` references)
    #[arg(long, env = "WASMCLOUD_ALLOW_FILE_LOAD")]
    pub(crate) allow_file_load: bool,

    /// Ask the lattice's config service for supplemental configuration (registry credentials) at start-up
    #[arg(long, env = "WASMCLOUD_CONFIG_SERVICE")]
    pub(crate) config_service_enabled: bool,

    /// Prefix of the subjects on which a secrets backend answers; secrets are off without it
    #[arg(
        long = "secrets-topic",
        value_name = "SUBJECT",
        env = "WASMCLOUD_SECRETS_TOPIC"
    )]
    pub(crate) secrets_topic_prefix: Option<String>,

    /// Take part in component auctions, `true` or `false`; auctions are on without this flag
    #[arg(long, value_name = "BOOL", env = "WASMCLOUD_COMPONENT_AUCTION_ENABLED")]
    pub(crate) enable_component_auction: Option<bool>,

    /// Take part in provider auctions, `true` or `false`; auctions are on without this flag
    #[arg(long, value_name = "BOOL", env = "WASMCLOUD_PROVIDER_AUCTION_ENABLED")]
    pub(crate) enable_provider_auction: Option<bool>,

    /// IP address and port of the health endpoints `/livez` and `/readyz` over HTTP; off without it
    #[arg(long, value_name = "ADDR", env = "WASMCLOUD_HTTP_ADMIN")]
    pub(crate) http_admin: Option<SocketAddr>,

    /// Time that a provider gets to shut down before its process is killed, in milliseconds
    #[arg(
        long = "provider-shutdown-delay-ms",
        alias = "provider-shutdown-delay",
        value_name = "MILLISECONDS",
        env = "WASMCLOUD_PROV_SHUTDOWN_DELAY_MS",
        default_value = "300",
        value_parser = milliseconds
    )]
    pub(crate) provider_shutdown_delay: Duration,

    /// File of PEM certificates that OCI and OpenTelemetry clients trust besides the system's; repeat for more files
    #[arg(long = "tls-ca-path", value_name = "FILE")]
    pub(crate) tls_ca_paths: Vec<PathBuf>,

    /// Time between two heartbeats of this host, in seconds; 30 without it
    #[arg(
        long = "heartbeat-interval-seconds",
        value_name = "SECONDS",
        env = "WASMCLOUD_HEARTBEAT_INTERVAL",
        value_parser = heartbeat,
        hide = true
    )]
    pub(crate) heartbeat_interval: Option<Duration>,

    // Taken as text and turned into `Features` once logging is up: that conversion only logs a warning about a
    // name that it does not know.
    /// Experimental feature of the host to turn on; repeat the flag or separate names with commas
    #[arg(
        long = "feature",
        value_name = "NAME",
        env = "WASMCLOUD_EXPERIMENTAL_FEATURES",
        value_delimiter = ',',
        hide = true
    )]
    pub(crate) experimental_features: Vec<String>,
}

// The host library ends the process when it is 0, or more than the clock can tell.
fn heartbeat(value: &str) -> Result<Duration, String> {
    let seconds = whole(value, 1..=u32::MAX, "seconds", "`30`")?;
    Ok(Duration::from_secs(seconds.into()))
}
