//! From flags to the host library's configuration.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::{ensure, Context as _};
use nkeys::{KeyPair, KeyPairType};
use wasmcloud_core::logging::Level;
use wasmcloud_host::url::Url;
use wasmcloud_host::wasmbus::host_config::PolicyService;
use wasmcloud_host::wasmbus::Features;
use wasmcloud_host::{OciConfig, WasmbusHostConfig};

use crate::args::{Args, OciArgs, PolicyArgs};
use crate::nats_credentials::{NatsCredentials, Source};
use crate::{labels, observability, subject};

/// Checks the flags that the command line's own rules do not cover and makes the host's configuration of them.
/// `environment` is where labels are taken from besides `--label`.
///
/// # Errors
///
/// When the lattice's name, an address, a key, credentials, a subject or a label is not valid. The
/// message names the flag.
pub(crate) async fn from_args(
    args: &Args,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<WasmbusHostConfig> {
    require_name_of_lattice(&args.host.lattice)?;
    let ctl_nats_url = nats_url(
        args,
        "ctl",
        args.control.ctl_host.as_deref(),
        args.control.ctl_port,
    )?;
    let rpc_nats_url = nats_url(args, "rpc", args.rpc.rpc_host.as_deref(), args.rpc.rpc_port)?;
    let host_key = args.host.host_seed.as_deref().map(host_key).transpose()?;
    let Credentials { ctl, rpc } = credentials(args).await?;
    let (ctl_jwt, ctl_key) = split(ctl);
    let (rpc_jwt, rpc_key) = split(rpc);
    let policy_service_config = policy_service(&args.policy)?;
    let labels = labels::collect(&args.host.labels, environment)?;
    if let Some(prefix) = &args.host.secrets_topic_prefix {
        subject::require_publishable("--secrets-topic", prefix)?;
    }
    let mut oci_opts = oci(&args.oci);
    oci_opts.additional_ca_paths = args.host.tls_ca_paths.clone();

    Ok(WasmbusHostConfig {
        ctl_nats_url,
        ctl_jwt,
        ctl_key,
        ctl_tls: args.control.ctl_tls,
        ctl_topic_prefix: args.control.ctl_topic_prefix.clone(),
        rpc_nats_url,
        rpc_timeout: args.rpc.rpc_timeout,
        rpc_jwt,
        rpc_key,
        rpc_tls: args.rpc.rpc_tls,
        lattice: Arc::from(args.host.lattice.as_str()),
        js_domain: args.nats.js_domain.clone(),
        labels,
        host_key,
        provider_shutdown_delay: Some(args.host.provider_shutdown_delay),
        oci_opts,
        allow_file_load: args.host.allow_file_load,
        enable_structured_logging: args.telemetry.enable_structured_logging,
        log_level: Level::from(args.telemetry.log_level),
        config_service_enabled: args.host.config_service_enabled,
        otel_config: observability::otel_config(args),
        policy_service_config,
        secrets_topic_prefix: args.host.secrets_topic_prefix.clone(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        max_execution_time: args.limits.max_execution_time,
        max_linear_memory: args.limits.max_linear_memory,
        max_component_size: args.limits.max_component_size,
        max_components: args.limits.max_components,
        heartbeat_interval: args.host.heartbeat_interval,
        // The sum of feature sets is their union.
        experimental_features: args
            .host
            .experimental_features
            .iter()
            .map(|name| Features::from(name.as_str()))
            .sum(),
        http_admin: args.host.http_admin,
        enable_component_auction: args.host.enable_component_auction.unwrap_or(true),
        enable_provider_auction: args.host.enable_provider_auction.unwrap_or(true),
    })
}

/// How many bytes parameters have at most that a guest's memory of this size can hold: a number
/// takes up to one and a half times as many of them on the wire.
pub(crate) fn largest_params(memory: u64) -> usize {
    usize::try_from(memory)
        .unwrap_or(usize::MAX)
        .saturating_mul(2)
}

/// The ID of the host with this configuration: the public half of its key. Gives it a key if it has none.
pub(crate) fn host_id(config: &mut WasmbusHostConfig) -> String {
    let key = config
        .host_key
        .get_or_insert_with(|| Arc::new(KeyPair::new_server()));
    key.public_key()
}

/// Names the NATS servers of `config` for an error message: host and port only, since a URL can hold a password.
pub(crate) fn nats_servers(config: &WasmbusHostConfig) -> String {
    let address = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        }
    };
    let (ctl, rpc) = (address(&config.ctl_nats_url), address(&config.rpc_nats_url));
    if ctl == rpc {
        ctl
    } else {
        format!("{ctl} for the control interface and {rpc} for invocations")
    }
}

/// The host library keeps what it knows of a lattice in buckets that have the lattice's name in
/// theirs, and JetStream has rules for that. It would say so once it is connected.
fn require_name_of_lattice(name: &str) -> anyhow::Result<()> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    ensure!(
        name.chars().all(is_of_name),
        "`--lattice {name}` is no name of a lattice: use letters, digits, `_` and `-`, as JetStream has no bucket for another one"
    );
    Ok(())
}

/// The address of one connection: its own host and port, where they are set, else those of `--nats-host` and
/// `--nats-port`.
fn nats_url(
    args: &Args,
    connection: &str,
    host: Option<&str>,
    port: Option<u16>,
) -> anyhow::Result<Url> {
    let host_flag = format!("--{}-host", host.map_or("nats", |_| connection));
    let host = host.unwrap_or(&args.nats.nats_host);
    let port = port.unwrap_or(args.nats.nats_port);
    Url::parse(&format!("nats://{host}:{port}")).with_context(|| {
        format!(
            "`{host_flag} {host}` is not a host name or IP address \
             (an IPv6 address needs brackets, like `[::1]`)"
        )
    })
}

fn host_key(seed: &str) -> anyhow::Result<Arc<KeyPair>> {
    let key = KeyPair::from_seed(seed).context("the seed of `--host-seed` is not valid")?;
    // The host library refuses other kinds, too, but does not say what is wrong.
    ensure!(
        key.key_pair_type() == KeyPairType::Server,
        "the seed of `--host-seed` is that of a {:?} key; a host needs a server key, whose seed starts with `SN`",
        key.key_pair_type()
    );
    Ok(Arc::new(key))
}

/// The credentials of the two connections.
struct Credentials {
    ctl: Option<NatsCredentials>,
    rpc: Option<NatsCredentials>,
}

/// Reads the credentials of both connections. Where a connection has none of its own, those of `--nats-…` are used.
async fn credentials(args: &Args) -> anyhow::Result<Credentials> {
    let common = Source {
        connection: "nats",
        file: args.nats.nats_creds.as_deref(),
        jwt: args.nats.nats_jwt.as_deref(),
        seed: args.nats.nats_seed.as_deref(),
    };
    let ctl = Source {
        connection: "ctl",
        file: args.control.ctl_creds.as_deref(),
        jwt: args.control.ctl_jwt.as_deref(),
        seed: args.control.ctl_seed.as_deref(),
    };
    let rpc = Source {
        connection: "rpc",
        file: args.rpc.rpc_creds.as_deref(),
        jwt: args.rpc.rpc_jwt.as_deref(),
        seed: args.rpc.rpc_seed.as_deref(),
    };
    let common = common.load().await?;
    Ok(Credentials {
        ctl: ctl.load().await?.or_else(|| common.clone()),
        rpc: rpc.load().await?.or(common),
    })
}

fn split(credentials: Option<NatsCredentials>) -> (Option<String>, Option<Arc<KeyPair>>) {
    credentials
        .map(|NatsCredentials { jwt, key }| (jwt, key))
        .unzip()
}

fn policy_service(args: &PolicyArgs) -> anyhow::Result<PolicyService> {
    if let Some(topic) = &args.policy_topic {
        subject::require_publishable("--policy-topic", topic)?;
    }
    Ok(PolicyService {
        policy_topic: args.policy_topic.clone(),
        policy_changes_topic: args.policy_changes_topic.clone(),
        policy_timeout_ms: args.policy_timeout,
    })
}

fn oci(args: &OciArgs) -> OciConfig {
    OciConfig {
        allow_latest: args.allow_latest,
        allowed_insecure: args.allowed_insecure.clone(),
        oci_registry: args.oci_registry.clone(),
        oci_user: args.oci_user.clone(),
        oci_password: args.oci_password.clone(),
        ..OciConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;

    /// Parses flags as the binary does, but without looking at the environment of the test.
    fn args(flags: &[&str]) -> Args {
        let command = Args::command().mut_args(|arg| match arg.get_env() {
            Some(_) => arg.env("WASMCLOUD_VARIABLE_THAT_NO_ONE_SETS"),
            None => arg,
        });
        let matches = command
            .try_get_matches_from(["wasmcloud"].iter().chain(flags))
            .expect("valid flags");
        Args::from_arg_matches(&matches).expect("valid flags")
    }

    async fn config(flags: &[&str]) -> anyhow::Result<WasmbusHostConfig> {
        from_args(&args(flags), []).await
    }

    async fn error_of(flags: &[&str]) -> String {
        format!("{:#}", config(flags).await.expect_err("an error"))
    }

    fn user() -> (String, String) {
        let key = KeyPair::new_user();
        (key.public_key(), key.seed().expect("a new key has a seed"))
    }

    #[tokio::test]
    async fn without_flags_it_is_the_stock_default() {
        let config = config(&[]).await.expect("valid");
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
        assert!(config.ctl_jwt.is_none() && config.ctl_key.is_none());
        assert!(config.rpc_jwt.is_none() && config.rpc_key.is_none());
        assert!(config.host_key.is_none() && config.labels.is_empty());
        assert!(config.http_admin.is_none() && config.secrets_topic_prefix.is_none());
    }

    #[tokio::test]
    async fn each_connection_can_have_an_address_of_its_own() {
        let config = config(&[
            "--nats-host=common",
            "--nats-port=1",
            "--ctl-host=ctl",
            "--rpc-port=3",
        ])
        .await
        .expect("valid");
        assert_eq!(config.ctl_nats_url.as_str(), "nats://ctl:1");
        assert_eq!(config.rpc_nats_url.as_str(), "nats://common:3");
        assert_eq!(
            nats_servers(&config),
            "ctl:1 for the control interface and common:3 for invocations"
        );
    }

    #[tokio::test]
    async fn servers_are_named_without_passwords() {
        let config = config(&["--nats-host=user:topsecret@[::1]"]).await;
        assert_eq!(nats_servers(&config.expect("valid")), "[::1]:4222");
    }

    #[tokio::test]
    async fn a_bad_address_names_the_flag_it_came_from() {
        let error = error_of(&["--nats-host=::1"]).await;
        assert!(
            error.contains("--nats-host ::1") && error.contains("brackets"),
            "{error}"
        );
        let error = error_of(&["--rpc-host=a b"]).await;
        assert!(error.contains("--rpc-host a b"), "{error}");
    }

    #[tokio::test]
    async fn a_connection_without_credentials_uses_the_common_ones() {
        let (common, rpc) = (user(), user());
        let config = config(&[
            "--nats-jwt=common",
            "--nats-seed",
            &common.1,
            "--rpc-jwt=rpc",
            "--rpc-seed",
            &rpc.1,
        ])
        .await
        .expect("valid");
        assert_eq!(config.ctl_jwt.as_deref(), Some("common"));
        assert_eq!(config.ctl_key.expect("key").public_key(), common.0);
        assert_eq!(config.rpc_jwt.as_deref(), Some("rpc"));
        assert_eq!(config.rpc_key.expect("key").public_key(), rpc.0);
    }

    #[tokio::test]
    async fn a_lattice_has_a_name_for_which_there_are_buckets() {
        for bad in ["a b", "a.b", "a*", "ü"] {
            let error = error_of(&["--lattice", bad]).await;
            assert!(error.contains(&format!("--lattice {bad}")), "{error}");
        }
        // As on a stock host.
        for good in ["a-B_9", ""] {
            assert!(config(&["--lattice", good]).await.is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn the_execution_time_is_a_second_at_least() {
        for (given, seconds) in [("1", 1.0), ("999", 1.0), ("1500", 1.5)] {
            let config = config(&["--max-execution-time-ms", given]).await;
            let time = config.expect("valid").max_execution_time;
            assert_eq!(time, Duration::from_secs_f64(seconds), "{given}");
        }
    }

    #[tokio::test]
    async fn the_host_seed_is_that_of_a_server() {
        let server = KeyPair::new(KeyPairType::Server);
        let seed = server.seed().expect("a new key has a seed");
        let config = config(&["--host-seed", &seed]).await.expect("valid");
        assert_eq!(
            config.host_key.expect("key").public_key(),
            server.public_key()
        );

        let (_, seed) = user();
        let error = error_of(&["--host-seed", &seed]).await;
        assert!(
            error.contains("--host-seed") && error.contains("User"),
            "{error}"
        );
        assert!(!error.contains(&seed), "{error}");
        let error = error_of(&["--host-seed=SNOPE"]).await;
        assert!(
            error.contains("--host-seed") && !error.contains("SNOPE"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn subjects_and_labels_are_checked() {
        let error = error_of(&["--policy-topic=a.>"]).await;
        assert!(error.contains("--policy-topic a.>"), "{error}");
        let error = error_of(&["--secrets-topic="]).await;
        assert!(error.contains("--secrets-topic"), "{error}");
        let error = error_of(&["--label=zone"]).await;
        assert!(error.contains("--label zone"), "{error}");
        // Changes are subscribed to: wildcards are fine there.
        let flags = [
            "--policy-topic=a",
            "--policy-changes-topic=a.>",
            "--policy-timeout-ms=5",
        ];
        let policy = config(&flags).await.expect("valid").policy_service_config;
        assert_eq!(policy.policy_changes_topic.as_deref(), Some("a.>"));
        assert_eq!(policy.policy_timeout_ms, Some(Duration::from_millis(5)));
    }

    #[tokio::test]
    async fn lists_can_be_repeated_or_separated_by_commas() {
        let config = config(&[
            "--allowed-insecure=a,b",
            "--allowed-insecure=c",
            "--feature=builtin-http-server,builtin-messaging-nats",
            "--feature=wasmcloud-messaging-v3",
            "--label=a=1",
            "-l",
            "b=2",
            "--tls-ca-path=x",
            "--tls-ca-path=y",
        ])
        .await
        .expect("valid");
        assert_eq!(config.oci_opts.allowed_insecure, ["a", "b", "c"]);
        assert_eq!(config.oci_opts.additional_ca_paths.len(), 2);
        assert_eq!(config.otel_config.additional_ca_paths.len(), 2);
        assert_eq!(config.labels.len(), 2);
        let all = Features::new()
            .enable_builtin_http_server()
            .enable_builtin_messaging_nats()
            .enable_wasmcloud_messaging_v3();
        // The type has no equality.
        assert_eq!(
            format!("{:?}", config.experimental_features),
            format!("{all:?}")
        );
    }
}
