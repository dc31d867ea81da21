//! Flags about NATS: one connection by default, and one each for the control interface and for invocations where
//! they are told apart.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::milliseconds;

#[derive(Args)]
#[command(next_help_heading = "NATS")]
pub(crate) struct NatsArgs {
    /// Host name or IP address of the NATS server
    #[arg(
        long,
        value_name = "HOST",
        env = "WASMCLOUD_NATS_HOST",
        default_value = "127.0.0.1"
    )]
    pub(crate) nats_host: String,

    /// Port of the NATS server
    #[arg(
        long,
        value_name = "PORT",
        env = "WASMCLOUD_NATS_PORT",
        default_value_t = 4222
    )]
    pub(crate) nats_port: u16,

    /// User JWT to authenticate with at the NATS server, together with `--nats-seed`
    #[arg(
        long,
        value_name = "JWT",
        env = "WASMCLOUD_NATS_JWT",
        hide_env_values = true,
        requires = "nats_seed",
        conflicts_with = "nats_creds"
    )]
    pub(crate) nats_jwt: Option<String>,

    /// Seed nkey of the user that `--nats-jwt` was issued to
    #[arg(
        long,
        value_name = "SEED",
        env = "WASMCLOUD_NATS_SEED",
        hide_env_values = true,
        requires = "nats_jwt",
        conflicts_with = "nats_creds"
    )]
    pub(crate) nats_seed: Option<String>,

    /// Credentials file (`.creds`, with user JWT and seed) to authenticate with at the NATS server
    #[arg(
        long,
        value_name = "FILE",
        env = "WASMCLOUD_NATS_CREDS",
        conflicts_with_all = ["nats_jwt", "nats_seed"]
    )]
    pub(crate) nats_creds: Option<PathBuf>,

    /// JetStream domain of the lattice's buckets
    #[arg(
        long,
        alias = "wasmcloud-js-domain",
        value_name = "DOMAIN",
        env = "WASMCLOUD_JS_DOMAIN"
    )]
    pub(crate) js_domain: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Control interface")]
pub(crate) struct ControlArgs {
    /// Like `--nats-host`, for the control interface only
    #[arg(long, value_name = "HOST", env = "WASMCLOUD_CTL_HOST", hide = true)]
    pub(crate) ctl_host: Option<String>,

    /// Like `--nats-port`, for the control interface only
    #[arg(long, value_name = "PORT", env = "WASMCLOUD_CTL_PORT", hide = true)]
    pub(crate) ctl_port: Option<u16>,

    /// Like `--nats-jwt`, for the control interface only
    #[arg(
        long,
        value_name = "JWT",
        env = "WASMCLOUD_CTL_JWT",
        hide_env_values = true,
        requires = "ctl_seed",
        conflicts_with = "ctl_creds",
        hide = true
    )]
    pub(crate) ctl_jwt: Option<String>,

    /// Like `--nats-seed`, for the control interface only
    #[arg(
        long,
        value_name = "SEED",
        env = "WASMCLOUD_CTL_SEED",
        hide_env_values = true,
        requires = "ctl_jwt",
        conflicts_with = "ctl_creds",
        hide = true
    )]
    pub(crate) ctl_seed: Option<String>,

    /// Like `--nats-creds`, for the control interface only
    #[arg(
        long,
        value_name = "FILE",
        env = "WASMCLOUD_CTL_CREDS",
        conflicts_with_all = ["ctl_jwt", "ctl_seed"],
        hide = true
    )]
    pub(crate) ctl_creds: Option<PathBuf>,

    /// Require TLS on the control interface's NATS connection
    #[arg(long, env = "WASMCLOUD_CTL_TLS", hide = true)]
    pub(crate) ctl_tls: bool,

    /// Prefix of the control interface's subjects
    #[arg(
        long,
        value_name = "SUBJECT",
        env = "WASMCLOUD_CTL_TOPIC_PREFIX",
        default_value = "wasmbus.ctl",
        hide = true
    )]
    pub(crate) ctl_topic_prefix: String,
}

#[derive(Args)]
#[command(next_help_heading = "Invocations over NATS")]
pub(crate) struct RpcArgs {
    /// Like `--nats-host`, for invocations only
    #[arg(long, value_name = "HOST", env = "WASMCLOUD_RPC_HOST", hide = true)]
    pub(crate) rpc_host: Option<String>,

    /// Like `--nats-port`, for invocations only
    #[arg(long, value_name = "PORT", env = "WASMCLOUD_RPC_PORT", hide = true)]
    pub(crate) rpc_port: Option<u16>,

    /// Like `--nats-jwt`, for invocations only
    #[arg(
        long,
        value_name = "JWT",
        env = "WASMCLOUD_RPC_JWT",
        hide_env_values = true,
        requires = "rpc_seed",
        conflicts_with = "rpc_creds",
        hide = true
    )]
    pub(crate) rpc_jwt: Option<String>,

    /// Like `--nats-seed`, for invocations only
    #[arg(
        long,
        value_name = "SEED",
        env = "WASMCLOUD_RPC_SEED",
        hide_env_values = true,
        requires = "rpc_jwt",
        conflicts_with = "rpc_creds",
        hide = true
    )]
    pub(crate) rpc_seed: Option<String>,

    /// Like `--nats-creds`, for invocations only
    #[arg(
        long,
        value_name = "FILE",
        env = "WASMCLOUD_RPC_CREDS",
        conflicts_with_all = ["rpc_jwt", "rpc_seed"],
        hide = true
    )]
    pub(crate) rpc_creds: Option<PathBuf>,

    /// Time limit of a NATS request on the connection for invocations, in milliseconds
    #[arg(
        long = "rpc-timeout-ms",
        value_name = "MILLISECONDS",
        env = "WASMCLOUD_RPC_TIMEOUT_MS",
        default_value = "2000",
        value_parser = milliseconds,
        hide = true
    )]
    pub(crate) rpc_timeout: Duration,

    /// Require TLS on the NATS connection for invocations
    #[arg(long, env = "WASMCLOUD_RPC_TLS", hide = true)]
    pub(crate) rpc_tls: bool,
}
