//! Sets up in-host invocation and says so in the log.

use tracing::{info, warn};
use wasmcloud_host::WasmbusHostConfig;
use wrpc_transport_nats::local::{self, Config, InstallError, Mode};

use crate::updates::{Control, Updates};

/// Configures the transport; to be called once, before a host makes its first client.
///
/// # Errors
///
/// When the transport refuses the configuration.
pub(crate) fn install(config: Config) -> Result<(), InstallError> {
    local::install(config)?;
    let local = local::installed();
    let config = local.config();
    let targets: Vec<_> = config
        .targets
        .iter()
        .map(|(id, mode)| format!("{id}={mode}"))
        .collect();
    let (mode, targets) = (config.mode, targets.join(","));
    match (is_off(config), config.backend) {
        (true, _) => info!(
            %mode,
            "in-host invocation is off: every call goes over NATS"
        ),
        (false, None) => info!(
            %mode,
            targets,
            "no in-host backend is compiled in: every call goes over NATS \
             (build with `--features duplex` or `--features mpsc`)"
        ),
        (false, Some(backend)) => info!(
            %mode,
            targets,
            %backend,
            buffer_bytes = config.buffer_bytes,
            queue_invocations = config.queue_invocations,
            queue_bytes = config.queue_bytes,
            "in-host invocation is on"
        ),
    }
    Ok(())
}

/// Whether no call is carried in memory, whatever its target.
fn is_off(config: &Config) -> bool {
    let mut modes = config.targets.values();
    config.mode == Mode::Off && modes.all(|mode| *mode == Mode::Off)
}

/// Makes updates of components take effect, for as long as the answer lives; see [`updates`](crate::updates).
///
/// A host that cannot have this is started all the same: it then does what a stock host does.
pub(crate) async fn watch_updates(config: &mut WasmbusHostConfig) -> Option<Updates> {
    let local = local::installed();
    let stays_off = is_off(local.config()) && !local.config().steerable;
    if stays_off || local.config().backend.is_none() {
        return None;
    }
    let watch = Updates::watch(Control::of(config), local).await;
    watch
        .inspect_err(|error| {
            warn!("the update of a component to a new version will not take effect, as on a stock host: {error:#}");
        })
        .ok()
}
