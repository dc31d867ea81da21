//! Flags about what the host asks of others: a policy service and OCI registries.

use std::time::Duration;

use clap::Args;

use super::values::milliseconds;

#[derive(Args)]
#[command(next_help_heading = "Policy service")]
pub(crate) struct PolicyArgs {
    /// Subject on which a policy service decides about starts and invocations; nothing is asked without it
    #[arg(long, value_name = "SUBJECT", env = "WASMCLOUD_POLICY_TOPIC")]
    pub(crate) policy_topic: Option<String>,

    /// Subject on which the policy service announces changed decisions; needs `--policy-topic`
    #[arg(
        long,
        value_name = "SUBJECT",
        env = "WASMCLOUD_POLICY_CHANGES_TOPIC",
        requires = "policy_topic"
    )]
    pub(crate) policy_changes_topic: Option<String>,

    /// Time limit of a policy decision, in milliseconds; 1000 without it; needs `--policy-topic`
    #[arg(
        long = "policy-timeout-ms",
        value_name = "MILLISECONDS",
        env = "WASMCLOUD_POLICY_TIMEOUT",
        requires = "policy_topic",
        value_parser = milliseconds
    )]
    pub(crate) policy_timeout: Option<Duration>,
}

#[derive(Args)]
#[command(next_help_heading = "OCI registries")]
pub(crate) struct OciArgs {
    /// Allow images with the tag `latest`
    #[arg(long, env = "WASMCLOUD_OCI_ALLOW_LATEST")]
    pub(crate) allow_latest: bool,

    /// Registries that may be reached without TLS, separated by commas; the flag can be repeated
    #[arg(
        long,
        value_name = "REGISTRY",
        env = "WASMCLOUD_OCI_ALLOWED_INSECURE",
        value_delimiter = ','
    )]
    pub(crate) allowed_insecure: Vec<String>,

    /// Registry that `--oci-user` and `--oci-password` are for
    #[arg(
        long,
        value_name = "REGISTRY",
        env = "WASMCLOUD_OCI_REGISTRY",
        requires = "oci_user",
        requires = "oci_password"
    )]
    pub(crate) oci_registry: Option<String>,

    /// User name at `--oci-registry`
    #[arg(
        long,
        value_name = "USER",
        env = "WASMCLOUD_OCI_REGISTRY_USER",
        requires = "oci_registry",
        requires = "oci_password"
    )]
    pub(crate) oci_user: Option<String>,

    /// Password at `--oci-registry`
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "WASMCLOUD_OCI_REGISTRY_PASSWORD",
        hide_env_values = true,
        requires = "oci_registry",
        requires = "oci_user"
    )]
    pub(crate) oci_password: Option<String>,
}
