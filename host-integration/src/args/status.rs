//! The flags of the listing, beside the one that turns it on.

use clap::Args;

#[derive(Args)]
#[command(next_help_heading = "In-host invocation")]
pub(crate) struct StatusArgs {
    /// Another name under which `--local-status` is reached, as behind a proxy, without a port; may
    /// be given more than once
    ///
    /// A request for any other name than `localhost` or an IP address is refused, so that a web
    /// page cannot read the listing through a name of its own that leads to this host. In the
    /// environment variable, several are separated by commas.
    #[arg(
        long = "local-status-host",
        value_name = "NAME",
        env = "WASMCLOUD_LOCAL_STATUS_HOSTS",
        value_delimiter = ',',
        value_parser = host_name
    )]
    pub(crate) hosts: Vec<String>,

    /// Whether the mode of calls can be changed while the host runs: `on` or `off`
    ///
    /// What `--local-dispatch` and `--local-dispatch-target` say can be changed then, and nothing
    /// else, until the host ends: over NATS, on the subject `wasmbus.local.{lattice}.mode.{host}`,
    /// and with `wasmcloud mode` over `--local-status`, if that is a loopback address. Whoever may
    /// publish to the subject, or can connect to the address, can do it.
    #[arg(
        long = "local-steer",
        value_name = "ON",
        env = "WASMCLOUD_LOCAL_STEER",
        default_value = "off",
        action = clap::ArgAction::Set,
        value_parser = on_or_off
    )]
    pub(crate) steer: bool,
}

/// Parses whether something is on.
fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("it is neither `on` nor `off`".to_owned()),
    }
}

/// Parses the name of a host. `*` and such would let in what the flag is there to keep out.
fn host_name(text: &str) -> Result<String, String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(is_of_name) {
        return Err(
            "it is no host name: use one like status.example.com, without a scheme, a port or `*`"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_has_no_port_no_scheme_and_no_wildcard() {
        assert_eq!(
            host_name("status.example.com").as_deref(),
            Ok("status.example.com")
        );
        for bad in [
            "",
            "*",
            "*.example.com",
            "a:80",
            "http://a",
            "a/b",
            "a b",
            "[::1]",
        ] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
    }
}
